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
        )
}

fn is_short_unit(run: &str) -> bool {
    matches!(
        run,
        "cm" | "mm"
            | "km"
            | "ft"
            | "kg"
            | "lb"
            | "lbs"
            | "oz"
            | "mi"
            | "yd"
            | "hr"
            | "hrs"
            | "mph"
            | "kph"
            | "mL"
            | "ml"
            | "sq"
            | "in"
            | "pm"
            | "am"
            | "PM"
            | "AM"
            | "units"
            | "dollars"
            | "cents"
            | "a.m"
            | "p.m"
    )
}

/// Whether a text begins with a unit that stands behind a number without `\text`.
pub(super) fn is_bare_unit(text: &str) -> bool {
    let len = text
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    matches!(
        &text[..len],
        "cm" | "mm"
            | "km"
            | "ft"
            | "kg"
            | "lb"
            | "lbs"
            | "oz"
            | "yd"
            | "hr"
            | "hrs"
            | "mph"
            | "mL"
            | "ml"
            | "am"
            | "pm"
    )
}

/// Words up to the end of the item: `\text{ cm}^2`, `square feet`, `apples per day`.
pub(super) fn unit(input: &mut Input<'_>) -> Parsed<String> {
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
                let long = run.chars().count() >= 3
                    || !c.is_ascii()
                    || (!unit.is_empty() && run.len() >= 2);
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
