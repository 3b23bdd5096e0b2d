//! Tables for people.

use std::fmt::Write as _;

use anstyle::Style;

/// Rows of cells in columns that are as wide as their longest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    /// A table with a row of titles.
    pub(crate) fn titled(titles: &[&str]) -> Self {
        let bold = Style::new().bold();
        let titles = titles.iter().map(|title| ((*title).to_owned(), bold));
        Self { rows: vec![titles.collect()] }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        self.add_styled(cells.into_iter().map(|cell| (cell, Style::new())));
    }

    /// Adds a row of cells with their styles.
    pub(crate) fn add_styled(&mut self, cells: impl IntoIterator<Item = (String, Style)>) {
        let visible = |text: String| text.replace(char::is_control, "\u{fffd}");
        self.rows.push(cells.into_iter().map(|(text, style)| (visible(text), style)).collect());
    }

    /// The text, a line for each row.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(text, _)| text.chars().count()).max().unwrap_or_default()
        };
        let widths = (0..columns).map(width).collect::<Vec<_>>();
        self.rows.iter().map(|row| line(row, &widths)).collect()
    }
}

fn line(row: &[(String, Style)], widths: &[usize]) -> String {
    let mut line = String::new();
    for (column, ((text, style), width)) in row.iter().zip(widths).enumerate() {
        let is_last = column + 1 == row.len();
        let padding = if is_last { 0 } else { width - text.chars().count() + 2 };
        // Writing to a string does not fail.
        let _ = write!(line, "{style}{text}{style:#}{:padding$}", "");
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let mut table = Table::default();
        table.add(["a".to_owned(), "b".to_owned()]);
        table.add(["long".to_owned(), String::new()]);
        assert_eq!(table.text(), "a     b\nlong  \n");
    }

    #[test]
    fn text_from_elsewhere_does_not_steer_the_terminal() {
        let mut table = Table::default();
        table.add(["\u{1b}[2J\n".to_owned()]);
        assert_eq!(table.text(), "\u{fffd}[2J\u{fffd}\n");
    }
}
