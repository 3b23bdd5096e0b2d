//! Draws a bar chart of the benchmark's report: JSON on stdin, SVG on stdout.
//!
//! A program of its own, so that `cargo xtask` builds without a library for charts.

use std::io::{Write as _, stdin, stdout};

use anyhow::{Context as _, Result, ensure};
use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::{
        Shift,
        combinators::{IntoLogRange as _, LogCoord},
        ranged1d::{IntoSegmentedCoord as _, SegmentValue, SegmentedCoord},
        types::RangedCoordusize,
    },
    drawing::{DrawingArea, IntoDrawingArea as _},
    element::{Rectangle, Text},
    prelude::{Cartesian2d, SVGBackend},
    style::{
        BLACK, Color as _, IntoFont as _, RGBColor, WHITE,
        text_anchor::{HPos, Pos, VPos},
    },
};
use serde::Deserialize;

/// A chart. Bars are drawn on a logarithmic scale, because servers differ by factors of a thousand.
#[derive(Deserialize)]
struct Chart {
    title: String,
    /// What the values are: the label of their axis.
    unit: String,
    /// From top to bottom.
    bars: Vec<Bar>,
}

#[derive(Deserialize)]
struct Bar {
    name: String,
    value: f64,
    /// The value as it is written at the bar's end.
    label: String,
    /// Whether it is ours.
    #[serde(default)]
    ours: bool,
}

type Bars = Cartesian2d<LogCoord<f64>, SegmentedCoord<RangedCoordusize>>;

const WIDTH: u32 = 880;
/// The height of a bar with the space around it, and of the title and the axis.
const BAR: u32 = 34;
const FRAME: u32 = 100;
const OURS: RGBColor = RGBColor(0x0b, 0x6e, 0x4f);
const OTHERS: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);

fn main() -> Result<()> {
    let chart = serde_json::from_reader::<_, Chart>(stdin()).context("stdin is not a chart")?;
    stdout().write_all(draw(&chart)?.as_bytes())?;
    Ok(())
}

fn draw(chart: &Chart) -> Result<String> {
    let is_positive = |bar: &Bar| bar.value.is_finite() && bar.value > 0.0;
    ensure!(!chart.bars.is_empty(), "{}: there is no bar", chart.title);
    ensure!(chart.bars.iter().all(is_positive), "{}: a bar is not positive", chart.title);
    let mut svg = String::new();
    let height = FRAME + BAR * u32::try_from(chart.bars.len())?;
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut context = axes(chart, &area)?;
        for (at, bar) in chart.bars.iter().enumerate() {
            draw_bar(&mut context, chart.bars.len() - 1 - at, bar)?;
        }
        area.present()?;
    }
    Ok(svg)
}

fn axes<'a>(
    chart: &Chart,
    area: &DrawingArea<SVGBackend<'a>, Shift>,
) -> Result<ChartContext<'a, SVGBackend<'a>, Bars>> {
    let (least, most) = scale(&chart.bars);
    let count = chart.bars.len();
    let mut context = ChartBuilder::on(area)
        .caption(&chart.title, ("sans-serif", 20))
        .margin(12)
        .margin_right(70)
        .x_label_area_size(44)
        .y_label_area_size(260)
        .build_cartesian_2d((least..most).log_scale(), (0..count - 1).into_segmented())?;
    let name = |row: &SegmentValue<usize>| match row {
        SegmentValue::CenterOf(row) => {
            let at = (count - 1).checked_sub(*row);
            at.and_then(|at| chart.bars.get(at)).map_or_else(String::new, |bar| bar.name.clone())
        }
        SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
    };
    context
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(count)
        .y_label_formatter(&name)
        .x_label_formatter(&|value| plain(*value))
        .x_desc(&chart.unit)
        .label_style(("sans-serif", 14))
        .draw()?;
    Ok(context)
}

/// From a power of ten below all values to somewhat more than the greatest.
fn scale(bars: &[Bar]) -> (f64, f64) {
    let values = || bars.iter().map(|bar| bar.value);
    let least = values().fold(f64::INFINITY, f64::min);
    let most = values().fold(0.0, f64::max);
    (10_f64.powf((least * 0.8).log10().floor()), most * 1.6)
}

fn draw_bar(
    context: &mut ChartContext<'_, SVGBackend<'_>, Bars>,
    row: usize,
    bar: &Bar,
) -> Result<()> {
    let start = context.x_range().start;
    let (below, above) = (SegmentValue::Exact(row), SegmentValue::Exact(row + 1));
    let color = if bar.ours { OURS } else { OTHERS };
    let mut rectangle = Rectangle::new([(start, below), (bar.value, above)], color.filled());
    rectangle.set_margin(5, 5, 0, 0);
    context.draw_series([rectangle])?;
    let style = ("sans-serif", 14).into_font().color(&BLACK);
    let style = style.pos(Pos::new(HPos::Left, VPos::Center));
    let end = (bar.value, SegmentValue::CenterOf(row));
    context.draw_series([Text::new(format!("\u{a0}{}", bar.label), end, style)])?;
    Ok(())
}

/// A number on the axis, without trailing zeros.
fn plain(value: f64) -> String {
    format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: f64) -> Bar {
        Bar { name: name.to_owned(), value, label: format!("{value} s"), ours: false }
    }

    fn chart(bars: Vec<Bar>) -> Chart {
        Chart { title: "CPU".to_owned(), unit: "CPU-seconds".to_owned(), bars }
    }

    #[test]
    fn every_bar_is_drawn_with_its_name_and_its_value() {
        let svg = draw(&chart(vec![bar("ours", 0.25), bar("theirs", 320.0)])).unwrap();
        for text in ["ours", "theirs", "0.25 s", "320 s", "CPU-seconds"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(draw(&chart(vec![bar("one", 3.0)])).is_ok());
    }

    #[test]
    fn a_chart_without_a_positive_value_is_refused() {
        for bars in [vec![], vec![bar("nothing", 0.0)], vec![bar("unknown", f64::NAN)]] {
            assert!(draw(&chart(bars)).is_err());
        }
    }

    #[test]
    fn the_scale_holds_all_values() {
        let (least, most) = scale(&[bar("a", 0.1), bar("b", 320.0)]);
        assert!(least < 0.1 && most > 320.0);
    }
}
