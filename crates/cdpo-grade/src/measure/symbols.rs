//! Units written as symbols: `kWh`, `m^2`, `kg\cdot m/s^2`, `J/(kg K)`. A text goes in; the measure, or how much of the text
//! is one, comes out.

use super::table::{ALIASES, PREFIXES, QUOTIENTS, UNITS};
use super::{Measure, currency};

/// The measure that a whole text of symbols names.
pub(super) fn measure(text: &str) -> Option<Measure> {
    let (measure, len) = head(text)?;
    (len == text.len()).then_some(measure?)
}

/// The measure of the symbols at the head of a text, if it is a known product, and their length.
fn head(text: &str) -> Option<(Option<Measure>, usize)> {
    let (first, power, mut at) = factor(text)?;
    let mut measure = first.raised(power);
    loop {
        let rest = &text[at..];
        let (sign, skip) = if rest.starts_with('/') {
            (-1, 1)
        } else if let Some(skip) = product_len(rest) {
            (1, skip)
        } else {
            return Some((measure, at));
        };
        let behind = &rest[skip..];
        if sign < 0
            && let Some(inner) = behind.strip_prefix('(')
            && let Some(close) = inner.find(')')
            && let Some((bottom, len)) = head(&inner[..close])
            && len == close
        {
            measure = measure.zip(bottom).and_then(|(a, b)| a.times(b, -1));
            at += skip + close + 2;
            continue;
        }
        let Some((next, power, len)) = factor(behind) else {
            return Some((measure, at));
        };
        // A blank between symbols makes a product of them only where a power says that they are units.
        if rest.starts_with(' ') && power == 1 && !rest.trim_start().starts_with('\\') {
            return Some((measure, at));
        }
        measure = measure.and_then(|m| m.times(next, sign * power));
        at += skip + len;
    }
}

/// The length of a sign of multiplication, with the blanks around it.
fn product_len(text: &str) -> Option<usize> {
    let inner = text.trim_start();
    let sign = ["\\cdot", "·", "⋅", "*"]
        .iter()
        .find_map(|sign| inner.strip_prefix(sign));
    match sign {
        Some(rest) => Some(text.len() - rest.trim_start().len()),
        None => text.starts_with(' ').then(|| text.len() - inner.len()),
    }
}

/// A symbol with its power, and their length.
fn factor(text: &str) -> Option<(Measure, i8, usize)> {
    let run = text
        .find(|c: char| !(c.is_alphabetic() || matches!(c, '°' | '%')))
        .unwrap_or(text.len());
    let (measure, mut len) = match currency(text) {
        Some((code, len)) if len >= run => (Measure::one("", code), len),
        _ => (symbol(&text[..run])?, run),
    };
    let Some((power, used)) = exponent(&text[len..]) else {
        return Some((measure, 1, len));
    };
    len += used;
    Some((measure, power, len))
}

/// `^2`, `^{-1}`: a power of one digit but zero, and its length.
fn exponent(text: &str) -> Option<(i8, usize)> {
    let inner = text.strip_prefix('^')?;
    let (inner, braced) = match inner.strip_prefix('{') {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let (negative, digits) = match inner.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, inner),
    };
    let digit = digits
        .bytes()
        .next()
        .filter(|b| (b'1'..=b'9').contains(b))?
        - b'0';
    let behind = &digits[1..];
    if behind.starts_with(|c: char| c.is_ascii_digit()) || (braced && !behind.starts_with('}')) {
        return None;
    }
    let len = text.len() - behind.len() + usize::from(braced);
    let power = digit as i8;
    Some((if negative { -power } else { power }, len))
}

/// The measure of one symbol, with its prefix.
fn symbol(run: &str) -> Option<Measure> {
    let run = ALIASES
        .iter()
        .find(|(other, _)| *other == run)
        .map_or(run, |(_, run)| run);
    // A unit of its own goes before one with a prefix: "min", "cd", "pm".
    if let Some(unit) = UNITS.iter().find(|unit| unit.symbols.contains(&run)) {
        return Some(Measure::one("", unit.name));
    }
    let prefixed = UNITS.iter().filter(|unit| unit.prefixed).find_map(|unit| {
        unit.symbols.iter().find_map(|symbol| {
            // Both code points of mu, and the letter that stands in for it.
            let prefix = match run.strip_suffix(symbol)? {
                "μ" | "u" => "µ",
                prefix => prefix,
            };
            let known =
                |(symbol, ..): &&(&str, &str, &str)| !prefix.is_empty() && *symbol == prefix;
            let (prefix, ..) = PREFIXES.iter().find(known)?;
            Some(Measure::one(prefix, unit.name))
        })
    });
    prefixed.or_else(|| {
        let (_, top, bottom) = QUOTIENTS.iter().find(|(name, ..)| *name == run)?;
        symbol(top)?.times(symbol(bottom)?, -1)
    })
}

/// The measure of one symbol whose letters' case was lost.
pub(super) fn in_any_case(text: &str) -> Option<Measure> {
    let of_unit =
        |unit: &&super::table::Unit| unit.symbols.iter().any(|s| s.eq_ignore_ascii_case(text));
    match UNITS.iter().find(of_unit) {
        Some(unit) => Some(Measure::one("", unit.name)),
        None => symbol(text),
    }
}
