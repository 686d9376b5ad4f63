//! Finds the answer in a response. A response goes in; the text of its answer, the rule that found it and its
//! place come out.

mod anchor;
mod announced;
mod boxed;
mod choice;
mod context;
mod formula;
mod prose;

use std::borrow::Cow;
use std::ops::Range;

use crate::options::Extraction;
use announced::Announced;

/// The rule that found an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The rest of the line after `####`.
    HashMarks,
    /// The last `\boxed{…}` or `\fbox{…}`; neighbouring boxes joined by commas or "and" count as one list.
    Boxed,
    /// What follows "the answer is", "Final answer:" and their like.
    AnswerIs,
    /// The last formula in `$…$`, `\(…\)`, `\[…\]` or `$$…$$`.
    LastFormula,
    /// The last number.
    LastNumber,
    /// A letter that names an option.
    Choice,
    /// The whole response.
    Whole,
}

impl Rule {
    /// The name that verdicts carry.
    pub fn name(self) -> &'static str {
        match self {
            Rule::HashMarks => "hash_marks",
            Rule::Boxed => "boxed",
            Rule::AnswerIs => "answer_is",
            Rule::LastFormula => "last_formula",
            Rule::LastNumber => "last_number",
            Rule::Choice => "choice",
            Rule::Whole => "whole",
        }
    }
}

/// An answer found in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted<'a> {
    /// The answer as written; borrowed unless it was put together from several boxes.
    pub text: Cow<'a, str>,
    /// The rule that found it.
    pub rule: Rule,
    /// Where in the response it stands, in bytes.
    pub span: Range<usize>,
}

impl<'a> Extracted<'a> {
    fn slice(response: &'a str, span: Range<usize>, rule: Rule) -> Option<Self> {
        let text = &response[span.clone()];
        let start = span.start + (text.len() - text.trim_start().len());
        let text = text.trim();
        (!text.is_empty()).then(|| Extracted {
            text: Cow::Borrowed(text),
            rule,
            span: start..start + text.len(),
        })
    }
}

/// A response up to this many bytes may be an answer as a whole.
const MAX_WHOLE: usize = 400;

/// Only this many bytes at the end of a response are searched.
const MAX_BODY: usize = 1 << 15;
/// An announcement, a formula or a sentence is followed only this far.
const MAX_SENTENCE: usize = 2048;
/// Only so many marks of one kind are tried.
const MAX_MARKS: usize = 64;

/// Finds the answer of `response` under the given conventions. `is_formula` says whether a text reads as mathematics
/// from end to end.
pub(crate) fn extract<'a>(
    response: &'a str,
    conventions: Extraction,
    is_formula: &dyn Fn(&str) -> bool,
) -> Option<Extracted<'a>> {
    match conventions {
        Extraction::Choice => choice::letter(response, tail(response, 0..response.len())),
        Extraction::Plain => Extracted::slice(response, 0..response.len(), Rule::Whole),
        Extraction::Gsm8kStrict | Extraction::Gsm8kStrictFilter => {
            Announced::first(response, conventions)?.extracted(response)
        }
        Extraction::Gsm8kFlexible => prose::flexible_number(response),
        Extraction::Math => {
            let body = body(response);
            marked(response, body.clone(), is_formula).or_else(|| formula::last(response, body))
        }
        Extraction::Auto => {
            let body = body(response);
            marked(response, body.clone(), is_formula)
                .or_else(|| unmarked(response, body, is_formula))
        }
    }
}

/// Answers that the response marks as such.
fn marked<'a>(
    response: &'a str,
    body: Range<usize>,
    is_formula: &dyn Fn(&str) -> bool,
) -> Option<Extracted<'a>> {
    let hash = anchor::hash_marks(response, body.clone());
    if hash.is_some() {
        return hash;
    }
    let boxed = boxed::last(response, body.clone());
    let start = boxed.as_ref().map_or(body.start, |b| b.span.end);
    match (
        anchor::final_answer(response, start..body.end, is_formula),
        boxed,
    ) {
        (Some((answer, true)), _) | (Some((answer, false)), Some(_)) => Some(answer),
        (None, Some(boxed)) => Some(boxed),
        // The last announcement, be it of a final answer or not.
        (_, None) => anchor::answer_is(response, body, is_formula),
    }
}

