//! Amounts in plain text: a number with a currency before it or a unit after it goes in (`€5`, `USD 5`, `5 kWh`, `5°C`, `5 m²`); the
//! number's own text and the measure come out.
//!
//! The grammar reads letters after a number as variables, and words as units. This comes before it and takes what can be nothing else: a
//! number alone, and beside it signs and symbols of the table of units. When letters are a unit and when variables:
//! - in a text command they are a unit (the grammar sees to that), and so is a sign that is no letter of a formula: `€`, `°`, `Ω`, `µ`;
//! - behind a blank they are one from two letters on, but for pairs that name segments or products in formulas ([`is_symbol`]): `5 mg`;
//! - where they touch the number they are one if they are of three letters or more in both cases, as no product is (`5kWh`), or in
//!   a short list of symbols (`5cm`); others are variables: `2mg`, `3kT`, `5ms`;
//! - a lone letter is a variable (`5m`, `5 m`, `6s²`, `2L·W`), but for `m²`, `m³`, `m/s` and what is written with them (`m/s²`, `W/m²`), and behind a blank `N·m`, `A·h`, `W·h` and powers below zero
//!   in raised digits (`5 s⁻¹`).
//!
//! A formula's letters are no different: what a blank says there, a thin space or a text command says.

use std::borrow::Cow;

use crate::measure::{Measure, currency};
use crate::refusal::MAX_LEN;
use crate::syntax::unit::{SYMBOLS, magnitude_len};

/// Pairs of letters that may as well be variables: they are units in words and in text commands alone.
const VARIABLES: [&str; 12] = [
    "ac", "pt", "ly", "as", "sr", "hp", "kT", "pV", "ds", "dA", "dT", "dV",
];

/// Pairs of capitals that are units behind a blank; others name segments, as `MN` does.
const CAPITALS: [&str; 9] = ["KB", "MB", "GB", "TB", "MW", "GW", "TW", "MJ", "GJ"];

/// Symbols that are units even where they touch the number, besides those of the grammar.
const GLUED: [&str; 7] = ["kph", "kW", "kJ", "kB", "Hz", "dB", "eV"];

/// Words for money that may stand before the number.
const WORDS: [&str; 8] = [
    "dollar", "euro", "pound", "rupee", "yen", "yuan", "franc", "peso",
];

/// An answer that is a number beside a known currency or unit: the number's text, with its sign, and the measure.
pub(crate) fn read(answer: &str) -> Option<(String, Measure)> {
    let text = answer.trim();
    let bare = |c: char| c.is_ascii_digit() || b"+-*/=., ".contains(&(c as u8));
    if text.len() > MAX_LEN || text.chars().all(|c| c.is_ascii() && bare(c)) {
        return None;
    }
    let text = undressed(text);
    let begins = |c: char| !(c.is_ascii_lowercase() || matches!(c, '(' | '[' | '{'));
    let head = word(&text);
    if !text.starts_with(begins) && !is_money(head) && head != "kr" {
        return None;
    }
    let in_text = is_unit_in_text(&text);
    let text = plain(&text)?;
    let (sign, text) = signed(&text);
    let (before, text) = money_before(text);
    let (inner_sign, text) = signed(text);
    if !sign.is_empty() && !inner_sign.is_empty() {
        return None;
    }
    let len = number_len(text);
    if len == 0 {
        return None;
    }
    let number = text[..len].trim_end_matches(['.', ',', ' ', '/']);
    let after_number = &text[number.len()..];
    let (magnitude, rest) = after_number.split_at(magnitude_len(after_number));
    let rest = rest.trim_end_matches(['.', ' ']);
    let measure = match (before, rest.trim_start()) {
        (Before::Nothing | Before::Dollar, "") => return None,
        (Before::Money(measure), "") => measure,
        (Before::Nothing, unit) => after(unit, rest, in_text)?,
        // The sign of dollars, or the mark of a formula that ends before the unit: `$5 USD`, `$5$ EUR`.
        (Before::Dollar, unit) => match unit.strip_prefix('$') {
            Some(unit) => after(unit.trim_start(), " ", in_text)?,
            // One sign is enough: `$5 C$` is a formula, or nothing.
            None if unit.ends_with('$') => return None,
            None => after(unit, rest, in_text).filter(|measure| measure.agrees(Measure::DOLLAR))?,
        },
        (Before::Money(measure), unit) => {
            after(unit, rest, in_text).filter(|after| after.agrees(measure))?
        }
    };
    Some((format!("{sign}{inner_sign}{number}{magnitude}"), measure))
}

