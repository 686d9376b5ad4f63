//! The grader: extraction and comparison under one set of options.

use std::borrow::Cow;
use std::cell::RefCell;

use crate::budget;
use crate::equal;
use crate::extract::{self, Extracted, Rule};
use crate::form::value::Value;
use crate::options::{Extraction, GradeOptions};
use crate::read;
use crate::refusal::Refusal;
use crate::syntax::Reading;
use crate::verdict::{Outcome, Verdict};

/// Grades responses against gold answers.
///
/// ```
/// use cdpo_grade::{Grader, Outcome};
///
/// let grader = Grader::default();
/// let verdict = grader.grade("5 + 3 = 8, so half of it is 4.\nThe answer is 4.", "#### 4");
/// assert_eq!(verdict.outcome, Outcome::Correct);
/// assert_eq!((verdict.rule.as_str(), verdict.span), ("answer_is", Some((45, 46))));
///
/// assert!(grader.equal(r"\dfrac{1}{1+\sqrt{2}}", r"\sqrt{2} - 1"));
/// assert!(!grader.equal("100000", "100009"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Grader {
    options: GradeOptions,
}

impl Grader {
    /// A grader with the given options.
    pub fn new(options: GradeOptions) -> Self {
        Self { options }
    }

    /// The options it was made with.
    pub fn options(&self) -> &GradeOptions {
        &self.options
    }

    /// Grades `response` against `gold`: a bare answer, a `#### N` line, or a worked solution.
    ///
    /// A response whose answer cannot be found or is refused (see [`Refusal`]) is unparsed; everything else that is not
    /// shown equal to the gold answer is wrong.
    pub fn grade(&self, response: &str, gold: &str) -> Verdict {
        // What was tried as a formula mostly is the answer: it is read once.
        let tried = RefCell::new(None);
        let is_formula = |text: &str| {
            let read = self.read(text);
            let formula = is_formula(&read);
            tried.replace(Some((text.as_bytes().as_ptr_range(), read)));
            formula
        };
        let found = extract::extract(response, self.options.extraction, &is_formula);
        let Some(found) = found else {
            return Verdict {
                outcome: Outcome::Unparsed,
                answer: None,
                key: None,
                rule: "none".into(),
                span: None,
                why: "no answer was found in the response".into(),
            };
        };
        let gold = extract::gold(gold, self.options.extraction);
        // Words where a letter is asked for: "D, it cannot be A".
        let found = match extract::option_in_words(&found, &gold) {
            Some(option) if self.options.extraction == Extraction::Auto => option,
            _ => found,
        };
        let rule = found.rule.name().to_owned();
        let span = Some((found.span.start, found.span.end));
        let joined = matches!(found.text, Cow::Owned(_))
            || (found.rule == Rule::AnswerIs && found.text.contains("or"));
        let read = match tried.into_inner() {
            Some((place, read)) if place == found.text.as_bytes().as_ptr_range() => read,
            _ => self.read(&found.text),
        };
        let answer = found.text.into_owned();
        let value = match read {
            Ok(value) => value,
            Err(refusal) => {
                let why = format!("the answer is not read: {refusal}");
                return Verdict {
                    outcome: Outcome::Unparsed,
                    answer: Some(answer),
                    key: None,
                    rule,
                    span,
                    why,
                };
            }
        };
        // One value in two boxes, or written twice ("1/2 or 0.5"), is one answer.
        let value = match value {
            Value::List(mut items)
                if joined && items[1..].iter().all(|item| self.same(&items[0], item)) =>
            {
                items.swap_remove(0)
            }
            value => value,
        };
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
            key: Some(value.key(&self.options)),
            rule,
            span,
            why,
        }
    }

    /// How many bytes of a response that may still grow decide its verdict: whatever is added, it is graded as it is now, and so is it cut
    /// there or anywhere behind. `None` if they are not there yet, and always unless the first match counts ([`Extraction::settles`]).
    ///
    /// ```
    /// use cdpo_grade::{Extraction, GradeOptions, Grader};
    ///
    /// let options = GradeOptions { extraction: Extraction::Gsm8kStrict, ..GradeOptions::default() };
    /// let strict = Grader::new(options);
    /// assert_eq!(strict.settled_at("The answer is 1"), None);
    /// assert_eq!(strict.settled_at("The answer is 12 apples"), Some(16));
    /// assert_eq!(Grader::default().settled_at("The answer is 12 apples"), None);
    /// ```
    pub fn settled_at(&self, response: &str) -> Option<usize> {
        extract::settled_at(response, self.options.extraction)
    }

    /// Whether two answers are equal. Symmetric, and true of an answer and itself; `false` if either is refused.
    ///
    /// Not transitive: a decimal equals exact values that round to it, a quantity with a unit equals the bare number,
    /// and evaluation may fail to show an equality.
    pub fn equal(&self, a: &str, b: &str) -> bool {
        match (self.read(a), self.read(b)) {
            (Ok(a), Ok(b)) => self.same(&a, &b),
            _ => false,
        }
    }

    pub(crate) fn read(&self, answer: &str) -> Result<Value, Refusal> {
        read::read(
            answer,
            Reading {
                decimal_comma: self.options.decimal_comma,
            },
        )
    }

    pub(crate) fn same(&self, a: &Value, b: &Value) -> bool {
        budget::start();
        equal::same(a, b, &self.options)
    }

    /// The canonical key of an answer: equal keys mean equal answers. `None` if it is refused.
    ///
    /// ```
    /// let grader = cdpo_grade::Grader::default();
    /// assert_eq!(grader.key("(x+1)(x-1)"), grader.key("x^2 - 1"));
    /// assert_eq!(grader.key("1,234.50").as_deref(), Some("2469/2"));
    /// ```
    pub fn key(&self, answer: &str) -> Option<String> {
        self.read(answer).ok().map(|value| value.key(&self.options))
    }

    /// Finds the answer of a response.
    pub fn extract<'a>(&self, response: &'a str) -> Option<Extracted<'a>> {
        let is_formula = |text: &str| is_formula(&self.read(text));
        extract::extract(response, self.options.extraction, &is_formula)
    }
}

/// Whether a text that was read is mathematics from end to end.
fn is_formula(read: &Result<Value, Refusal>) -> bool {
    !matches!(read, Err(_) | Ok(Value::Text(_)))
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
    fn a_next_question_is_not_read() {
        let response = "The answer is 8.\n\nQuestion: What is 1 + 1?\nAnswer: The answer is 2.";
        assert_eq!(outcome(response, "8"), Outcome::Correct);
        assert_eq!(outcome(response, "2"), Outcome::Wrong);
    }
}