/// Answers that nothing announces: the whole response, or the last formula or number in it.
fn unmarked<'a>(
    response: &'a str,
    body: Range<usize>,
    is_formula: &dyn Fn(&str) -> bool,
) -> Option<Extracted<'a>> {
    let text = response[body.clone()].trim();
    if text.len() <= MAX_WHOLE {
        let words = prose::words(text);
        if (words == 0 && text.contains('\\'))
            || ((words < 2 || (text.contains('\\') && !text.contains('$')))
                && (text.contains("\\begin") || !text.contains('\n'))
                && is_formula(text))
        {
            return Extracted::slice(response, body, Rule::Whole);
        }
    }
    let formula = formula::last(response, body.clone());
    let number = prose::last_number(response, body.clone());
    // What breaks off within a formula is that formula: "= 15 + 15" is not 15.
    if let Some(n) = &number
        && let Some(open) = formula::unclosed(response, body.clone())
        && n.span.start >= open
    {
        return Extracted::slice(response, open..body.end, Rule::LastFormula);
    }
    match (formula, number) {
        // A number within a later formula was denied with it.
        (Some(f), Some(n)) => {
            let behind = n.span.start > f.span.end;
            let within = || formula::holds(response, body.clone(), n.span.end - 1);
            Some(if behind && !within() { n } else { f })
        }
        (f, n) => f.or(n),
    }
    .or_else(|| Extracted::slice(response, body, Rule::Whole).filter(|e| e.text.len() <= MAX_WHOLE))
}

/// See [`crate::Grader::settled_at`].
pub(crate) fn settled_at(response: &str, conventions: Extraction) -> Option<usize> {
    let first = conventions
        .settles()
        .then(|| Announced::first(response, conventions));
    first??.settled
}

/// The end of `range`, or the last character boundary at most `max` bytes into it.
fn clip(text: &str, range: Range<usize>, max: usize) -> usize {
    if range.len() <= max {
        return range.end;
    }
    let mut end = range.start + max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// The answer in a gold text: a bare answer, a `#### N` line, or a solution that marks its answer.
pub(crate) fn gold(gold: &str, conventions: Extraction) -> Cow<'_, str> {
    if conventions == Extraction::Choice
        && let Some(found) = choice::letter(gold, tail(gold, 0..gold.len()))
    {
        return found.text;
    }
    let all = tail(gold, 0..gold.len());
    anchor::hash_marks(gold, all.clone())
        .or_else(|| {
            anchor::final_answer(gold, all.clone(), &|_| true)
                .filter(|_| gold.len() > 40)
                .map(|(answer, _)| answer)
        })
        .or_else(|| boxed::last(gold, all.clone()))
        .or_else(|| boxed::unclosed(gold))
        .map_or(Cow::Borrowed(gold), |found| found.text)
}

/// The option that words found in a response name, where the gold answer is the letter of one: `D` in "D, it cannot be A".
pub(crate) fn option_in_words<'a>(found: &Extracted<'a>, gold: &str) -> Option<Extracted<'a>> {
    let dress = |c: char| !c.is_alphanumeric();
    let gold = gold.trim_start_matches("\\text").trim_matches(dress);
    let is_letter = gold.len() == 1 && gold.starts_with(|c| ('A'..='J').contains(&c));
    let Cow::Borrowed(text) = found.text else {
        return None;
    };
    if !is_letter || text.len() < 2 || text.contains(['\\', '$']) {
        return None;
    }
    let words = text.chars().filter(|c| c.is_alphabetic()).count() >= 3;
    let named = match found.rule {
        Rule::AnswerIs => words,
        Rule::Whole => {
            let mut chars = text.trim_start_matches(['(', '*', ' ']).chars();
            let letter = chars.next().is_some_and(|c| ('A'..='J').contains(&c));
            let parted = |c: char| matches!(c, '.' | ',' | ':' | ')' | ';') || !c.is_ascii();
            words && letter && chars.next().is_some_and(parted)
        }
        _ => false,
    };
    let letter = named
        .then(|| choice::letter(text, 0..text.len()))
        .flatten()?;
    let start = found.span.start + letter.span.start;
    Some(Extracted {
        span: start..start + letter.span.len(),
        ..letter
    })
}

/// The part of a response that may hold the answer: after the thoughts, before a next question.
fn body(response: &str) -> Range<usize> {
    let start = response
        .rfind("</think>")
        .map_or(0, |at| at + "</think>".len());
    let stops = ["\n\nQuestion:", "\n\nProblem:", "\nQ:", "</s>"];
    let opens = |b: &u8| matches!(b, b'\n' | b'<');
    let mut from = start;
    while let Some(step) = response.as_bytes()[from..].iter().position(opens) {
        let at = from + step;
        let rest = &response[at..];
        if stops.iter().any(|stop| rest.starts_with(stop)) || is_special_token(rest) {
            return tail(response, start..at);
        }
        from = at + 1;
    }
    tail(response, start..response.len())
}

/// Whether a text begins with a special token such as `<|im_end|>`.
fn is_special_token(text: &str) -> bool {
    text.strip_prefix("<|").is_some_and(|name| {
        let len = name
            .bytes()
            .take_while(|b| b.is_ascii_alphabetic() || *b == b'_')
            .count();
        len >= 3 && name[len..].starts_with("|>")
    })
}

/// The last [`MAX_BODY`] bytes of a range.
fn tail(text: &str, range: Range<usize>) -> Range<usize> {
    let mut start = range.end.saturating_sub(MAX_BODY).max(range.start);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    start..range.end
}