/// The letters at the head of a text.
fn word(text: &str) -> &str {
    let len = text.find(|c: char| !c.is_alphabetic());
    &text[..len.unwrap_or(text.len())]
}

/// Whether a word for money may stand before its number.
fn is_money(word: &str) -> bool {
    let word = word.strip_suffix('s').unwrap_or(word);
    WORDS.iter().any(|money| money.eq_ignore_ascii_case(word))
}

/// The text without a formula's marks and emphasis of Markdown around all of it, or emphasis of its beginning or end: `$5 kWh$`, `**5
/// kWh**`, `**5** kWh`.
fn undressed(text: &str) -> Cow<'_, str> {
    let mut text = text;
    while let Some(inner) = ["$$", "$", "__", "_", "`"]
        .iter()
        .find_map(|mark| within(text, mark))
        .or_else(|| within(text, "**").or_else(|| within(text, "*")))
    {
        text = inner.trim();
    }
    let emphasis = text.starts_with("**") || text.ends_with("**");
    if emphasis && text.matches("**").count() == 2 {
        return Cow::Owned(text.replace("**", ""));
    }
    Cow::Borrowed(text)
}

/// What stands between two marks, where they are the only ones.
fn within<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
    (!inner.is_empty() && !inner.contains(mark) && !inner.ends_with('\\')).then_some(inner)
}

/// What stands before a number.
enum Before {
    Nothing,
    /// The sign that is also a formula's mark.
    Dollar,
    Money(Measure),
}

/// The currency at the head, and what follows it.
fn money_before(text: &str) -> (Before, &str) {
    if let Some(rest) = text.strip_prefix("\\$").or_else(|| text.strip_prefix('$')) {
        return (Before::Dollar, rest.trim_start());
    }
    let head = word(text);
    let (measure, len) = match currency(text) {
        Some((code, len)) => (Measure::currency(code), len),
        None if is_money(head) => match Measure::named(head) {
            Some(measure) => (measure, head.len()),
            None => return (Before::Nothing, text),
        },
        None => return (Before::Nothing, text),
    };
    (
        Before::Money(measure),
        text[len..].trim_start_matches([' ', ':']),
    )
}

/// The measure of a whole text after a number, if it can be nothing else; `rest` is that text with the blanks before it, `in_text` whether a
/// text command holds all of it.
fn after(unit: &str, rest: &str, in_text: bool) -> Option<Measure> {
    if let Some((code, len)) = currency(unit)
        && len == unit.len()
        && unit != "$"
    {
        return Some(Measure::currency(code));
    }
    let spaced = rest.starts_with(' ');
    // Words of three letters, which the grammar takes for variables: "5 yen".
    if spaced && unit.len() >= 3 && unit.bytes().all(|b| b.is_ascii_lowercase()) {
        return Measure::named(unit);
    }
    let measure = Measure::of_symbols(&unit.replace(RAISED, "^"))?;
    let sign = unit.contains(|c: char| !(c.is_ascii() || matches!(c, RAISED | '·')));
    let mut symbols = unit
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|symbol| !symbol.is_empty());
    let stands = in_text
        || sign
        || is_of_letters(unit, spaced)
        || (!unit.contains('^') && symbols.any(|symbol| is_symbol(symbol, spaced)));
    stands.then_some(measure)
}

