//! How a question becomes a prompt: the same framing at sampling, training and evaluation.
//!
//! Few-shot prefix, prompt and response are encoded apart and joined as ids; nothing here ends in a space that could merge
//! with a response's first token.

use serde::{Deserialize, Serialize};

use crate::{Error, Exemplar, Result};

/// The text around a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framing {
    /// Stands before the question: `"Question: "`.
    pub question_prefix: String,
    /// Stands between question and response: `"\nAnswer:"`. A response begins with a space of its own.
    pub answer_prefix: String,
    /// Stands behind each exemplar: a blank line.
    pub separator: String,
    /// A response ends where one of these begins.
    pub stop: Vec<String>,
}

impl Framing {
    /// GSM8K: `Question: ..\nAnswer:`.
    pub fn gsm8k() -> Self {
        Self {
            question_prefix: "Question: ".into(),
            answer_prefix: "\nAnswer:".into(),
            separator: "\n\n".into(),
            stop: vec!["\n\nQuestion:".into()],
        }
    }

    /// MATH: `Problem: ..\nSolution:`.
    pub fn math() -> Self {
        Self {
            question_prefix: "Problem: ".into(),
            answer_prefix: "\nSolution:".into(),
            separator: "\n\n".into(),
            stop: vec!["\n\nProblem:".into()],
        }
    }

    /// The zero-shot prompt of a question.
    pub fn prompt(&self, question: &str) -> String {
        format!("{}{question}{}", self.question_prefix, self.answer_prefix)
    }

    /// The few-shot prefix: each exemplar's question and response, each followed by the separator. Empty without exemplars.
    pub fn few_shot(&self, exemplars: &[Exemplar]) -> String {
        let mut text = String::new();
        for exemplar in exemplars {
            text.push_str(&self.prompt(&exemplar.question));
            text.push_str(&exemplar.response());
            text.push_str(&self.separator);
        }
        text
    }

    /// Checks that the framing can work, reporting all faults together.
    ///
    /// # Errors
    /// [`Error::Setting`] if a stop string is empty, or if a prefix ends in a space that would swallow a response's first token.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Vec::new();
        if self.stop.iter().any(String::is_empty) {
            faults.push(
                "framing.stop: an empty stop string would end every response at once".to_string(),
            );
        }
        if self.answer_prefix.is_empty() {
            faults.push(
                "framing.answer_prefix is empty: nothing would tell question and response apart"
                    .to_string(),
            );
        }
        if self.answer_prefix.ends_with(' ') {
            faults.push(format!(
                "framing.answer_prefix {:?} ends in a space, which tokenizers merge with the response's first word: drop it, responses bring their own",
                self.answer_prefix
            ));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Setting(faults.join("\n")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(question: &str, rationale: &str) -> Exemplar {
        Exemplar {
            question: question.into(),
            rationale: rationale.into(),
            answer: "4".into(),
        }
    }

    #[test]
    fn few_shot_prefix_and_prompt_join_to_the_published_layout() {
        let framing = Framing::gsm8k();
        let text = framing.few_shot(&[exemplar("2+2?", "It is 4."), exemplar("1+3?", "Also 4.")])
            + &framing.prompt("3+1?");
        assert_eq!(
            text,
            "Question: 2+2?\nAnswer: It is 4.\n\nQuestion: 1+3?\nAnswer: Also 4.\n\nQuestion: 3+1?\nAnswer:"
        );
        assert_eq!(Framing::math().prompt("x"), "Problem: x\nSolution:");
        assert_eq!(framing.few_shot(&[]), "");
    }

    #[test]
    fn faults_of_a_framing_are_reported_together() {
        let mut framing = Framing::gsm8k();
        framing.validate().unwrap();
        Framing::math().validate().unwrap();
        framing.answer_prefix = "\nAnswer: ".into();
        framing.stop.push(String::new());
        let message = framing.validate().unwrap_err().to_string();
        assert!(
            message.contains("framing.stop") && message.contains("ends in a space"),
            "{message}"
        );
    }

    #[test]
    fn an_unknown_framing_key_is_an_error() {
        let text =
            r#"{"question_prefix":"Q","answer_prefix":"A","separator":"","stop":[],"stops":[]}"#;
        assert!(
            serde_json::from_str::<Framing>(text)
                .unwrap_err()
                .to_string()
                .contains("stops")
        );
    }
}
