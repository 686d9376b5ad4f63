//! The grader: extraction, comparison and grouping under one set of options.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::budget;
use crate::equal;
use crate::extract::{self, Extracted};
use crate::form::value::Value;
use crate::options::GradeOptions;
use crate::read;
use crate::refusal::Refusal;
use crate::syntax::Reading;
use crate::verdict::{Outcome, Verdict};

/// Grades responses against gold answers.
#[derive(Debug, Clone, Default)]
pub struct Grader {
    options: GradeOptions,
}

impl Grader {
    /// A grader with the given options.
    pub fn new(options: GradeOptions) -> Self {
        Self { options }
    }

    /// Grades `response` against `gold`: a bare answer, a `#### N` line, or a worked solution.
    pub fn grade(&self, response: &str, gold: &str) -> Verdict {
        let Some(found) = self.extract(response) else {
            return Verdict {
                outcome: Outcome::Unparsed,
                answer: None,
                key: None,
                rule: "none".into(),
                why: "no answer was found in the response".into(),
            };
        };
        let rule = found.rule.name().to_owned();
        let joined = matches!(found.text, Cow::Owned(_));
        let answer = found.text.into_owned();
        let value = match self.read(&answer) {
            Ok(value) => value,
            Err(refusal) => {
                let why = format!("the answer is not read: {refusal}");
                return Verdict {
                    outcome: Outcome::Unparsed,
                    answer: Some(answer),
                    key: None,
                    rule,
                    why,
                };
            }
        };
        // Two boxes around one value written twice are one answer.
        let value = match value {
            Value::List(mut items)
                if joined && items[1..].iter().all(|item| self.same(&items[0], item)) =>
            {
                items.swap_remove(0)
            }
            value => value,
        };
        let gold = extract::gold(gold, self.options.extraction);
        let (outcome, why) = match self.read(&gold) {
            Ok(gold) if self.same(&value, &gold) => {
                (Outcome::Correct, "equal to the gold answer".to_owned())
            }
            Ok(_) => (
                Outcome::Wrong,
                "not shown equal to the gold answer".to_owned(),
            ),
            Err(refusal) => (
                Outcome::Wrong,
                format!("the gold answer is not read: {refusal}"),
            ),
        };
        Verdict {
            outcome,
            answer: Some(answer),
            key: Some(value.key()),
            rule,
            why,
        }
    }

    /// Whether two answers are equal. Symmetric; `false` if either is refused.
    pub fn equal(&self, a: &str, b: &str) -> bool {
        match (self.read(a), self.read(b)) {
            (Ok(a), Ok(b)) => self.same(&a, &b),
            _ => false,
        }
    }

    fn read(&self, answer: &str) -> Result<Value, Refusal> {
        read::read(
            answer,
            Reading {
                decimal_comma: self.options.decimal_comma,
            },
        )
    }

    fn same(&self, a: &Value, b: &Value) -> bool {
        budget::start();
        equal::same(a, b, &self.options)
    }

    /// The canonical key of an answer: equal keys mean equal answers. `None` if it is refused.
    pub fn key(&self, answer: &str) -> Option<String> {
        self.read(answer).ok().map(|value| value.key())
    }

    /// Finds the answer of a response.
    pub fn extract<'a>(&self, response: &'a str) -> Option<Extracted<'a>> {
        let is_formula = |text: &str| !matches!(self.read(text), Err(_) | Ok(Value::Text(_)));
        extract::extract(response, self.options.extraction, &is_formula)
    }

    /// Groups the answers of one question: by key, then by equality with the first answer of each group.
    /// Returns a group index per answer, numbered by first appearance; an unparsed answer has none.
    pub fn group_answers(&self, answers: &[Option<&str>]) -> Vec<Option<usize>> {
        let mut by_key: HashMap<String, usize> = HashMap::new();
        let mut representatives: Vec<&str> = Vec::new();
        answers
            .iter()
            .map(|answer| {
                let answer = (*answer)?;
                let key = self.key(answer)?;
                if let Some(&group) = by_key.get(&key) {
                    return Some(group);
                }
                let group = representatives
                    .iter()
                    .position(|first| self.equal(first, answer))
                    .unwrap_or_else(|| {
                        representatives.push(answer);
                        representatives.len() - 1
                    });
                by_key.insert(key, group);
                Some(group)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(response: &str, gold: &str) -> Outcome {
        Grader::default().grade(response, gold).outcome
    }

    #[test]
    fn a_few_shot_response_is_graded_by_its_last_sentence() {
        assert_eq!(
            outcome("She has 5 + 3 = 8 eggs.\nThe answer is 8.", "blah\n#### 8"),
            Outcome::Correct
        );
        assert_eq!(
            outcome("So $1,234.00 is left. The answer is $1,234.", "1234"),
            Outcome::Correct
        );
        assert_eq!(outcome("The answer is 9.", "#### 8"), Outcome::Wrong);
        assert_eq!(
            outcome("Therefore $x = \\boxed{\\frac{1}{2}}$.", "\\dfrac{1}{2}"),
            Outcome::Correct
        );
        assert_eq!(
            outcome(
                "Final Answer: The final answer is $2$. I hope it is correct.",
                "2"
            ),
            Outcome::Correct
        );
        assert_eq!(outcome("", "2"), Outcome::Unparsed);
    }

    #[test]
    fn groups_are_numbered_by_first_appearance() {
        let groups =
            Grader::default().group_answers(&[Some("5"), None, Some("5.0"), Some("6"), Some("$5")]);
        assert_eq!(groups, [Some(0), None, Some(0), Some(1), Some(0)]);
    }
}
