//! Letters that name an option: `(C)`, "the answer is D", "B. because …".

use std::ops::Range;

use super::{Extracted, Rule};

/// Words behind which the answer stands.
const ANCHORS: [&str; 7] = [
    "answer is",
    "answer:",
    "answer",
    "therefore",
    "réponse est",
    "答案",
    "it's",
];
/// Words that take an option back.
const DENIALS: [&str; 9] = [
    "not", "isn't", "be", "or", "non", "nor", "不是", "neither", "than",
];

/// The first option named after the last anchor that one follows, else the first one in the response.
pub(super) fn letter(response: &str, body: Range<usize>) -> Option<Extracted<'_>> {
    let text = &response[body.clone()];
    ANCHORS
        .iter()
        .flat_map(|anchor| {
            text.rmatch_indices(anchor)
                .take(8)
                .map(|(at, word)| at + word.len())
        })
        .chain([0])
        .find_map(|from| first_from(response, body.start + from..body.end))
        .filter(|found| !names_another(&response[found.span.end..body.end]))
}

fn first_from(response: &str, range: Range<usize>) -> Option<Extracted<'_>> {
    let text = &response[range.clone()];
    text.char_indices()
        .filter(|(_, c)| ('A'..='J').contains(c))
        .find_map(|(at, _)| {
            let letter =
                |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '\'');
            let glued =
                letter(text[..at].chars().next_back()) || letter(text[at + 1..].chars().next());
            let before = text[..at].trim_end_matches([' ', '(', '*', '"']);
            let denied = DENIALS.iter().any(|word| before.ends_with(word));
            // "I" is a pronoun before a word, and "A" an article before a noun.
            let pronoun = text[at..].starts_with("I ") || is_article(&text[at..]);
            let span = range.start + at..range.start + at + 1;
            (!glued && !denied && !pronoun)
                .then(|| Extracted::slice(response, span, Rule::Choice))
                .flatten()
        })
}

/// Whether a text goes on with another option: " or (B)", "/B".
fn names_another(after: &str) -> bool {
    let dress = [' ', '(', ')', '*', '"', '.'];
    let after = after.trim_start_matches(dress);
    // A comma may begin what is said of another option: "A, and B is wrong".
    let after = match after.strip_prefix(',') {
        Some(rest) if rest.trim_start().starts_with("or ") => rest.trim_start(),
        _ => after,
    };
    ["or ", "and ", "/", "& "].iter().any(|word| {
        after.strip_prefix(word).is_some_and(|rest| {
            let mut chars = rest.trim_start_matches(dress).chars();
            chars.next().is_some_and(|c| ('A'..='J').contains(&c))
                && !chars.next().is_some_and(char::is_alphanumeric)
        })
    })
}

/// Whether a text begins with "A" and a word that may be a noun.
fn is_article(text: &str) -> bool {
    let verbs = [
        "is", "because", "as", "since", "and", "or", "not", "for", "it", "with", "would", "will",
    ];
    text.strip_prefix("A ").is_some_and(|rest| {
        let word = rest.split(|c: char| !c.is_alphabetic()).next();
        rest.starts_with(|c: char| c.is_lowercase())
            && word.is_none_or(|word| !verbs.contains(&word))
    })
}
