//! What transformers' Jinja has and the template engine has otherwise: functions, filters, tests, and how values are printed.

use std::sync::Arc;

use chrono::format::{Item, StrftimeItems};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use super::undefined::Undefined;
use crate::Result;

type Rendered<T> = std::result::Result<T, Error>;

/// The day that a template takes for today, at midnight.
///
/// # Errors
/// [`crate::Error::Setting`] if it is no date.
pub(super) fn date(text: Option<&str>) -> Result<Option<NaiveDateTime>> {
    let read = |text: &str| {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(|date| date.and_time(NaiveTime::MIN))
            .map_err(|_| {
                crate::Error::Setting(format!("date {text:?}: a day is expected, as YYYY-MM-DD"))
            })
    };
    text.map(read).transpose()
}

/// Makes the environment transformers'.
pub(super) fn add(
    environment: &mut Environment<'_>,
    today: Option<NaiveDateTime>,
    undefined: &Arc<Undefined>,
) {
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", move |format: &str| {
        strftime_now(format, today)
    });
    environment.add_filter("tojson", to_json);
    // In Python a text is a sequence and can be gone through.
    environment.add_test("sequence", |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::String | ValueKind::Seq | ValueKind::Map
        )
    });
    environment.add_test("iterable", |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable
        )
    });
    let undefined = Arc::clone(undefined);
    environment.set_formatter(move |out, _, value| {
        let text = match value.kind() {
            ValueKind::Undefined => return undefined.print(value),
            ValueKind::Bool if value.is_true() => "True".into(),
            ValueKind::Bool => "False".into(),
            ValueKind::None => "None".into(),
            ValueKind::Seq | ValueKind::Map => {
                return Err(invalid(format!(
                    "it prints {}, whose form is Python's own: only texts, numbers and truth values can be printed",
                    kind(value)
                )));
            }
            _ => value.to_string(),
        };
        out.write_str(&text).map_err(Error::from)
    });
}

fn kind(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Seq => "a list",
        ValueKind::Map => "a mapping",
        _ => "a value",
    }
}

fn invalid(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

fn raise_exception(message: &str) -> Rendered<Value> {
    Err(invalid(format!("it refuses the messages: {message}")))
}

fn strftime_now(format: &str, today: Option<NaiveDateTime>) -> Rendered<String> {
    let Some(today) = today else {
        return Err(invalid(
            "it writes today's date, so that prompts would change from one day to the next: set the date that it writes (prompt.date = \
             \"YYYY-MM-DD\")",
        ));
    };
    if StrftimeItems::new(format).any(|item| matches!(item, Item::Error)) {
        return Err(invalid(format!(
            "strftime_now: {format:?} is no format of a date"
        )));
    }
    Ok(today.format(format).to_string())
}

/// Python's `json.dumps`, with its arguments.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the form that add_filter asks for"
)]
fn to_json(value: &Value, options: Kwargs) -> Rendered<String> {
    let separators: Option<Vec<String>> = match options.get::<Option<Value>>("separators")? {
        None => None,
        Some(pair) => Some(pair.try_iter()?.map(|part| part.to_string()).collect()),
    };
    let indent: Option<usize> = options.get("indent")?;
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => return Err(invalid("tojson: separators are two texts")),
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
    };
    let json = Json {
        ascii: options
            .get::<Option<bool>>("ensure_ascii")?
            .unwrap_or(false),
        sorted: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        item,
        key,
    };
    options.assert_all_used()?;
    let mut out = String::new();
    json.write(value, 0, &mut out)?;
    Ok(out)
}

/// How JSON is written.
struct Json {
    ascii: bool,
    sorted: bool,
    indent: Option<usize>,
    /// Between items.
    item: String,
    /// Between key and value.
    key: String,
}

impl Json {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Rendered<()> {
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&value.to_string()),
            ValueKind::String => self.text(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.group(['[', ']'], items, depth, out, |item, out| {
                    self.write(&item, depth + 1, out)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sorted {
                    keys.sort();
                }
                self.group(['{', '}'], keys, depth, out, |name, out| {
                    self.text(&name.to_string(), out);
                    out.push_str(&self.key);
                    self.write(&value.get_item(&name)?, depth + 1, out)
                })?;
            }
            other => return Err(invalid(format!("tojson: {other} has no form in JSON"))),
        }
        Ok(())
    }

    fn group(
        &self,
        ends: [char; 2],
        items: Vec<Value>,
        depth: usize,
        out: &mut String,
        mut write: impl FnMut(Value, &mut String) -> Rendered<()>,
    ) -> Rendered<()> {
        let line = |depth: usize, out: &mut String| {
            if let Some(indent) = self.indent {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent * depth));
            }
        };
        out.push(ends[0]);
        let empty = items.is_empty();
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                out.push_str(&self.item);
            }
            line(depth + 1, out);
            write(item, out)?;
        }
        if !empty {
            line(depth, out);
        }
        out.push(ends[1]);
        Ok(())
    }

    fn text(&self, text: &str, out: &mut String) {
        let json = serde_json::Value::from(text).to_string();
        if !self.ascii {
            out.push_str(&json);
            return;
        }
        for c in json.chars() {
            if c.is_ascii() {
                out.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend(["\\u", &format!("{unit:04x}")]);
            }
        }
    }
}
