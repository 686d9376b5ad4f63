//! One value of a table, with its numbers as the file writes them: JSON text goes in, cells come out.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

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
    /// Whatever stands in a column that nobody reads.
    Unread,
}

impl Cell {
    /// Whether nothing stands here: null, or a text of blanks at most, as a CSV file has it.
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
            Self::Unread => "not read",
        }
    }

    /// The cell in a JSON text, `depth` lists deep.
    pub(crate) fn of(raw: &RawValue, depth: usize) -> Result<Self, String> {
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

/// An object's names and values in the order of the text, repeated names included.
pub(crate) struct Object<'a>(pub(crate) Vec<(String, &'a RawValue)>);

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

/// Every level reads its text again, and takes from the stack.
pub(crate) const MAX_DEPTH: usize = 16;

#[allow(
    clippy::needless_pass_by_value,
    reason = "the form that map_err asks for"
)]
pub(crate) fn not_json(error: serde_json::Error) -> String {
    format!("not JSON: {}", crate::jsonl::json_reason(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Cell {
        Cell::Number(text.into())
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
