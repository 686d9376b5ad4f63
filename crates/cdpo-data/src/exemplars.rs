//! Few-shot exemplars: embedded sets with their source and licence, and sets from a file of the same form.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::record::check_text;
use crate::{Error, Result};

/// One worked example of a few-shot prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemplar {
    /// The question.
    pub question: String,
    /// The worked response, without the space a response begins with.
    pub rationale: String,
    /// Its final answer, for reference: the rationale states it too.
    pub answer: String,
}

impl Exemplar {
    /// The response as a model should continue the prompt: a space, then the rationale.
    pub fn response(&self) -> String {
        format!(" {}", self.rationale)
    }
}

/// A set of exemplars and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExemplarSet {
    /// Short name.
    pub name: String,
    /// Who published the exemplars, and where.
    pub source: String,
    /// Under what licence.
    pub licence: String,
    /// The exemplars, in prompt order.
    pub exemplars: Vec<Exemplar>,
}

impl ExemplarSet {
    /// A set from JSON text; `origin` names it in errors.
    ///
    /// # Errors
    /// [`Error::File`] if the text has not this form, or an exemplar has an empty field.
    fn from_json(text: &str, origin: impl AsRef<Path>) -> Result<Self> {
        let set: Self = serde_json::from_str(text).map_err(|e| {
            Error::file(
                &origin,
                format!("not a set of exemplars (name, source, licence, exemplars: [question, rationale, answer]): {e}"),
            )
        })?;
        for (i, exemplar) in set.exemplars.iter().enumerate() {
            check_text("question", &exemplar.question)
                .and_then(|()| check_text("rationale", &exemplar.rationale))
                .map_err(|reason| Error::file(&origin, format!("exemplar {}: {reason}", i + 1)))?;
        }
        Ok(set)
    }

    /// A set from a file.
    ///
    /// # Errors
    /// [`Error::File`] if it is no set of exemplars; [`Error::Io`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
        Self::from_json(&text, path)
    }
}

/// The 8 GSM8K exemplars of chain-of-thought prompting.
///
/// # Errors
/// None in a build whose tests pass: the set is part of the program.
pub fn gsm8k_8shot() -> Result<ExemplarSet> {
    ExemplarSet::from_json(
        include_str!("../exemplars/gsm8k_8shot.json"),
        "gsm8k_8shot.json",
    )
}

/// The 4 MATH exemplars of the Minerva prompt.
///
/// # Errors
/// None in a build whose tests pass: the set is part of the program.
pub fn math_4shot() -> Result<ExemplarSet> {
    ExemplarSet::from_json(
        include_str!("../exemplars/math_4shot.json"),
        "math_4shot.json",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Framing;

    #[test]
    fn the_embedded_sets_have_8_and_4_exemplars_with_source_and_licence() {
        let (gsm8k, math) = (gsm8k_8shot().unwrap(), math_4shot().unwrap());
        assert_eq!((gsm8k.exemplars.len(), math.exemplars.len()), (8, 4));
        for set in [&gsm8k, &math] {
            assert!(set.source.contains("arXiv") && set.licence.contains("Apache-2.0"));
        }
        for exemplar in &gsm8k.exemplars {
            assert!(
                exemplar
                    .rationale
                    .ends_with(&format!("The answer is {}.", exemplar.answer))
            );
        }
        for exemplar in &math.exemplars {
            let closing = format!(
                "The final answer is ${}$. I hope it is correct.",
                exemplar.answer
            );
            assert!(exemplar.rationale.ends_with(&closing));
        }
    }

    #[test]
    fn no_exemplar_contains_a_stop_string_or_outer_white_space() {
        for (set, framing) in [
            (gsm8k_8shot(), Framing::gsm8k()),
            (math_4shot(), Framing::math()),
        ] {
            for exemplar in set.unwrap().exemplars {
                assert!(
                    !framing
                        .stop
                        .iter()
                        .any(|stop| exemplar.rationale.contains(stop))
                );
                assert_eq!(exemplar.question.trim(), exemplar.question);
                assert_eq!(exemplar.rationale.trim(), exemplar.rationale);
            }
        }
    }

    #[test]
    fn a_broken_set_names_the_file_and_the_exemplar() {
        let text = r#"{"name":"n","source":"s","licence":"l","exemplars":[{"question":" ","rationale":"r","answer":"1"}]}"#;
        let message = ExemplarSet::from_json(text, "mine.json")
            .unwrap_err()
            .to_string();
        assert_eq!(message, "mine.json: exemplar 1: question is empty");
        let message = ExemplarSet::from_json("[]", "mine.json")
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("mine.json: not a set of exemplars"),
            "{message}"
        );
    }
}
