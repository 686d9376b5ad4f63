//! What the words around a number or a formula make of it: the text before and behind it goes in; whether it is denied,
//! changed or only a step's number comes out.

use std::ops::Range;

use crate::syntax::unit;

/// Words before a number that say another thing than the number.
const QUALIFIERS: [&str; 29] = [
    "not", "isn't", "aren't", "never", "cannot", "can't", "neither", "nor", "no", "none",
    "between", "less", "greater", "more", "fewer", "over", "under", "above", "below", "twice",
    "double", "triple", "half", "negative", "minus", "log", "ln", "sqrt", "root",
];

/// Words that deny what stands right behind them.
const DENIALS: [&str; 9] = [
    "not", "isn't", "aren't", "wasn't", "never", "cannot", "can't", "couldn't", "nor",
];

/// Words between two numbers of which the second says nothing of the first.
const APART: [&str; 21] = [
    "of", "in", "out", "for", "with", "per", "at", "on", "from", "after", "when", "which", "as",
    "by", "so", "if", "where", "because", "since", "is", "are",
];

/// The dress between a word and the number or formula behind it.
const DRESS: [char; 8] = [' ', '$', '\\', '(', '[', '*', '"', ':'];

/// No word further than this many bytes before a number is looked at.
const REACH: usize = 64;

/// What of a number or a formula another one is: "a third of 5", "the cube of 5".
const FUNCTIONS: [&str; 10] = [
    "third",
    "quarter",
    "fifth",
    "tenth",
    "square",
    "cube",
    "reciprocal",
    "inverse",
    "opposite",
    "multiple",
];

/// The end of a text that may be looked at.
fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(REACH);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// The last words of a text, lower case, the last first.
fn last_words(text: &str) -> Vec<String> {
    tail(text)
        .trim_end_matches(DRESS)
        .rsplit(|c: char| c.is_whitespace() || c == ',')
        .take(4)
        .map(|word| word.to_lowercase().replace('\u{2019}', "'"))
        .collect()
}

/// Whether a text denies what follows it: "not", "cannot be", "rather than", "≠".
pub(super) fn denies(before: &str) -> bool {
    let bare = before.trim_end_matches(DRESS);
    if ["≠", "\\ne", "\\neq", "!="]
        .iter()
        .any(|sign| bare.ends_with(sign))
    {
        return true;
    }
    let words = last_words(before);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["than", "rather", ..] | ["of", "instead", ..] => true,
        [word, ..] if DENIALS.contains(word) => true,
        ["be" | "equal", word, ..] | ["to", "equal", word, ..] => DENIALS.contains(word),
        _ => false,
    }
}

/// Whether a text begins with a word that makes another thing of what follows: "less than 6", "not 5".
pub(super) fn qualifies(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    QUALIFIERS.contains(&word.to_lowercase().as_str())
}

/// Whether a text ends with words that compute something of the formulas behind it: "the gcd of", "between".
pub(super) fn computes(before: &str) -> bool {
    let words = last_words(before);
    words
        .first()
        .is_some_and(|word| matches!(word.as_str(), "of" | "between" | "from"))
}

/// Whether the last words of a text, the last first, are "a third of" and the like.
fn takes_part(words: &[String]) -> bool {
    matches!(words, [of, word, ..] if of == "of" && FUNCTIONS.contains(&word.as_str()))
}

/// Whether the words around a number make another one of it: "twice 5", "5 squared", "8 hours and 30 minutes".
pub(super) fn is_qualified(sentence: &str, number: Range<usize>) -> bool {
    let before = sentence[..number.start].to_lowercase();
    let signs = |c: char| matches!(c, '<' | '>' | '≤' | '≥' | '±' | '√' | '^');
    let mut words = before.split(|c: char| c.is_whitespace() || c == ',');
    before.contains(signs)
        || words.any(|word| QUALIFIERS.contains(&word))
        || takes_part(&last_words(&before))
        || is_changed_behind(&sentence[number.end..])
}

/// Whether the words around an announced formula make another one of it: "twice $5$", "$5$ million". Only the words right
/// before it count, since a sentence may say much before its formula. Both texts end where the delimiters stand.
pub(super) fn is_formula_qualified(before: &str, after: &str) -> bool {
    let bare = before.trim_end_matches(['$', '\\', '(', '[']);
    if denies(before) || bare.ends_with(['-', '−', '–', '±', '√', '<', '>', '≤', '≥']) {
        return true;
    }
    let words = last_words(before);
    let qualified = takes_part(&words) || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["than" | "of" | "the", word, ..] | [word, ..] => QUALIFIERS.contains(word),
            [] => false,
        }
    };
    qualified
        || is_continued(after)
        || unit::magnitude_len(after.trim_start()) > 0
        || is_changed_behind(after)
}

/// Whether a text goes on with the formula before it ("+ 3", "^2", "/6") or with another answer (", or 6").
fn is_continued(after: &str) -> bool {
    let digit = |text: &str| {
        text.trim_start_matches(DRESS)
            .starts_with(|c: char| c.is_ascii_digit())
    };
    let after = after.trim_start();
    after.starts_with(['+', '^', '×'])
        || after.strip_prefix('/').is_some_and(digit)
        || after
            .trim_start_matches([',', ' '])
            .strip_prefix("or ")
            .is_some_and(digit)
}

/// Whether what follows a number makes another one of it.
fn is_changed_behind(after: &str) -> bool {
    if unit::alters(after.trim()) {
        return true;
    }
    // Another number behind a few words that do not part the two.
    let Some(next) = after.find(|c: char| c.is_ascii_digit()) else {
        return false;
    };
    let between = after[..next].trim_end_matches(['$', '\\', '(']);
    let words: Vec<&str> = between.split_whitespace().collect();
    !words.is_empty()
        && words.len() <= 3
        && between.starts_with(' ')
        && !between.contains(|c: char| !(c.is_alphanumeric() || c == ' ' || c == '/' || c == '.'))
        && !words.iter().any(|word| APART.contains(word))
}

/// Whether a number counts a step and says nothing of the answer: "Step 3", or `3.` at the head of a line with text behind.
pub(super) fn numbers_a_step(text: &str, number: Range<usize>) -> bool {
    let digits = &text[number.clone()];
    let before = tail(&text[..number.start]);
    if last_words(before)
        .first()
        .is_some_and(|word| word == "step")
    {
        return true;
    }
    let Some(line) = before.rfind('\n') else {
        return false;
    };
    let head = before[line..].trim_matches(|c: char| c.is_whitespace() || matches!(c, '#' | '*'));
    let rest = text[number.end..].strip_prefix(['.', ')']);
    digits.len() <= 2
        && digits.bytes().all(|b| b.is_ascii_digit())
        && head.is_empty()
        && rest.is_some_and(|rest| {
            let rest = rest.lines().next().unwrap_or_default();
            rest.starts_with(' ') && !rest.trim().is_empty()
        })
}
