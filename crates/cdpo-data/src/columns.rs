//! A row's cells by the name of their column: JSON text goes in, cells come out, and the one rule of what is absent.
//!
//! A cell is absent if it is null or blank, whatever the file's kind: CSV has no null, and its empty field says the same. An absent cell
//! is as good as no column: what is optional is left out, another column of the same use is taken, and what is needed is an error.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::cell::{Cell, Object, not_json};

/// One row.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Columns(BTreeMap<String, Cell>);

impl Columns {
    /// The cell of a column, if something stands in it.
    pub(crate) fn present(&self, name: &str) -> Option<&Cell> {
        self.0.get(name).filter(|cell| !cell.is_absent())
    }

    /// The first of these columns in which something stands.
    pub(crate) fn first_of<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        let present = |name: &&str| self.present(name).is_some();
        names.iter().copied().find(present)
    }

    /// Whether the row has the column, with or without something in it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The text of a column that may be a string or a number.
    ///
    /// # Errors
    /// The reason, naming `role` and the column, if the column is missing, empty or of another kind.
    pub(crate) fn text(&self, column: &str, role: &str) -> Result<String, String> {
        match self.0.get(column) {
            None => Err(format!(
                "{role} is missing: there is no column {column:?} among {}",
                self.names()
            )),
            Some(cell) if cell.is_absent() => Err(format!(
                "{role} is empty (column {column:?}): a string or a number is expected"
            )),
            Some(Cell::Text(text) | Cell::Number(text)) => Ok(text.clone()),
            Some(other) => Err(format!(
                "{role} (column {column:?}) is {}: a string or a number is expected",
                other.described()
            )),
        }
    }

    /// The columns' names, for messages.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        format!("[{}]", names.join(", "))
    }
}

impl FromIterator<(String, Cell)> for Columns {
    fn from_iter<I: IntoIterator<Item = (String, Cell)>>(cells: I) -> Self {
        Self(cells.into_iter().collect())
    }
}

/// One row of JSON Lines. Of a column for which `wanted` does not hold only the name is read.
///
/// # Errors
/// The reason, with the column of the line: not JSON, no object, or a wanted column that stands there twice.
pub(crate) fn json_row(bytes: &[u8], wanted: &impl Fn(&str) -> bool) -> Result<Columns, String> {
    let row: &RawValue = serde_json::from_slice(bytes).map_err(not_json)?;
    if !row.get().starts_with('{') {
        let kind = Cell::of(row, 0)?.described();
        return Err(format!("{kind}: an object is expected"));
    }
    let Object(cells) = serde_json::from_str(row.get()).map_err(not_json)?;
    let mut columns = Columns::default();
    for (name, raw) in cells {
        let cell = if wanted(&name) {
            Cell::of(raw, 0)?
        } else {
            Cell::Unread
        };
        if cell != Cell::Unread && columns.has(&name) {
            return Err(format!(
                "the column {name:?} stands there twice: which one is meant cannot be told"
            ));
        }
        columns.0.insert(name, cell);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::MAX_DEPTH;

    fn json_row(bytes: &[u8]) -> Result<Columns, String> {
        super::json_row(bytes, &|name| name != "unread")
    }

    fn number(text: &str) -> Cell {
        Cell::Number(text.into())
    }

    #[test]
    fn a_number_keeps_its_digits_and_its_form() {
        let row = br#"{"a":18446744073709551617,"b":15511210043330985984000000,"c":0.1,"d": 1e3 ,"e":-0,"f":0.10,"g":[1.0e-7,2]}"#;
        let columns = json_row(row).unwrap();
        for (name, text) in [
            ("a", "18446744073709551617"),
            ("b", "15511210043330985984000000"),
            ("c", "0.1"),
            ("d", "1e3"),
            ("e", "-0"),
            ("f", "0.10"),
        ] {
            assert_eq!(columns.0[name], number(text));
        }
        assert_eq!(
            columns.0["g"],
            Cell::List(vec![number("1.0e-7"), number("2")])
        );
    }

    #[test]
    fn other_values_are_what_they_were() {
        let row = br#" {"\u0061":"x\n\u00e9","b":true,"c":null,"d":{"e":1},"f":[["g",false]]} "#;
        let columns = json_row(row).unwrap();
        assert_eq!(columns.0["a"], Cell::Text("x\né".into()));
        assert_eq!(columns.0["b"], Cell::Bool(true));
        assert_eq!(columns.0["c"], Cell::Null);
        assert_eq!(
            columns.0["d"],
            Cell::Object(vec![("e".into(), number("1"))])
        );
        let inner = Cell::List(vec![Cell::Text("g".into()), Cell::Bool(false)]);
        assert_eq!(columns.0["f"], Cell::List(vec![inner]));
    }

    #[test]
    fn what_is_no_row_has_its_reason() {
        for (row, reason) in [
            (&b"7"[..], "a number: an object is expected"),
            (b"[1]", "a list: an object is expected"),
            (b"not json", "not JSON: expected ident (column 2)"),
            (br#"{"a": 01}"#, "not JSON: invalid number (column 8)"),
            (
                br#"{"a": 1"#,
                "not JSON: EOF while parsing an object (column 7)",
            ),
            (br#"{"a": NaN}"#, "not JSON: expected value (column 7)"),
            (
                br#"{"a": 1} 2"#,
                "not JSON: trailing characters (column 10)",
            ),
            (
                br#"{"a": 1, "a": 2}"#,
                "the column \"a\" stands there twice: which one is meant cannot be told",
            ),
        ] {
            assert_eq!(json_row(row).unwrap_err(), reason);
        }
        assert!(
            json_row(b"{\"a\": \"\xff\"}")
                .unwrap_err()
                .starts_with("not JSON: ")
        );
        let deep = |n: usize| format!("{{\"a\": {}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(json_row(deep(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(
            json_row(deep(100_000).as_bytes()).unwrap_err(),
            "lists stand more than 16 deep in each other"
        );
    }

    #[test]
    fn null_and_blank_are_absent_alike() {
        for row in [
            &br#"{"a": null, "b": "x"}"#[..],
            br#"{"a": "", "b": "x"}"#,
            br#"{"a": " \t", "b": "x"}"#,
        ] {
            let columns = json_row(row).unwrap();
            assert_eq!(columns.present("a"), None);
            assert_eq!(columns.first_of(&["a", "b"]), Some("b"));
            assert_eq!(
                columns.text("a", "the answer").unwrap_err(),
                "the answer is empty (column \"a\"): a string or a number is expected"
            );
        }
    }

    #[test]
    fn a_column_that_nobody_reads_changes_nothing() {
        let deep = format!("{}{}", "[".repeat(99), "]".repeat(99));
        let row = format!("{{\"unread\": {deep}, \"a\": 1, \"unread\": \"\\ud800\"}}");
        let columns = json_row(row.as_bytes()).unwrap();
        assert_eq!(columns.present("a"), Some(&number("1")));
        assert_eq!(columns.names(), "[a, unread]");
    }
}
