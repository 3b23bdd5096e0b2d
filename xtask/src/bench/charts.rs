//! The report's charts, drawn by the program `draw-chart`.

use std::{io::Write as _, path::Path, process::Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::{
    in_process, programs,
    results::{Results, Row},
    statistics::number,
};
use crate::process::{program, write};

/// A chart, as `draw-chart` reads it.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Chart {
    /// The name of its file, without the extension.
    #[serde(skip)]
    pub(super) file: &'static str,
    pub(super) title: String,
    unit: String,
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize, PartialEq)]
struct Bar {
    name: String,
    value: f64,
    label: String,
    ours: bool,
}

/// Draws the charts into `directory`, and returns those that were drawn.
///
/// # Errors
/// When one cannot be drawn or written.
pub(super) fn draw(results: &Results, directory: &Path) -> Result<Vec<Chart>> {
    let charts = charts(results);
    for chart in &charts {
        let path = directory.join(format!("{}.svg", chart.file));
        write(&path, svg(chart)?)?;
    }
    Ok(charts)
}

fn svg(chart: &Chart) -> Result<Vec<u8>> {
    let mut command = program(programs::bench("draw-chart"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot run draw-chart")?;
    let mut input = child.stdin.take().context("stdin is piped")?;
    input.write_all(serde_json::to_string(chart)?.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{}: {}", chart.title, String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// All charts that have bars.
pub(super) fn charts(results: &Results) -> Vec<Chart> {
    let plugin = results.in_process.as_ref();
    let polls = of_rows(results, |row| row.poll_cpu.median());
    let polls = polls.chain(bar(in_process::NAME, false, plugin.and_then(|p| p.poll_cpu.median())));
    let creates = of_rows(results, |row| row.create_cpu.median());
    let creates =
        creates.chain(bar(in_process::NAME, false, plugin.and_then(|p| p.create_cpu.median())));
    let memory = results.memory.iter().filter_map(|row| {
        let peak = row.in_flight.first().and_then(|peak| peak.as_ref().ok());
        bar(&row.name, row.is_ours, peak.map(|(peak, _)| *peak))
    });
    let starts = of_rows(results, |row| row.cold_start.median());
    let views = results.views.iter().filter_map(|row| {
        bar(&format!("{}, {} callers", row.name, row.callers), row.is_ours, row.p50.median())
    });
    let charts = [
        chart("poll-cpu", "CPU of 10,000 polls", "CPU-seconds, logarithmic", polls),
        chart("create-cpu", "CPU of 10,000 creates", "CPU-seconds, logarithmic", creates),
        chart("memory", "Memory with 1,000 polls in flight", "MiB, logarithmic", memory),
        chart("cold-start", "From exec to the first answer", "milliseconds, logarithmic", starts),
        chart("views", "A poll among 1,000 jobs, median", "milliseconds, logarithmic", views),
    ];
    charts.into_iter().filter(|chart| !chart.bars.is_empty()).collect()
}

fn of_rows(results: &Results, value: impl Fn(&Row) -> Option<f64>) -> impl Iterator<Item = Bar> {
    results.rows.iter().filter_map(move |row| {
        bar(&format!("{}, {}", row.name, row.protocol), row.is_ours, value(row))
    })
}

fn bar(name: &str, ours: bool, value: Option<f64>) -> Option<Bar> {
    let value = value.filter(|value| *value > 0.0)?;
    Some(Bar { name: name.to_owned(), value, label: number(value), ours })
}

fn chart(file: &'static str, title: &str, unit: &str, bars: impl Iterator<Item = Bar>) -> Chart {
    Chart { file, title: title.to_owned(), unit: unit.to_owned(), bars: bars.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_the_servers_that_were_measured() {
        let mut results = Results::default();
        results.row("ours", "gRPC", true).poll_cpu.add(0.25);
        results.row("theirs", "REST", false).poll_cpu.add(16.0);
        results.row("unmeasured", "REST", false);
        let charts = charts(&results);
        let names = charts[0].bars.iter().map(|bar| bar.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["ours, gRPC", "theirs, REST"]);
        assert_eq!(charts[0].bars[0].label, "0.250");
        assert_eq!(charts.iter().map(|chart| chart.file).collect::<Vec<_>>(), ["poll-cpu"]);
    }
}
