//! The report: `docs/benchmark.md`.

mod prose;
mod table;

use std::fmt::Write as _;

use self::table::{Table, measured, times};
use super::{
    charts::Chart,
    in_process, memory,
    results::{MemoryRow, Results, Row},
    server::Server,
};

/// What stands around the figures.
pub(super) struct Frame {
    /// The command that was run.
    pub(super) command: String,
    pub(super) rounds: usize,
    pub(super) machine: Vec<String>,
    pub(super) versions: Vec<String>,
    pub(super) cores: usize,
}

/// The whole report, in Markdown.
pub(super) fn render(results: &Results, charts: &[Chart], frame: &Frame) -> String {
    let mut text = prose::head(frame);
    let mut section = |title: &str, tables: Vec<Table>, note: &str, files: &[&str]| {
        let tables = tables.iter().map(Table::render).collect::<Vec<_>>().join("\n");
        if !tables.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n## {title}\n\n{note}\n\n{tables}{}", images(charts, files));
        }
    };
    section("CPU time", vec![cpu(results)], prose::CPU, &["poll-cpu", "create-cpu"]);
    section("Instructions", vec![instructions(results)], prose::INSTRUCTIONS, &[]);
    section("Latency", vec![latency(results)], &prose::latency(results), &[]);
    section("A thousand jobs", vec![views(results)], &prose::views(), &["views"]);
    section("Memory", vec![memory(results)], &prose::memory(), &["memory"]);
    section("Cold start", vec![cold_start(results)], prose::COLD_START, &["cold-start"]);
    section("Installed", vec![installed(results)], prose::INSTALLED, &[]);
    text.push_str(&list("Machine", &frame.machine));
    text.push_str(&list("Versions", &frame.versions));
    if !results.left_out.is_empty() {
        text.push_str(&list("Left out", &results.left_out));
    }
    text
}

fn list(title: &str, lines: &[String]) -> String {
    let lines = lines.iter().map(|line| format!("- {line}\n")).collect::<String>();
    format!("\n## {title}\n\n{lines}")
}

fn images(charts: &[Chart], files: &[&str]) -> String {
    let image = |chart: &Chart| format!("\n![{}](benchmark/{}.svg)\n", chart.title, chart.file);
    charts.iter().filter(|chart| files.contains(&chart.file)).map(image).collect()
}

/// The bare proxy's value for the protocol of a row.
fn limit(results: &Results, row: &Row, value: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    let family = |row: &Row| row.protocol.split(',').next().map(str::to_owned);
    let bare = Server::Bare.name();
    let bare = results.rows.iter().find(|other| other.name == bare && family(other) == family(row));
    bare.and_then(value)
}

fn cpu(results: &Results) -> Table {
    let mut table = Table::new(&[
        "server",
        "protocol",
        "CPU-s per 10,000 polls",
        "× bare proxy",
        "polls/s on one core",
        "calls upstream a poll",
        "CPU-s per 10,000 creates",
        "× bare proxy",
    ]);
    let measured_rows = results.rows.iter().filter(|row| row.poll_cpu.median().is_some());
    for row in measured_rows {
        let (poll, create) = (row.poll_cpu.median(), row.create_cpu.median());
        let bare_poll = limit(results, row, |row| row.poll_cpu.median());
        let bare_create = limit(results, row, |row| row.create_cpu.median());
        table.row(
            row.is_ours,
            &[
                row.name.clone(),
                row.protocol.to_owned(),
                table::with_range(&row.poll_cpu),
                times(poll, bare_poll),
                measured(row.polls_a_second.median()),
                measured(row.calls_a_poll.median()),
                table::with_range(&row.create_cpu),
                times(create, bare_create),
            ],
        );
    }
    if let Some(plugin) = &results.in_process {
        let none = || "–".to_owned();
        table.row(
            false,
            &[
                in_process::NAME.to_owned(),
                none(),
                table::with_range(&plugin.poll_cpu),
                none(),
                none(),
                none(),
                table::with_range(&plugin.create_cpu),
                none(),
            ],
        );
    }
    table
}

