//! Answers announced by words: `#### 5`, "The answer is 5.", "Final Answer: The final answer is $5$."

use std::ops::Range;

use super::{Extracted, MAX_MARKS, MAX_SENTENCE, Rule, context, formula, prose};

/// The rest of the line after the last `####`.
pub(super) fn hash_marks(response: &str, body: Range<usize>) -> Option<Extracted<'_>> {
    let start = body.start + response[body.clone()].rfind("####")? + 4;
    let end = response[start..body.end]
        .find('\n')
        .map_or(body.end, |n| start + n);
    Extracted::slice(response, start..end, Rule::HashMarks)
}

/// What follows the first "final answer is", or the last "final answer:".
///
/// Says too whether the words of the four-shot MATH prompt, "I hope it is correct", end it.
pub(super) fn final_answer<'a>(
    response: &'a str,
    body: Range<usize>,
    is_formula: &dyn Fn(&str) -> bool,
) -> Option<(Extracted<'a>, bool)> {
    let text = &response[body.clone()];
    let mut hope = None;
    let mut found = None;
    for (at, _) in text.match_indices("nal ").take(MAX_MARKS) {
        let Some(rest) = strip_word(&text[at + 4..], "answer") else {
            continue;
        };
        let Some(tail) = announcement(rest) else {
            continue;
        };
        // "…before arriving at the final answer is a common mistake" announces nothing.
        let signs = |c: char| c.is_ascii_digit() || matches!(c, '$' | '\\' | '^');
        let extracted = sentence(response, body.end - tail.len()..body.end, is_formula)
            .filter(|found| found.text.contains(signs) || !prose::is_prose(&found.text));
        if let Some(extracted) = extracted {
            let hope = *hope.get_or_insert_with(|| text.find("I hope it is correct"));
            if hope.is_some_and(|hope| hope > at) {
                return Some((extracted, true));
            }
            found = Some((extracted, false));
        }
    }
    found
}

/// What follows the last "answer is", "answer:" and their like.
pub(super) fn answer_is<'a>(
    response: &'a str,
    body: Range<usize>,
    is_formula: &dyn Fn(&str) -> bool,
) -> Option<Extracted<'a>> {
    let text = &response[body.clone()];
    ["nswer", "NSWER", "éponse", "答案"]
        .iter()
        .find_map(|word| {
            text.rmatch_indices(word)
                .take(MAX_MARKS)
                .find_map(|(at, _)| {
                    let tail = announcement(&text[at + word.len()..])?;
                    sentence(response, body.end - tail.len()..body.end, is_formula)
                })
        })
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.get(..word.len())
        .filter(|head| head.eq_ignore_ascii_case(word))
        .map(|_| &text[word.len()..])
}

/// What follows ` is`, ` are`, `:` or ` =` in the rest of a sentence that began with "answer".
fn announcement(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix('s').unwrap_or(rest);
    let rest = rest.trim_start_matches(['*', ' ']);
    let head = &rest[..super::clip(rest, 0..rest.len(), 100)];
    let sentence = &head[..head.find(['\n', '.', '?', '$']).unwrap_or(head.len())];
    [":", "：", "is ", "is: ", "are ", "est ", "="]
        .iter()
        .filter_map(|mark| {
            let at = sentence.find(mark)?;
            let opens_word = mark.starts_with(|c: char| c.is_alphabetic());
            let at_word = at == 0 || sentence[..at].ends_with(' ');
            (at <= 60 && (!opens_word || at_word)).then_some(at + mark.len())
        })
        .min()
        .or_else(|| {
            ["is\n", "is:\n", "is$"]
                .iter()
                .find(|m| rest.starts_with(**m))
                .map(|m| m.len() - 1)
        })
        .map(|at| rest[at..].trim_start_matches([':', '：', '*', ' ', '\n', '"']))
}

/// Words that weaken or stress a number and say nothing of it.
const HEDGES: [&str; 7] = [
    "approximately ",
    "about ",
    "roughly ",
    "around ",
    "exactly ",
    "only ",
    "just ",
];

/// What takes the rest of a sentence away from its answer.
const ASIDES: [&str; 8] = [
    ", not ",
    " (not ",
    " because ",
    ", because ",
    " since ",
    ", since ",
    " rather than ",
    " instead of ",
];

/// The answer at the head of a sentence: its first formula, else the words themselves if they read as an answer, else
/// their first number.
fn sentence<'a>(
    response: &'a str,
    range: Range<usize>,
    is_formula: &dyn Fn(&str) -> bool,
) -> Option<Extracted<'a>> {
    let text = &response[range.start..super::clip(response, range.clone(), MAX_SENTENCE)];
    let end = range.start + prose::sentence_len(text);
    let end = ASIDES
        .iter()
        .filter_map(|aside| response[range.start..end].find(aside))
        .filter(|at| {
            response[range.start..range.start + at]
                .matches('$')
                .count()
                .is_multiple_of(2)
        })
        .min()
        .map_or(end, |at| range.start + at);
    // "Final answer: the volume is 120": the answer stands behind the last verb.
    let mut start = match prose::last_verb(&response[range.start..end]) {
        Some(at)
            if prose::words(&response[range.start..range.start + at]) > 0
                && !context::qualifies(&response[range.start + at..end]) =>
        {
            range.start + at
        }
        _ => range.start,
    };
    if let Some(hedge) = HEDGES
        .iter()
        .find(|hedge| response[start..end].starts_with(**hedge))
    {
        start += hedge.len();
    }
    // A number in front of a formula is the answer or a part of it: "15 cm$^2$".
    let number_first = response[start..end]
        .trim_start_matches('-')
        .starts_with(|c: char| c.is_ascii_digit());
    let region = response[start..end].trim_end_matches(['.', '*', '"', ' ', '\n', '?']);
    if !number_first && let Some((found, behind)) = formula::first_run(response, start..end) {
        let after = &response[behind..end.max(behind)];
        return if context::is_formula_qualified(&response[start..found.span.start], after) {
            Extracted::slice(response, start..start + region.len(), Rule::AnswerIs)
        } else {
            Some(Extracted {
                rule: Rule::AnswerIs,
                ..found
            })
        };
    }
    let digits = region.contains(|c: char| c.is_ascii_digit());
    let bare = digits && !region.contains(['\\', '^']) && region.contains(char::is_alphabetic);
    if (prose::is_prose(region) || (bare && !is_formula(region)))
        && let Some(found) = prose::first_number(response, start..start + region.len())
        && !context::is_qualified(region, found.span.start - start..found.span.end - start)
    {
        return Some(Extracted {
            rule: Rule::AnswerIs,
            ..found
        });
    }
    Extracted::slice(response, start..start + region.len(), Rule::AnswerIs)
}
