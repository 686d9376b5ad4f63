//! Labels by rule, where solutions are canonical: a response and the question's right solution in; the response's sentences and the
//! first one that departs from the solution out.
//!
//! A sentence's *content* is its numbers and operators in order, so that two sentences that say the same in other words are equal. The
//! response's sentences are taken beside the solution's, in order; the first with another content is the first wrong step. This holds
//! for data whose right solution has one order of steps (the built-in word problems); for free text it would call every other way of
//! solving a problem wrong.

use std::ops::Range;

use super::words::{Word, WordType, words};

/// Where a response departs from the right solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The bytes of each sentence of the response; a sentence holds the blanks before it, and the last one all that follows.
    pub steps: Vec<Range<usize>>,
    /// The first wrong step, from 1.
    pub step: usize,
    /// The bytes of the first number or operator in it that is not the solution's: the wrong token. None if the step's content is
    /// right as far as it goes.
    pub token: Option<Range<usize>>,
    /// What kind of error it is.
    pub kind: ErrorKind,
}

/// Kinds of error that can be told by rule, named as in the paper's Table 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The step's equation does not hold.
    Calculation,
    /// The step is one that the solution has later on.
    StepMissing,
    /// The step's equation holds, but is not the solution's.
    Misunderstanding,
    /// The step has no equation, or no sense: neither of the others.
    Other,
}

impl ErrorKind {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calculation => "calculation",
            Self::StepMissing => "one step missing",
            Self::Misunderstanding => "semantic misunderstanding",
            Self::Other => "other",
        }
    }
}

/// The first sentence of `response` whose content is not that of the sentence of `solution` at the same place. None if there is none:
/// every sentence of the response is the solution's.
pub fn departure(response: &str, solution: &str) -> Option<Departure> {
    let right: Vec<Vec<&str>> = sentences(solution)
        .into_iter()
        .map(|s| content(&solution[s]))
        .collect();
    let steps = sentences(response);
    let mut wrong = None;
    for (i, step) in steps.iter().enumerate() {
        let own = content(&response[step.clone()]);
        if right.get(i) != Some(&own) {
            wrong = Some((i, own));
            break;
        }
    }
    let (index, own) = wrong?;
    let kind = match holds(&own) {
        Some(false) => ErrorKind::Calculation,
        _ if right
            .get(index + 1..)
            .is_some_and(|later| later.contains(&own)) =>
        {
            ErrorKind::StepMissing
        }
        Some(true) => ErrorKind::Misunderstanding,
        None => ErrorKind::Other,
    };
    let expected = right.get(index).map(Vec::as_slice).unwrap_or_default();
    let token = (0..own.len())
        .find(|&i| expected.get(i) != own.get(i))
        .and_then(|i| content_words(&response[steps[index].clone()]).nth(i))
        .map(|word| steps[index].start + word.start..steps[index].start + word.end);
    Some(Departure {
        step: index + 1,
        token,
        kind,
        steps,
    })
}

/// Sentences end behind `.`, `!`, `?` or a line break that is followed by white space or nothing; a decimal point ends none.
fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let ends = ['.', '!', '?', '\n'].contains(&c)
            && text[end..].chars().next().is_none_or(char::is_whitespace);
        if ends && !text[start..end].trim().is_empty() {
            found.push(start..end);
            start = end;
        }
    }
    if text[start..].trim().is_empty() {
        // Blanks at the end belong to the last sentence.
        if let Some(last) = found.last_mut() {
            last.end = text.len();
        }
    } else {
        found.push(start..text.len());
    }
    found
}

/// A sentence's numbers and operators.
fn content(sentence: &str) -> Vec<&str> {
    content_words(sentence)
        .map(|word| &sentence[word.start..word.end])
        .collect()
}

fn content_words(sentence: &str) -> impl Iterator<Item = Word> {
    words(sentence)
        .into_iter()
        .filter(|word| matches!(word.kind, WordType::Number | WordType::Operator))
}

/// Whether `a op b = c` among a sentence's content holds; none if it has no such equation of whole numbers.
fn holds(content: &[&str]) -> Option<bool> {
    let equals = content.iter().position(|&word| word == "=")?;
    let number = |at: usize| content.get(at)?.parse::<i64>().ok();
    let (a, b, c) = (
        number(equals.checked_sub(3)?)?,
        number(equals - 1)?,
        number(equals + 1)?,
    );
    match content[equals - 2] {
        "+" => Some(a.checked_add(b)? == c),
        "-" => Some(a.checked_sub(b)? == c),
        "*" | "x" | "×" => Some(a.checked_mul(b)? == c),
        "/" | "÷" => Some(b != 0 && c.checked_mul(b)? == a),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "Ann starts with 8 pens. Then she has 8 + 4 = 12 pens. Bob has 12 / 2 = 6 pens. The answer is 6.";

    fn told(response: &str) -> Option<(usize, &'static str)> {
        departure(response, RIGHT).map(|d| (d.step, d.kind.name()))
    }

    #[test]
    fn the_first_sentence_with_other_numbers_or_operators_is_the_first_wrong_step() {
        let start = " Ann starts with 8 pens.";
        let cases = [
            (
                " Now she has 8 - 4 = 4 pens. Bob has 4 / 2 = 2 pens.",
                Some((2, "semantic misunderstanding")),
            ),
            (" Then she has 8 + 4 = 11 pens.", Some((2, "calculation"))),
            (" Bob has 12 / 2 = 6 pens.", Some((2, "one step missing"))),
            (
                " In all she has 8 + 4 = 12 pens. Bob has 12 / 2 = 7 pens.",
                Some((3, "calculation")),
            ),
            (" Then she has pens", Some((2, "other"))),
            (
                " Then she has 8 + 4 = 12 pens. Bob has 12 / 2 = 6 pens. The answer is 12.",
                Some((4, "other")),
            ),
            (
                " Then she has 8 + 4 = 12 pens. Bob has 12 / 2 = 6 pens. The answer is 6. So 1.",
                Some((5, "other")),
            ),
            (" Then she has 8 + 4 = 12 pens.", None),
        ];
        for (rest, expected) in cases {
            assert_eq!(told(&format!("{start}{rest}")), expected, "{rest}");
        }
    }

    #[test]
    fn the_wrong_token_is_the_first_number_or_operator_that_is_not_the_solutions() {
        let token = |response: &str| {
            let found = departure(response, RIGHT).unwrap();
            found.token.map(|bytes| response[bytes].to_owned())
        };
        let start = " Ann starts with 8 pens.";
        for (rest, expected) in [
            (" Now she has 8 - 4 = 4 pens.", Some("-")),
            (" Then she has 8 + 4 = 11 pens.", Some("11")),
            (" Bob has 12 / 2 = 6 pens.", Some("12")),
            (" Then she has 8 + 4 pens.", None),
            (" She is 9.", Some("9")),
        ] {
            let found = token(&format!("{start}{rest}"));
            assert_eq!(found.as_deref(), expected, "{rest}");
        }
    }

    #[test]
    fn sentences_cover_the_response_and_decimals_end_none() {
        let text = " It is 2.5 m. So\n 3! \n";
        let steps = departure(text, "no").unwrap().steps;
        assert_eq!(steps, [0..13, 13..17, 17..22]);
        assert_eq!((sentences(""), sentences(" ")), (vec![], vec![]));
    }
}
