//! Units and other words behind a quantity.

use super::group::braced;
use super::input::{Input, Parsed, blanks, fail, peek, peek_command, take, take_command};

/// Takes `\circ` in an exponent.
pub(super) fn degree_sign(input: &mut Input<'_>) -> bool {
    ["\\circ", "{\\circ}", "{ \\circ }", "{\\circ }"]
        .iter()
        .any(|sign| take(input, sign))
}

/// "and" or "or" with the punctuation that a text command may hold around it.
pub(super) fn conjunction(content: &str) -> Option<&str> {
    let word = content.trim_matches([' ', ',', ';', '~', '.']);
    matches!(word, "and" | "or" | "and/or" | "AND" | "OR").then_some(word)
}

/// Whether a run of letters is a word rather than a product of symbols.
pub(super) fn is_word(run: &str) -> bool {
    let lower = run.bytes().filter(u8::is_ascii_lowercase).count();
    (run.len() >= 4 && lower > 0)
        || (run.len() == 3 && lower == 2 && !run.as_bytes()[0].is_ascii_lowercase())
        || matches!(
            run,
            "pct"
                | "ways"
                | "deg"
                | "sec"
                | "min"
                | "feet"
                | "the"
                | "for"
                | "all"
                | "per"
                | "day"
                | "sq"
                | "not"
                | "but"
                | "nor"
        )
}

/// Symbols that are units wherever they stand behind a number, even where they touch it: no product is written with these letters.
pub(crate) const SYMBOLS: [&str; 18] = [
    "cm", "mm", "km", "ft", "kg", "lb", "lbs", "oz", "yd", "hr", "hrs", "mph", "mL", "ml", "am",
    "pm", "AM", "PM",
];

fn is_short_unit(run: &str) -> bool {
    SYMBOLS.contains(&run)
        || matches!(
            run,
            "mi" | "kph"
                | "m/s"
                | "sq"
                | "in"
                | "units"
                | "dollars"
                | "cents"
                | "a.m"
                | "p.m"
                | "A.M"
                | "P.M"
        )
}

/// Whether a text begins with a unit that stands behind a number without `\text`.
pub(super) fn is_bare_unit(text: &str) -> bool {
    let len = text
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let rest = &text[len..];
    // Two letters that may be variables are a unit at the end only.
    let last = rest.is_empty() || rest.starts_with(['.', ',', '^', ')']);
    (matches!(&text[..len], "in" | "mi") && last)
        || ["a.m", "p.m", "A.M", "P.M", "m/s"]
            .iter()
            .any(|unit| text.starts_with(unit))
        || SYMBOLS.contains(&&text[..len])
}

/// Letters that name a unit where they stand as text behind a number.
const LETTERS: [&str; 6] = ["m", "g", "s", "h", "l", "L"];

/// Whether a text command with a unit in it comes next: `\text{ m}`, `\mathrm{m/s}`.
pub(super) fn is_unit_in_text(input: &Input<'_>) -> bool {
    let Some(name @ ("text" | "mathrm" | "mbox" | "textrm")) = peek_command(input) else {
        return false;
    };
    let mut ahead = input.clone();
    take_command(&mut ahead, name);
    braced(&mut ahead).is_ok_and(|content| {
        content.split(['/', ' ']).all(|part| {
            let part = part.trim_end_matches(|c: char| c == '^' || c.is_ascii_digit());
            part.is_empty() || LETTERS.contains(&part) || is_short_unit(part)
        }) && content.contains(char::is_alphabetic)
    })
}

/// Powers of ten in words.
const MAGNITUDES: [(&str, i64); 5] = [
    ("hundred", 100),
    ("thousand", 1000),
    ("million", 1_000_000),
    ("billion", 1_000_000_000),
    ("trillion", 1_000_000_000_000),
];

/// A power of ten that a word before a unit may name, in the singular or the plural and in any case.
pub(super) fn magnitude(word: &str) -> Option<i64> {
    let word = word.strip_suffix(['s', 'S']).unwrap_or(word);
    MAGNITUDES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|(_, value)| *value)
}

/// The word at the head of a text, and the blanks before it.
fn first_word(text: &str) -> (usize, &str) {
    let word = text.trim_start_matches(' ');
    let len = word
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(word.len());
    (text.len() - word.len(), &word[..len])
}

/// The length of the word behind a number that makes millions of it, with the blanks before it; none if there is no such word.
pub(crate) fn magnitude_len(after: &str) -> usize {
    let (blanks, word) = first_word(after);
    magnitude(word).map_or(0, |_| blanks + word.len())
}

/// How many bytes behind a number decide whether such a word stands there, whatever is added and so are they cut there or anywhere
/// behind; none if what follows may change it.
pub(crate) fn magnitude_decided(after: &str) -> Option<usize> {
    let (blanks, word) = first_word(after);
    let may_become = |(name, _): &(&str, i64)| {
        let head = name.get(..word.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(word)) || magnitude(word).is_some()
    };
    if after.len() == blanks + word.len() && MAGNITUDES.iter().any(may_become) {
        return None;
    }
    if magnitude(word).is_some() {
        return Some(blanks + word.len());
    }
    // "millionaires" are none from their "a" on.
    let begins = (1..word.len())
        .rev()
        .find(|len| word.get(..*len).and_then(magnitude).is_some());
    Some(begins.map_or(0, |len| {
        let next = word[len..].chars().next().map_or(0, char::len_utf8);
        blanks + len + next
    }))
}

