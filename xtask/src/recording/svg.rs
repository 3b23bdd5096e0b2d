//! The picture: a terminal in which the lines appear, as CSS animates them. It needs no script, so that it
//! plays wherever an image is shown; for readers who want no motion it stands still at its end.

use std::{fmt::Write as _, time::Duration};

use super::{Line, STEP};

/// Columns and rows of the terminal.
const COLUMNS: usize = 104;
const ROWS: usize = 22;
/// Pixels.
const LINE: usize = 20;
const BAR: usize = 34;
const MARGIN: usize = 16;
const WIDTH: usize = 920;

/// A line follows the one before as in the run, but within these bounds.
const SOONEST: Duration = Duration::from_millis(110);
const LATEST: Duration = Duration::from_secs(2);
/// How long a step is left to read before the next one.
const READING: Duration = Duration::from_millis(1900);
/// How long the end is shown before it starts again.
const REST: Duration = Duration::from_secs(5);

/// The picture of `lines`, printed by `command`.
pub(super) fn draw(command: &str, lines: &[Line]) -> String {
    let lines = paced(command, lines);
    let end = lines.last().map(|line| line.at).unwrap_or_default() + REST;
    let height = BAR + ROWS * LINE + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\">\n\
         <title>{0}</title>\n<style>\n{1}</style>\n",
        escaped(&format!("Output of {command}, a real run at a pace to read")),
        style(&lines, end),
    );
    let _ = write!(
        svg,
        "<rect class=\"panel\" width=\"{WIDTH}\" height=\"{height}\" rx=\"10\"/>\n\
         <g class=\"dots\"><circle cx=\"20\" cy=\"17\" r=\"5\"/><circle cx=\"38\" cy=\"17\" r=\"5\"/><circle cx=\"56\" cy=\"17\" r=\"5\"/></g>\n\
         <text class=\"name\" x=\"{}\" y=\"21\">{}</text>\n\
         <svg y=\"{BAR}\" width=\"{WIDTH}\" height=\"{}\"><g class=\"all\">\n",
        WIDTH / 2,
        escaped(command),
        ROWS * LINE + 2 * MARGIN,
    );
    for (at, line) in lines.iter().enumerate() {
        let y = MARGIN + (at + 1) * LINE - 5;
        let class = class(&line.text);
        let text = escaped(&line.text);
        let _ = writeln!(
            svg,
            "<text id=\"l{at}\" class=\"{class}\" x=\"{MARGIN}\" y=\"{y}\">{text}</text>"
        );
    }
    svg + "</g></svg>\n</svg>\n"
}

/// The steps in a picture, escaped.
pub(super) fn steps(picture: &str) -> impl Iterator<Item = &str> {
    let lines =
        picture.lines().filter_map(|line| line.split_once("\">")?.1.strip_suffix("</text>"));
    lines.filter(|line| line.starts_with(STEP))
}

/// `text` in an element of XML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The lines at a pace to read, below the command, and cut to the width of the terminal.
fn paced(command: &str, lines: &[Line]) -> Vec<Line> {
    let mut at = Duration::ZERO;
    let mut before = Duration::ZERO;
    let mut paced = vec![Line { at, text: format!("$ {command}") }];
    for line in lines {
        let gap = line.at.saturating_sub(before).clamp(SOONEST, LATEST);
        before = line.at;
        at += if line.text.starts_with(STEP) { gap.max(READING) } else { gap };
        paced.push(Line { at, text: cut(&line.text) });
    }
    paced
}

fn cut(text: &str) -> String {
    if text.chars().count() <= COLUMNS {
        return text.to_owned();
    }
    text.chars().take(COLUMNS - 1).chain(['…']).collect()
}

fn class(text: &str) -> &'static str {
    match text.trim_start().chars().next() {
        Some('$') => "typed",
        Some('✓') => "good",
        Some(STEP) => "step",
        _ => "plain",
    }
}

/// Each line is shown from its time on, and the terminal scrolls when it is full.
fn style(lines: &[Line], end: Duration) -> String {
    let percent = |at: Duration| 100.0 * at.as_secs_f64() / end.as_secs_f64();
    let scrolled = |shown: usize| shown.saturating_sub(ROWS) * LINE;
    let mut style = format!(
        ".panel{{fill:#0f1720;stroke:#3b4654}}.dots{{fill:#4a5766}}\
         text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre;fill:#c3ced9}}\
         .name{{text-anchor:middle;fill:#8b98a6}}.typed,.step{{fill:#fff;font-weight:600}}.good{{fill:#5bd6a0}}\n\
         .all{{transform:translateY(-{}px);animation:all {:.2}s step-end infinite}}\n",
        scrolled(lines.len()),
        end.as_secs_f64(),
    );
    let mut scroll = String::from("@keyframes all{0%{transform:none}");
    for (at, line) in lines.iter().enumerate() {
        let seconds = end.as_secs_f64();
        let shown = percent(line.at);
        let _ = writeln!(
            style,
            "#l{at}{{animation:l{at} {seconds:.2}s step-end infinite}}@keyframes l{at}{{0%{{opacity:0}}{shown:.2}%{{opacity:1}}}}"
        );
        if scrolled(at + 1) > 0 {
            let _ = write!(scroll, "{shown:.2}%{{transform:translateY(-{}px)}}", scrolled(at + 1));
        }
    }
    style + &scroll + "}\n@media (prefers-reduced-motion:reduce){*{animation:none!important}}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(millis: u64, text: &str) -> Line {
        Line { at: Duration::from_millis(millis), text: text.to_owned() }
    }

    #[test]
    fn long_waits_are_shortened_and_steps_are_left_to_read() {
        let run = [line(60_000, "built"), line(60_001, "● one"), line(60_002, "  ✓ done")];
        let times = paced("x", &run).iter().map(|line| line.at.as_millis()).collect::<Vec<_>>();
        assert_eq!(times, [0, 2000, 3900, 4010]);
    }

    #[test]
    fn lines_beyond_the_last_row_scroll() {
        let run = (0..30).map(|at| line(at * 500, "x")).collect::<Vec<_>>();
        let svg = draw("x", &run);
        assert!(
            svg.contains(".all{transform:translateY(-180px)"),
            "31 lines in 22 rows of 20 pixels: {svg}"
        );
        assert_eq!(svg.matches("{transform:translateY(-").count(), 10);
    }

    #[test]
    fn long_lines_are_cut_and_marked() {
        let cut = cut(&"é".repeat(200));
        assert_eq!(cut.chars().count(), COLUMNS);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn text_is_escaped() {
        let svg = draw("a & b", &[line(0, "<script>")]);
        assert!(svg.contains(">&lt;script&gt;</text>") && svg.contains("$ a &amp; b"), "{svg}");
    }
}
