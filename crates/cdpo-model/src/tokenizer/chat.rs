//! The chat templates that a model's files bring, as text; nothing here renders them.
//!
//! Goes in: `chat_template` of tokenizer_config.json (a text, or several with names), the file chat_template.jinja, which counts before
//! it, or a GGUF file's metadata. Comes out: the templates with where they are from.

use serde_json::Value;

use super::declared;

/// The file that holds a template alone.
pub(super) const FILE: &str = "chat_template.jinja";
/// The key of tokenizer_config.json, and its name among a model's settings.
pub(super) const KEY: &str = "chat_template";
const DEFAULT: &str = "default";

/// A model's chat templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatTemplates {
    origin: String,
    named: Vec<(String, String)>,
}

impl ChatTemplates {
    /// A single template.
    pub(super) fn one(origin: &str, text: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            named: vec![(DEFAULT.to_owned(), text.to_owned())],
        }
    }

    /// From `settings`, which are tokenizer_config.json's, and the text of chat_template.jinja; a note where the former are of no known
    /// form.
    pub(super) fn read(
        settings: &Value,
        file: Option<&str>,
        notes: &mut Vec<String>,
    ) -> Option<Self> {
        if let Some(text) = file {
            return Some(Self::one(FILE, text));
        }
        let value = settings.get(KEY).filter(|value| !value.is_null())?;
        if let Some(text) = value.as_str() {
            return Some(Self::one(declared::CONFIG, text));
        }
        let named: Option<Vec<(String, String)>> = match value {
            Value::Array(list) => list
                .iter()
                .map(|one| Some((text(one, "name")?, text(one, "template")?)))
                .collect(),
            Value::Object(map) => map
                .iter()
                .map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
                .collect(),
            _ => None,
        };
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            notes.push(format!(
                "{KEY} in {} is neither a text nor a list of names and templates: it is left out",
                declared::CONFIG
            ));
            return None;
        };
        Some(Self {
            origin: declared::CONFIG.to_owned(),
            named,
        })
    }

    /// The file, or the key of a GGUF file's metadata, that they are from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The template of a conversation without tools: the one called `default`. `None` if there are others alone.
    pub fn default_one(&self) -> Option<&str> {
        let found = self.named.iter().find(|(name, _)| name == DEFAULT);
        found.map(|(_, text)| text.as_str())
    }

    /// What they are called.
    pub fn names(&self) -> Vec<&str> {
        self.named.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    Some(value.get(name)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(template: &Value, file: Option<&str>) -> (Option<ChatTemplates>, usize) {
        let mut notes = Vec::new();
        let found = ChatTemplates::read(&json!({ "chat_template": template }), file, &mut notes);
        (found, notes.len())
    }

    #[test]
    fn each_form_gives_its_default_and_the_file_counts_first() {
        let of = |found: &(Option<ChatTemplates>, usize)| {
            let found = found.0.as_ref().unwrap();
            (
                found.origin().to_owned(),
                found.default_one().map(str::to_owned),
            )
        };
        let some = |origin: &str, text: &str| (origin.to_owned(), Some(text.to_owned()));
        assert_eq!(of(&read(&json!("a"), None)), some(declared::CONFIG, "a"));
        assert_eq!(of(&read(&json!("a"), Some("b"))), some(FILE, "b"));
        let list =
            json!([{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]);
        assert_eq!(of(&read(&list, None)), some(declared::CONFIG, "d"));
        let map = json!({"rag": "r"});
        let found = read(&map, None).0.unwrap();
        assert_eq!((found.default_one(), found.names()), (None, vec!["rag"]));
        assert_eq!(read(&Value::Null, None), (None, 0));
        assert_eq!(read(&json!([{"name": "default"}]), None), (None, 1));
        assert_eq!(read(&json!(3), None), (None, 1));
    }
}
