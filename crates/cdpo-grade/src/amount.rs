//! Amounts in plain text: a number with a currency before it or a unit after it goes in (`€5`, `USD 5`, `5 kWh`, `5°C`, `5 m²`); the
//! number's own text and the measure come out.
//!
//! The grammar reads letters after a number as variables, and words as units. This comes before it and takes what can be nothing else:
//! a number alone, and beside it signs and symbols of the table of units. A lone letter stays a variable (`5m`, `5 m`), unless its
//! power is a raised digit, as nobody writes a variable's in plain text (`5 m²`).

use crate::form::unit::{Measure, currency};

/// Symbols that may as well be variables: they are units in words and in text commands alone.
const VARIABLES: [&str; 6] = ["ac", "pt", "ly", "as", "sr", "hp"];

/// Symbols of small letters that are units even where they touch the number.
const GLUED: [&str; 17] = [
    "cm", "mm", "km", "kg", "mg", "ft", "lb", "lbs", "oz", "yd", "hr", "hrs", "mph", "kph", "ml",
    "am", "pm",
];

/// Words for money that may stand before the number.
const WORDS: [&str; 14] = [
    "dollar", "dollars", "euro", "euros", "pound", "pounds", "rupee", "rupees", "yen", "yuan",
    "franc", "francs", "peso", "pesos",
];

/// An answer that is a number beside a known currency or unit: the number's text, with its sign, and the measure.
pub(crate) fn read(answer: &str) -> Option<(String, Measure)> {
    let text = answer.trim();
    let begins = |c: char| !(c.is_ascii_lowercase() || matches!(c, '(' | '[' | '{'));
    if !text.starts_with(begins)
        && !WORDS.iter().any(|word| text.starts_with(word))
        && !text.starts_with("kr")
    {
        return None;
    }
    let text = plain(text)?;
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
    let (magnitude, rest) = magnitude(&text[number.len()..]);
    let rest = rest.trim_end_matches(['.', ' ']);
    let measure = match (before, rest.trim_start()) {
        (Before::Nothing | Before::Dollar, "") => return None,
        (Before::Money(measure), "") => measure,
        (Before::Nothing, unit) => after(unit, rest)?,
        // The sign of dollars, or the mark of a formula that ends before the unit: `$5 USD`, `$5$ EUR`.
        (Before::Dollar, unit) => match unit.strip_prefix('$') {
            Some(unit) => after(unit.trim_start(), " ")?,
            None => after(unit, rest).filter(|measure| measure.agrees(Measure::DOLLAR))?,
        },
        (Before::Money(measure), unit) => {
            after(unit, rest).filter(|after| after.agrees(measure))?
        }
    };
    Some((format!("{sign}{inner_sign}{number}{magnitude}"), measure))
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
    let word = text
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(text.len());
    let named = WORDS.contains(&text[..word].to_lowercase().as_str());
    let (measure, len) = match currency(text) {
        Some((code, len)) => (Measure::currency(code), len),
        None if named => match Measure::named(&text[..word]) {
            Some(measure) => (measure, word),
            None => return (Before::Nothing, text),
        },
        None => return (Before::Nothing, text),
    };
    (
        Before::Money(measure),
        text[len..].trim_start_matches([' ', ':']),
    )
}

/// The measure of a whole text after a number, if it can be nothing else; `rest` is that text with the blanks before it.
fn after(unit: &str, rest: &str) -> Option<Measure> {
    if let Some((code, len)) = currency(unit)
        && len == unit.len()
        && unit != "$"
    {
        return Some(Measure::currency(code));
    }
    let spaced = rest.starts_with(' ');
    // Words of three letters, which the grammar takes for variables: "5 yen".
    if spaced
        && unit.len() >= 3
        && unit.bytes().all(|b| b.is_ascii_lowercase())
        && !VARIABLES.contains(&unit)
    {
        return Measure::named(unit);
    }
    let raised = unit.contains(RAISED);
    let measure = Measure::of_symbols(&unit.replace(RAISED, "^"))?;
    let runs = || {
        unit.split(|c: char| !c.is_ascii_alphabetic())
            .filter(|run| !run.is_empty())
    };
    let foreign = unit.contains(|c: char| !c.is_ascii() && c != RAISED);
    // `m/s` is read wherever it stands; another quotient of letters is one of variables.
    let long = runs().any(|run| run.len() > 1 && !VARIABLES.contains(&run)) || unit == "m/s";
    // Letters of one case that touch the number are variables: "5ms", "5MB".
    let small = runs().all(|run| {
        run.bytes().all(|b| b.is_ascii_lowercase()) || run.bytes().all(|b| b.is_ascii_uppercase())
    });
    let loose = spaced || !small || unit.contains('/') || GLUED.contains(&unit);
    (raised || foreign || (long && loose && !unit.contains('^'))).then_some(measure)
}

/// Stands for a raised digit's mark, so that it is not mistaken for a power in a formula.
const RAISED: char = '\u{e000}';

/// The text with the commands of formulas for signs and spaces written plainly; none if others are left.
fn plain(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '\\' {
            if let Some((content, len)) = words_in_text(rest) {
                out.push_str(content);
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
    Some(out.trim().to_owned())
}

/// The words of a text command at the head of a text, and its length with its braces.
fn words_in_text(text: &str) -> Option<(&str, usize)> {
    let open = ["\\text{", "\\mathrm{", "\\textrm{", "\\mbox{"]
        .iter()
        .find(|open| text.starts_with(**open))?
        .len();
    let content = &text[open..open + text[open..].find('}')?];
    let plain = !content.contains(['\\', '{', '$']);
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
        ("\\mu", "µ"),
        ("\\Omega", "Ω"),
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

/// A power of ten in words at the head of a text, as it stands there, and what follows it.
fn magnitude(text: &str) -> (&str, &str) {
    let word = text.trim_start();
    if !crate::syntax::unit::begins_with_magnitude(word) {
        return ("", text);
    }
    let len = word
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(word.len());
    text.split_at(text.len() - word.len() + len)
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
            (r"5\mu m", "5", "µm"),
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