/// Whether letters are the symbol of a unit and no product of variables; `spaced` if a blank is between them and the number.
fn is_symbol(letters: &str, spaced: bool) -> bool {
    let capitals = letters.bytes().all(|b| b.is_ascii_uppercase());
    let small = letters.bytes().all(|b| b.is_ascii_lowercase());
    let glued = SYMBOLS.contains(&letters)
        || GLUED.contains(&letters)
        || (letters.len() >= 3 && !small && !capitals);
    let apart = letters.len() >= 2
        && !VARIABLES.contains(&letters)
        && (letters.len() > 2 || !capitals || CAPITALS.contains(&letters));
    glued || (spaced && apart)
}

/// Whether a unit is one of those few of lone letters that are no variables.
fn is_of_letters(unit: &str, spaced: bool) -> bool {
    let metres = unit
        .split(['/', '·', '*', ' ', '('])
        .any(|part| matches!(part.split_once(RAISED), Some(("m", "2" | "3"))));
    let speed = unit
        .strip_prefix("m/s")
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    let below_zero = unit
        .split(RAISED)
        .skip(1)
        .any(|power| power.starts_with('-'));
    metres || speed || (spaced && (below_zero || matches!(unit, "N·m" | "A·h" | "W·h")))
}

/// Stands for a raised digit's mark, so that it is not mistaken for a power in a formula.
const RAISED: char = '\u{e000}';

/// The text with the commands of formulas for signs and spaces written plainly; none if others are left.
fn plain(text: &str) -> Option<String> {
    Some(joined_degrees(plain_with_blanks(text)?.trim()))
}

fn plain_with_blanks(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '\\' {
            if let Some((content, len)) = words_in_text(rest) {
                out.push_str(&plain_with_blanks(content)?);
                rest = &rest[len..];
                continue;
            }
            let (plain, len) = command(rest)?;
            out.push_str(plain);
            rest = &rest[len..];
            continue;
        }
        if let Some(degree) = ["^{\\circ}", "^\\circ", "^{\\circ }"]
            .iter()
            .find(|sign| rest.starts_with(**sign))
        {
            rest = rest[degree.len()..].trim_start();
            out.push('°');
            continue;
        }
        rest = &rest[c.len_utf8()..];
        let digit = match c {
            '¹' => '1',
            '²' => '2',
            '³' => '3',
            '⁴'..='⁹' => char::from_digit(u32::from(c) - 0x2070, 10)?,
            '⁻' => '-',
            RAISED => return None,
            c if c.is_whitespace() || c == '~' => ' ',
            'º' | '˚' => '°',
            '−' | '–' => '-',
            '⋅' => '·',
            '℃' => {
                out.push_str("°C");
                continue;
            }
            '℉' => {
                out.push_str("°F");
                continue;
            }
            c => {
                out.push(c);
                continue;
            }
        };
        let raised = matches!(c, '¹' | '²' | '³' | '⁴'..='⁹' | '⁻');
        if raised && !out.ends_with([RAISED, '-']) {
            out.push(RAISED);
        }
        out.push(digit);
    }
    Some(out)
}

/// The text with no blank within `° C` and `° F`.
fn joined_degrees(text: &str) -> String {
    let Some((before, after)) = text.split_once('°') else {
        return text.to_owned();
    };
    let scale = after.trim_start();
    let joins = matches!(word(scale), "C" | "F" | "K");
    format!("{before}°{}", if joins { scale } else { after })
}

/// What opens a text command.
const IN_TEXT: [&str; 4] = ["\\text{", "\\mathrm{", "\\textrm{", "\\mbox{"];