/// Names of fractions, without the s.
const ORDINALS: [&str; 9] = [
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "tenth",
    "hundredth",
    "thousandth",
];

/// Whether words change the number before them and so are no unit: "5 squared", "5 halves", "5 and a half", "5 or more".
pub(crate) fn alters(words: &str) -> bool {
    let lower = words.to_lowercase();
    let first = lower.split(' ').next().unwrap_or_default();
    let opens = matches!(
        first,
        "squared"
            | "cubed"
            | "factorial"
            | "half"
            | "halves"
            | "pi"
            | "and"
            | "or"
            | "plus"
            | "minus"
            | "over"
            | "divided"
            | "multiplied"
            | "modulo"
            | "mod"
            | "raised"
            | "choose"
            | "below"
            | "above"
    );
    // What stands behind a comma is not said of the number: "5 cm, but not exact".
    let said = lower.split(',').next().unwrap_or_default();
    let denied = |word: &str| matches!(word, "not" | "wrong" | "incorrect" | "never");
    opens
        || lower.starts_with("to the ")
        || lower.ends_with(" otherwise")
        || said.split(' ').take(3).any(denied)
        || ORDINALS.contains(&lower.strip_suffix('s').unwrap_or(&lower))
}

/// Words up to the end of the item: `\text{ cm}^2`, `square feet`, `apples per day`.
pub(super) fn unit(input: &mut Input<'_>) -> Parsed<String> {
    let words = words(input)?;
    if alters(&words) { fail() } else { Ok(words) }
}

fn words(input: &mut Input<'_>) -> Parsed<String> {
    let mut unit = String::new();
    loop {
        match peek(input) {
            Some('\\') => match peek_command(input) {
                Some(
                    name @ ("text" | "mathrm" | "mbox" | "textbf" | "textit" | "textnormal"
                    | "textrm"),
                ) => {
                    take_command(input, name);
                    let content = braced(input)?;
                    if conjunction(content).is_some() {
                        return fail();
                    }
                    push(&mut unit, content.trim());
                }
                Some("degree") if !unit.is_empty() => {
                    take_command(input, "degree");
                }
                _ if take(input, "\\$") => push(&mut unit, "$"),
                _ => return fail(),
            },
            Some('^') if !unit.is_empty() => {
                take(input, "^");
                let braces = take(input, "{");
                blanks(input);
                let Some(power) = input.input.chars().next().filter(char::is_ascii_digit) else {
                    return fail();
                };
                input.input = &input.input[1..];
                if braces && !take(input, "}") {
                    return fail();
                }
                unit.push('^');
                unit.push(power);
            }
            Some('/') if !unit.is_empty() => {
                take(input, "/");
                unit.push('/');
            }
            Some('.') if !unit.is_empty() => {
                take(input, ".");
            }
            Some('-') if !unit.is_empty() && !unit.ends_with(' ') => {
                take(input, "-");
                unit.push('-');
            }
            Some(c) if c.is_alphabetic() => {
                blanks(input);
                let rest = input.input;
                let len = rest
                    .find(|c: char| !(c.is_alphabetic() || c == '.'))
                    .unwrap_or(rest.len());
                let run = rest[..len].trim_end_matches('.');
                if unit.is_empty() && rest.starts_with("m/s") {
                    input.input = &rest[3..];
                    push(&mut unit, "m/s");
                    continue;
                }
                let long = run.chars().count() >= 3
                    || !c.is_ascii()
                    || (!unit.is_empty() && run.len() >= 2)
                    || (unit.ends_with('/') && LETTERS.contains(&run));
                if super::list::is_conjunction(input) || !(long || is_short_unit(run)) {
                    return fail();
                }
                input.input = &rest[run.len()..];
                push(&mut unit, run);
            }
            None | Some(',' | ';' | ')' | ']' | '}' | '<' | '>' | '=' | '&')
                if !unit.is_empty() =>
            {
                return Ok(unit);
            }
            _ => return fail(),
        }
        if at_conjunction(input) && !unit.is_empty() {
            return Ok(unit);
        }
    }
}

fn push(unit: &mut String, word: &str) {
    if !unit.is_empty() && !unit.ends_with('/') {
        unit.push(' ');
    }
    unit.push_str(word);
}

fn at_conjunction(input: &Input<'_>) -> bool {
    if super::list::is_conjunction(input) {
        return true;
    }
    match peek_command(input) {
        Some(name @ ("text" | "mathrm" | "mbox" | "textrm")) => {
            let mut ahead = input.clone();
            take_command(&mut ahead, name);
            braced(&mut ahead).is_ok_and(|content| conjunction(content).is_some())
        }
        Some("lor" | "vee" | "land" | "wedge" | "end" | "cup") => true,
        Some(name) => super::relation::named(name).is_some(),
        None => {
            input.input.trim_start().starts_with("\\\\")
                || input.input.trim_start().starts_with("\\}")
        }
    }
}
