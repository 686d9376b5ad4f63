//! A rectangle of text cells: headings and rows in; Markdown, aligned plain text or CSV out.

use std::fmt::Write as _;

/// How a column's cells line up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Headings with their alignment, and rows of as many cells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Grid {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A grid of these columns, without rows.
    pub(crate) fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        Self {
            columns: columns
                .into_iter()
                .map(|(title, align)| (title.into(), align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Appends a row; missing cells are empty and surplus ones are dropped.
    pub(crate) fn push(&mut self, mut cells: Vec<String>) {
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// A GitHub-flavoured Markdown table, padded to be legible as text; ends with a newline.
    pub(crate) fn markdown(&self) -> String {
        let escape = |text: &str| {
            text.replace('\\', "\\\\")
                .replace('|', "\\|")
                .replace(['\n', '\r'], " ")
        };
        let titles: Vec<String> = self
            .columns
            .iter()
            .map(|(title, _)| escape(title))
            .collect();
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| escape(cell)).collect())
            .collect();
        let widths = widths(&titles, &rows, 3);
        let mut out = String::new();
        let mut line = |cells: &[String]| {
            out.push('|');
            for ((cell, width), (_, align)) in cells.iter().zip(&widths).zip(&self.columns) {
                out.push(' ');
                pad(&mut out, cell, *width, *align);
                out.push_str(" |");
            }
            out.push('\n');
        };
        line(&titles);
        let rule: Vec<String> = widths
            .iter()
            .zip(&self.columns)
            .map(|(&width, (_, align))| match align {
                Align::Left => "-".repeat(width),
                Align::Right => format!("{}:", "-".repeat(width - 1)),
            })
            .collect();
        line(&rule);
        for row in &rows {
            line(row);
        }
        out
    }

    /// Aligned columns two blanks apart under a ruled heading, for a terminal; ends with a newline.
    pub(crate) fn plain(&self) -> String {
        let titles: Vec<String> = self
            .columns
            .iter()
            .map(|(title, _)| title.clone())
            .collect();
        let widths = widths(&titles, &self.rows, 1);
        let mut out = String::new();
        let mut line = |cells: &[String]| {
            let start = out.len();
            for (i, ((cell, width), (_, align))) in
                cells.iter().zip(&widths).zip(&self.columns).enumerate()
            {
                if i > 0 {
                    out.push_str("  ");
                }
                pad(&mut out, cell, *width, *align);
            }
            let end = start + out[start..].trim_end().len();
            out.truncate(end);
            out.push('\n');
        };
        line(&titles);
        let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        line(&rule);
        for row in &self.rows {
            line(row);
        }
        out
    }

    /// Comma-separated values with a heading row (RFC 4180, but lines end with a bare newline).
    pub(crate) fn csv(&self) -> String {
        let mut out = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            for (i, cell) in cells.enumerate() {
                let comma = if i > 0 { "," } else { "" };
                let quoted = cell.contains([',', '"', '\n', '\r']);
                let _ = if quoted {
                    write!(out, "{comma}\"{}\"", cell.replace('"', "\"\""))
                } else {
                    write!(out, "{comma}{cell}")
                };
            }
            out.push('\n');
        };
        line(&mut self.columns.iter().map(|(title, _)| title.as_str()));
        for row in &self.rows {
            line(&mut row.iter().map(String::as_str));
        }
        out
    }
}

fn widths(titles: &[String], rows: &[Vec<String>], least: usize) -> Vec<usize> {
    let length = |text: &String| text.chars().count();
    (0..titles.len())
        .map(|i| {
            rows.iter()
                .map(|row| length(&row[i]))
                .chain([length(&titles[i]), least])
                .max()
                .unwrap_or(least)
        })
        .collect()
}

fn pad(out: &mut String, cell: &str, width: usize, align: Align) {
    let blanks = width - cell.chars().count().min(width);
    match align {
        Align::Left => {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', blanks));
        }
        Align::Right => {
            out.extend(std::iter::repeat_n(' ', blanks));
            out.push_str(cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new([("name", Align::Left), ("n", Align::Right)]);
        grid.push(vec!["a|b".into(), "7".into()]);
        grid.push(vec!["say \"γ, δ\"".into(), "1000".into()]);
        grid
    }

    #[test]
    fn markdown_escapes_bars_and_marks_numbers_right() {
        let expected = "\
| name       |    n |
| ---------- | ---: |
| a\\|b       |    7 |
| say \"γ, δ\" | 1000 |
";
        assert_eq!(grid().markdown(), expected);
    }

    #[test]
    fn plain_text_lines_up_by_characters_without_trailing_blanks() {
        let expected = "\
name           n
----------  ----
a|b            7
say \"γ, δ\"  1000
";
        assert_eq!(grid().plain(), expected);
    }

    #[test]
    fn csv_quotes_commas_and_doubles_quotes() {
        assert_eq!(grid().csv(), "name,n\na|b,7\n\"say \"\"γ, δ\"\"\",1000\n");
    }

    #[test]
    fn a_short_row_is_filled_up() {
        let mut grid = Grid::new([("a", Align::Left), ("b", Align::Left)]);
        grid.push(vec!["x".into()]);
        assert_eq!(grid.csv(), "a,b\nx,\n");
    }
}