/// Whether a text ends in a text command without a number in front, and what is before it has the number: `5\text{ m}^2`.
fn is_unit_in_text(text: &str) -> bool {
    let Some(at) = IN_TEXT.iter().filter_map(|open| text.find(open)).min() else {
        return false;
    };
    let digit = |c: char| crate::syntax::digit(c).is_some();
    words_in_text(&text[at..]).is_some_and(|(content, len)| {
        let behind = &text[at + len..];
        let power = |c: char| matches!(c, '^' | '²' | '³' | '⁻' | '.' | ' ');
        text[..at].contains(digit)
            && !content.trim_start().starts_with(digit)
            && !behind.starts_with(|c| !power(c))
    })
}

/// The words of a text command at the head of a text, and its length with its braces.
fn words_in_text(text: &str) -> Option<(&str, usize)> {
    let open = IN_TEXT.iter().find(|open| text.starts_with(**open))?.len();
    let content = &text[open..open + text[open..].find('}')?];
    let plain = !content.contains(['{', '$']);
    plain.then_some((content, open + content.len() + 1))
}

/// What a command at the head of a text stands for in an amount, and its length.
fn command(text: &str) -> Option<(&'static str, usize)> {
    const COMMANDS: &[(&str, &str)] = &[
        ("\\$", "\\$"),
        ("\\%", "%"),
        ("\\,", " "),
        ("\\;", " "),
        ("\\:", " "),
        ("\\!", ""),
        ("\\ ", " "),
        ("\\cdot", "·"),
        ("\\degree", "°"),
        ("\\textdegree", "°"),
        ("\\euro", "€"),
        ("\\texteuro", "€"),
        ("\\pounds", "£"),
        ("\\textsterling", "£"),
        ("\\yen", "¥"),
        // Letters in a formula, as the signs "µ" and "Ω" are not.
        ("\\mu", "u"),
        ("\\Omega", "ohm"),
        ("\\quad", " "),
    ];
    let (command, plain) = COMMANDS.iter().rfind(|(command, _)| {
        let letters = command.len() > 2;
        text.strip_prefix(command)
            .is_some_and(|rest| !(letters && rest.starts_with(|c: char| c.is_ascii_alphabetic())))
    })?;
    let mut len = command.len();
    if command.len() > 2 {
        let rest = &text[len..];
        len += rest
            .strip_prefix("{}")
            .map_or(rest.len() - rest.trim_start().len(), |_| 2);
    }
    Some((plain, len))
}

/// The sign at the head, and what follows it.
fn signed(text: &str) -> (&str, &str) {
    match text.strip_prefix('-') {
        Some(rest) => ("-", rest.trim_start()),
        None => ("", text),
    }
}

