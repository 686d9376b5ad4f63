//! The first number that a response announces as GSM8K's solutions and prompts do, by `####` or "The answer is".

use std::ops::Range;

use super::{Extracted, Rule};
use crate::measure::currency;
use crate::options::Extraction;
use crate::syntax::unit;

/// The first announcement that has a number.
pub(super) struct Announced {
    rule: Rule,
    at: usize,
    number: Range<usize>,
    /// Bytes of the response that decide it; none if what follows may change the number.
    pub(super) settled: Option<usize>,
}

/// The number that stands from a byte of a response on, and the bytes that decide it.
type Read = fn(&str, usize, Rule) -> Option<(Range<usize>, Option<usize>)>;

impl Announced {
    /// The announcement that comes first; read as [`Extraction::Gsm8kStrictFilter`] has it, else whole.
    pub(super) fn first(response: &str, conventions: Extraction) -> Option<Self> {
        let filter = conventions == Extraction::Gsm8kStrictFilter;
        let (marks, read) = if filter {
            (["#### ", "The answer is "], filtered as Read)
        } else {
            (["####", "The answer is"], whole as Read)
        };
        marks
            .into_iter()
            .zip([Rule::HashMarks, Rule::AnswerIs])
            .filter_map(|(mark, rule)| {
                response.match_indices(mark).find_map(|(at, _)| {
                    let (number, settled) = read(response, at + mark.len(), rule)?;
                    Some(Self {
                        rule,
                        at,
                        number,
                        settled,
                    })
                })
            })
            .min_by_key(|found| found.at)
    }

    pub(super) fn extracted<'a>(&self, response: &'a str) -> Option<Extracted<'a>> {
        let text = response[self.number.clone()].trim_end_matches(['.', ',', '/']);
        let start = self.number.start;
        Extracted::slice(response, start..start + text.len(), self.rule)
    }
}

/// The number from a byte on, with a sign and a currency before it and the word that makes millions of it, and the bytes that decide it.
/// A number that the response ends in is not settled: digits may follow, or such a word.
fn whole(response: &str, from: usize, rule: Rule) -> Option<(Range<usize>, Option<usize>)> {
    let skipped = |c: char| c == ' ' || (c == '#' && rule == Rule::HashMarks);
    let text = response[from..].trim_start_matches(skipped);
    let start = response.len() - text.len();
    let sign_at = |at: usize| usize::from(text[at..].starts_with('-'));
    let mut head = sign_at(0);
    // Most begin with the digits, and have no currency to look for.
    if !text[head..].starts_with(|c: char| c.is_ascii_digit())
        && let Some((_, len)) = currency(&text[head..])
    {
        head += len;
        head = text.len() - text[head..].trim_start_matches(' ').len();
        head += sign_at(head);
    }
    let digits = text[head..]
        .bytes()
        .take_while(|b| b.is_ascii_digit() || matches!(b, b'.' | b',' | b'/'))
        .count();
    let number = &text[head..head + digits];
    let after = &text[head + digits..];
    let (word, decided) = if number.ends_with(|c: char| c.is_ascii_digit()) {
        (unit::magnitude_len(after), unit::magnitude_decided(after))
    } else {
        (0, (!after.is_empty()).then_some(0))
    };
    let end = start + head + digits;
    let settled = decided.map(|behind| end + behind);
    number
        .contains(|c: char| c.is_ascii_digit())
        .then_some((start..end + word, settled))
}

/// As lm-evaluation-harness's strict filters do it, `#### (-?[0-9.,]+)` and `The answer is (-?[0-9.,]+).`
fn filtered(response: &str, start: usize, rule: Rule) -> Option<(Range<usize>, Option<usize>)> {
    let text = &response[start..];
    let sign = usize::from(text.starts_with('-'));
    let digits = text[sign..]
        .bytes()
        .take_while(|b| b.is_ascii_digit() || matches!(b, b'.' | b','))
        .count();
    let mut end = start + sign + digits;
    let next = response[end..].chars().next();
    // The second filter ends in an unescaped `.`: any one character of the same line must follow the number, or else the
    // number's own last one is taken for it.
    let one_more = rule == Rule::AnswerIs;
    let behind = next.filter(|&c| one_more && c != '\n');
    let settled = next.map(|_| end + behind.map_or(0, char::len_utf8));
    if one_more && behind.is_none() {
        end -= 1;
    }
    (end > start + sign).then_some((start..end, settled))
}
