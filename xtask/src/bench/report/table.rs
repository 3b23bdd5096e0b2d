//! Tables in Markdown.

use crate::bench::{results::Rounds, statistics::number};

/// A table. The rows of our own service are bold.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&cell| cell.to_owned()).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, is_ours: bool, cells: &[String]) {
        let mut cells = cells.to_vec();
        if let Some(name) = cells.first_mut().filter(|_| is_ours) {
            *name = format!("**{name}**");
        }
        self.rows.push(cells);
    }

    /// The table, or nothing if it has no rows.
    pub(super) fn render(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = "|---".repeat(self.head.len());
        let rows = self.rows.iter().map(|row| line(row)).collect::<String>();
        format!("{}{rule}|\n{rows}", line(&self.head))
    }
}

/// A value, or a dash for none.
pub(super) fn measured(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}

/// The median, with the least and the greatest of several rounds.
pub(super) fn with_range(rounds: &Rounds) -> String {
    match (rounds.median(), rounds.range()) {
        (Some(median), Some((least, most))) if least < most => {
            format!("{} ({}–{})", number(median), number(least), number(most))
        }
        (median, _) => measured(median),
    }
}

/// How many times as much a value is.
pub(super) fn times(value: Option<f64>, of: Option<f64>) -> String {
    let ratio = value.zip(of).filter(|(_, of)| *of > 0.0).map(|(value, of)| value / of);
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{}×", number(ratio)))
}