fn instructions(results: &Results) -> Table {
    let mut table =
        Table::new(&["server", "protocol", "poll", "× bare proxy", "create", "× bare proxy"]);
    for row in results.rows.iter().filter(|row| row.poll_instructions.is_some()) {
        let (poll, create) = (row.poll_instructions, row.create_instructions);
        table.row(
            row.is_ours,
            &[
                row.name.clone(),
                row.protocol.to_owned(),
                measured(poll),
                times(poll, limit(results, row, |row| row.poll_instructions)),
                measured(create),
                times(create, limit(results, row, |row| row.create_instructions)),
            ],
        );
    }
    table
}

fn latency(results: &Results) -> Table {
    let mut table = Table::new(&[
        "server",
        "protocol",
        "p50 of one at a time, ms",
        "added, ms",
        "p50 at 500/s, ms",
        "added, ms",
        "p99 at 500/s, ms",
        "added, ms",
    ]);
    let added = |value: Option<f64>, direct: Option<f64>| {
        measured(value.zip(direct).map(|(value, direct)| value - direct))
    };
    let (alone, paced) = (&results.direct_alone, &results.direct);
    for row in results.rows.iter().filter(|row| row.alone.p50().is_some()) {
        table.row(
            row.is_ours,
            &[
                row.name.clone(),
                row.protocol.to_owned(),
                measured(row.alone.p50()),
                added(row.alone.p50(), alone.p50()),
                measured(row.paced.p50()),
                added(row.paced.p50(), paced.p50()),
                measured(row.paced.p99()),
                added(row.paced.p99(), paced.p99()),
            ],
        );
    }
    if let Some(plugin) = &results.in_process {
        let p50 = plugin.alone_p50.median();
        let mut cells = vec![in_process::NAME.to_owned(), "–".to_owned(), measured(p50)];
        cells.push(added(p50, alone.p50()));
        cells.extend(std::iter::repeat_n("–".to_owned(), 4));
        table.row(false, &cells);
    }
    table
}

fn views(results: &Results) -> Table {
    let mut table = Table::new(&[
        "server",
        "callers at once",
        "p50, ms",
        "p99, ms",
        "calls upstream a poll",
        "polls/s",
    ]);
    for row in &results.views {
        table.row(
            row.is_ours,
            &[
                row.name.clone(),
                row.callers.to_string(),
                measured(row.p50.median()),
                measured(row.p99.median()),
                measured(row.calls_a_poll.median()),
                measured(row.polls_a_second.median()),
            ],
        );
    }
    table
}

fn memory(results: &Results) -> Table {
    let counts = memory::IN_FLIGHT.map(|count| format!("peak, {count} polls in flight"));
    let shares = memory::IN_FLIGHT.map(|count| format!("of {count}, asked upstream"));
    let head = ["server", "idle", "after polls", &counts[0], &shares[0], &counts[1], &shares[1]];
    let mut table = Table::new(&head);
    for row in &results.memory {
        let mut cells = vec![row.name.clone(), measured(row.idle), measured(row.after_polls)];
        cells.extend((0..memory::IN_FLIGHT.len()).flat_map(|at| in_flight(row, at)));
        table.row(row.is_ours, &cells);
    }
    table
}

/// The cells of the peak and of the share of polls that went upstream; a dash or the reason without them.
fn in_flight(row: &MemoryRow, at: usize) -> [String; 2] {
    match row.in_flight.get(at) {
        Some(Ok((peak, calls))) => [measured(Some(*peak)), format!("{:.0} %", calls * 100.0)],
        Some(Err(why)) => [why.lines().next().unwrap_or_default().to_owned(), "–".to_owned()],
        None => ["–".to_owned(), "–".to_owned()],
    }
}

fn cold_start(results: &Results) -> Table {
    let mut table = Table::new(&["server", "protocol", "ms"]);
    for row in results.rows.iter().filter(|row| row.cold_start.median().is_some()) {
        let cells = [row.name.clone(), row.protocol.to_owned(), table::with_range(&row.cold_start)];
        table.row(row.is_ours, &cells);
    }
    table
}

fn installed(results: &Results) -> Table {
    let mut table = Table::new(&["server", "MiB", "of what"]);
    for row in results.memory.iter().filter(|row| row.installed.is_some()) {
        let (mib, what) = row.installed.unzip();
        let cells = [row.name.clone(), measured(mib), what.unwrap_or("–").to_owned()];
        table.row(row.is_ours, &cells);
    }
    table
}

#[cfg(test)]
mod tests;
