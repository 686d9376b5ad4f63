//! One value of a table, with its numbers as the file writes them: JSON text goes in, cells come out.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A row's cells by column name.
pub(crate) type Columns = BTreeMap<String, Cell>;

/// What stands in one column of one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number as written. It is not made an `f64`, in which a gold answer of more than 17 digits would lose some, and `1e3`
    /// its form.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Cell>),
    /// An object's cells, in order.
    Object(Vec<(String, Cell)>),
}

impl Cell {
    /// Whether nothing stands here: null, or no letter of text, as a CSV file has it.
    pub(crate) fn is_absent(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// The whole number that a cell holds, as a number (`5`, `5.0`) or as a text (`"5"`, as a CSV file has it).
    pub(crate) fn whole(&self) -> Option<u64> {
        let (Self::Number(text) | Self::Text(text)) = self else {
            return None;
        };
        let text = text.trim();
        let digits = match text.split_once('.') {
            Some((digits, zeros)) if zeros.bytes().all(|b| b == b'0') => digits,
            _ => text,
        };
        digits.parse().ok()
    }

    /// True or false, as such or as a text that says so (`"true"`, `"False"`, as a CSV file has it).
    pub(crate) fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// What kind of value this is, for messages.
    pub(crate) fn described(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// The cell in a JSON text, `depth` lists deep.
    fn of(raw: &RawValue, depth: usize) -> Result<Self, String> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'"') => Self::Text(serde_json::from_str(text).map_err(not_json)?),
            Some(b'[') if depth == MAX_DEPTH => {
                return Err(format!(
                    "lists stand more than {MAX_DEPTH} deep in each other"
                ));
            }
            Some(b'[') => Self::List(
                serde_json::from_str::<Vec<&RawValue>>(text)
                    .map_err(not_json)?
                    .into_iter()
                    .map(|item| Self::of(item, depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            // No reader asks for what stands so deep.
            Some(b'{') if depth == MAX_DEPTH => Self::Object(Vec::new()),
            Some(b'{') => {
                let Object(cells) = serde_json::from_str(text).map_err(not_json)?;
                Self::Object(
                    cells
                        .into_iter()
                        .map(|(name, raw)| Ok((name, Self::of(raw, depth + 1)?)))
                        .collect::<Result<_, String>>()?,
                )
            }
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') => Self::Null,
            _ => Self::Number(text.to_owned()),
        })
    }
}

/// Every level reads its text again, and takes from the stack.
const MAX_DEPTH: usize = 16;

#[allow(
    clippy::needless_pass_by_value,
    reason = "the form that map_err asks for"
)]
fn not_json(error: serde_json::Error) -> String {
    format!("not JSON: {}", crate::jsonl::json_reason(&error))
}

/// One row of JSON Lines.
///
/// # Errors
/// The reason, with the column of the line: not JSON, no object, or a column that stands there twice.
pub(crate) fn json_row(bytes: &[u8]) -> Result<Columns, String> {
    let row: &RawValue = serde_json::from_slice(bytes).map_err(not_json)?;
    if !row.get().starts_with('{') {
        let kind = Cell::of(row, 0)?.described();
        return Err(format!("{kind}: an object is expected"));
    }
    let Object(cells) = serde_json::from_str(row.get()).map_err(not_json)?;
    let mut columns = Columns::new();
    for (name, raw) in cells {
        let cell = Cell::of(raw, 0)?;
        if columns.contains_key(&name) {
            return Err(format!(
                "the column {name:?} stands there twice: which one is meant cannot be told"
            ));
        }
        columns.insert(name, cell);
    }
    Ok(columns)
}

/// An object's names and values in the order of the text, repeated names included.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut cells = Vec::new();
                while let Some(cell) = map.next_entry()? {
                    cells.push(cell);
                }
                Ok(Object(cells))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(columns[name], number(text));
        }
        assert_eq!(
            columns["g"],
            Cell::List(vec![number("1.0e-7"), number("2")])
        );
    }

    #[test]
    fn other_values_are_what_they_were() {
        let row = br#" {"\u0061":"x\n\u00e9","b":true,"c":null,"d":{"e":1},"f":[["g",false]]} "#;
        let columns = json_row(row).unwrap();
        assert_eq!(columns["a"], Cell::Text("x\né".into()));
        assert_eq!(columns["b"], Cell::Bool(true));
        assert_eq!(columns["c"], Cell::Null);
        assert_eq!(columns["d"], Cell::Object(vec![("e".into(), number("1"))]));
        let inner = Cell::List(vec![Cell::Text("g".into()), Cell::Bool(false)]);
        assert_eq!(columns["f"], Cell::List(vec![inner]));
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
    fn whole_numbers_and_truths_are_read_from_values_and_from_texts() {
        for (cell, whole) in [
            (number("5"), Some(5)),
            (number("5.0"), Some(5)),
            (number("5.5"), None),
            (number("-5"), None),
            (number("1e3"), None),
            (Cell::Text(" 3 ".into()), Some(3)),
            (Cell::Text("x".into()), None),
            (Cell::Bool(true), None),
        ] {
            assert_eq!(cell.whole(), whole, "{cell:?}");
        }
        assert_eq!(Cell::Text("True".into()).truth(), Some(true));
        assert_eq!(Cell::Text("false".into()).truth(), Some(false));
        assert_eq!(Cell::Bool(false).truth(), Some(false));
        assert_eq!(number("1").truth(), None);
    }
}
