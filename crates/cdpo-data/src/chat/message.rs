//! One message of a conversation, and conversations in the cells of a user's file.

use std::collections::BTreeMap;

use minijinja::value::Value;

use crate::cell::Cell;

/// What someone says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant`, or another that the template knows.
    pub role: String,
    /// What is said.
    pub content: String,
    /// Further texts that a template may read: `name`, `reasoning_content`.
    pub more: BTreeMap<String, String>,
}

/// Names of a message's reasoning; templates read one of the first two.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

impl Message {
    /// A message without further texts.
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        Self {
            role: role.to_owned(),
            content: content.into(),
            more: BTreeMap::new(),
        }
    }

    /// What the template sees; a message's reasoning under both names, as in transformers.
    pub(super) fn value(&self) -> Value {
        let mut fields = vec![
            ("role".to_owned(), self.role.clone()),
            ("content".to_owned(), self.content.clone()),
        ];
        let reasoning = REASONING.iter().find_map(|name| self.more.get(*name));
        let own = self.more.iter().map(|(k, v)| (k.clone(), v.clone()));
        fields.extend(own.filter(|(name, _)| name != REASONING[0]));
        if let Some(reasoning) = reasoning {
            fields.push((REASONING[0].to_owned(), reasoning.clone()));
            if !self.more.contains_key(REASONING[1]) {
                fields.push((REASONING[1].to_owned(), reasoning.clone()));
            }
        }
        Value::from_pairs(fields)
    }
}

/// Whether a cell holds messages: a list of objects, or a list's text, as a CSV file has it.
pub(crate) fn is_conversation(cell: &Cell) -> bool {
    match cell {
        Cell::List(items) => items.iter().all(|item| matches!(item, Cell::Object(_))),
        Cell::Text(text) => ["'role'", "\"role\"", "'content'", "\"content\""]
            .iter()
            .any(|key| text.strip_prefix("[{").is_some_and(|t| t.starts_with(key))),
        _ => false,
    }
}

/// The messages of a cell; `column` is its name.
///
/// # Errors
/// The reason: no list of messages, an empty one, a message without role or with a content that is no text.
pub(crate) fn messages(column: &str, cell: &Cell) -> Result<Vec<Message>, String> {
    let Cell::List(items) = cell else {
        return Err(format!(
            "{column} is {}: a list of messages is expected, in JSON Lines or Parquet",
            cell.described()
        ));
    };
    if items.is_empty() {
        return Err(format!("{column} has no messages"));
    }
    let message = |(i, item): (usize, &Cell)| {
        message(item).map_err(|reason| format!("{column}[{i}]: {reason}"))
    };
    items.iter().enumerate().map(message).collect()
}

fn message(cell: &Cell) -> Result<Message, String> {
    let Cell::Object(fields) = cell else {
        return Err(format!(
            "{}: a message with role and content is expected",
            cell.described()
        ));
    };
    let mut message = Message::new("", "");
    let (mut role, mut content) = (false, false);
    for (name, value) in fields {
        let text = match value {
            // What is null is not there, as in transformers.
            Cell::Null => continue,
            Cell::Text(text) => text.clone(),
            other => {
                return Err(format!(
                    "{name} is {}: only messages of text are supported; take {name} out, or write it as text",
                    other.described()
                ));
            }
        };
        match name.as_str() {
            "role" => (message.role, role) = (text, true),
            "content" => (message.content, content) = (text, true),
            _ => {
                message.more.insert(name.clone(), text);
            }
        }
    }
    match (role, content) {
        (true, true) => Ok(message),
        (false, _) => Err("there is no role".into()),
        (_, false) => Err("there is no content".into()),
    }
}