/// The length of the number at the head: digits of any script, their marks, and blanks between digits.
fn number_len(text: &str) -> usize {
    let digit = |c: Option<char>| c.is_some_and(|c| crate::syntax::digit(c).is_some());
    let mut head = text.chars();
    let first = head.next().filter(|c| *c != '.').or_else(|| head.next());
    if !digit(first) {
        return 0;
    }
    let mut len = 0;
    while let Some(c) = text[len..].chars().next() {
        let next = text[len + c.len_utf8()..].chars().next();
        if !(digit(Some(c)) || (matches!(c, '.' | ',' | '/' | ' ' | '٫' | '٬') && digit(next))) {
            break;
        }
        len += c.len_utf8();
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answer: &str) -> Option<(String, String)> {
        read(answer).map(|(number, measure)| (number, measure.name()))
    }

    #[test]
    fn an_amount_is_a_number_and_a_measure() {
        for (answer, number, measure) in [
            ("5€", "5", "EUR"),
            ("€5", "5", "EUR"),
            ("-€5", "-5", "EUR"),
            ("€ -5", "-5", "EUR"),
            ("EUR 5", "5", "EUR"),
            ("5EUR", "5", "EUR"),
            ("euro 5", "5", "EUR"),
            ("€5 million", "5 million", "EUR"),
            ("5 million EUR", "5 million", "EUR"),
            ("US$5", "5", "USD"),
            ("$5 USD", "5", "USD"),
            ("$5$ USD", "5", "USD"),
            ("CHF 1,234.50.", "1,234.50", "CHF"),
            ("Rs. 1,234", "1,234", "Rs"),
            ("₹1,00,000", "1,00,000", "INR"),
            ("5 1/2 kWh", "5 1/2", "kWh"),
            ("5kWh", "5", "kWh"),
            ("5 MW", "5", "MW"),
            (r"5\,kWh", "5", "kWh"),
            ("5°C", "5", "celsius"),
            ("5 ℃", "5", "celsius"),
            (r"5^\circ C", "5", "celsius"),
            (r"5^{\circ}F", "5", "fahrenheit"),
            ("5 m²", "5", "m^2"),
            ("5m³", "5", "m^3"),
            ("5 s⁻¹", "5", "/s"),
            ("5 km/h", "5", "km/h"),
            ("5 kg/m³", "5", "kg/m^3"),
            ("5 N·m", "5", "N*m"),
            (r"5\,\mu m", "5", "µm"),
            (r"5\,k\Omega", "5", "kΩ"),
            (r"5\,\mathrm{kW\cdot h}", "5", "kWh"),
            (r"5\mathrm{L\cdot W}", "5", "L*W"),
            (r"5\text{ m}^2", "5", "m^2"),
            (r"2\text{mg}.", "2", "mg"),
            (r"\text{5 kWh}", "5", "kWh"),
            ("5µm", "5", "µm"),
            ("5Ω", "5", "Ω"),
            ("20° C", "20", "celsius"),
            (r"20^\circ \mathrm{C}", "20", "celsius"),
            ("20 ° F.", "20", "fahrenheit"),
            ("**5 kWh**", "5", "kWh"),
            ("**5** kWh", "5", "kWh"),
            ("5 **kWh**", "5", "kWh"),
            ("*5 kWh*", "5", "kWh"),
            ("`€5`", "5", "EUR"),
            ("$5 kWh$", "5", "kWh"),
            ("$$5 kWh$$", "5", "kWh"),
            ("5kW·h", "5", "kWh"),
            ("5 A·h", "5", "Ah"),
            ("5 mAh", "5", "mAh"),
            ("5 m s⁻²", "5", "m/s^2"),
            ("9.8 m/s²", "9.8", "m/s^2"),
            ("9.8m/s²", "9.8", "m/s^2"),
            ("5 W/m²", "5", "W/m^2"),
            ("5 m³/s", "5", "m^3/s"),
            ("5 Million EUR", "5 Million", "EUR"),
            ("٥ kWh", "٥", "kWh"),
        ] {
            let expected = Some((number.to_owned(), measure.to_owned()));
            assert_eq!(told(answer), expected, "{answer}");
        }
    }

    #[test]
    fn what_may_be_variables_is_left_to_the_grammar() {
        for answer in [
            "5",
            "5m",
            "5 m",
            "5 g",
            "5 m^2",
            "5m^2",
            "5ms",
            "5MB",
            "5 ac",
            "5ab",
            "5 J/K",
            r"2L\cdot W",
            "2L·W",
            "2 L·W",
            "2 L W",
            "5N·m",
            "$5A$",
            "$$5A$$",
            "$5 C$",
            "-$5C$",
            "$5US$",
            "3kT",
            "3 kT",
            "2mg",
            "2 MN",
            "6s²",
            "6 s²",
            "5g³",
            "2mg/h",
            r"5\mu m",
            r"2\Omega",
            r"2\text{m}g",
            r"\text{2mg}",
            "**5**",
            "2**kg",
            "5x",
            "$5",
            "$5$",
            "x €",
            "€",
            "EUR",
            "5 € 6",
            "5 EURO 6",
            "5 km, 6 km",
            "3:30 pm",
            "1 m 50 cm",
            "€5 kWh",
            r"\frac{1}{2} kWh",
            "kWh 5",
            "5 -",
            "--€5",
            "-€-5",
            "won 5",
        ] {
            assert_eq!(told(answer), None, "{answer}");
        }
    }
}
