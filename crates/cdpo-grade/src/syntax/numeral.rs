//! Numbers: digits with separators and decimals, repeating decimals, scientific notation, digits in a base.

use num_traits::Zero;
use winnow::Parser;
use winnow::token::take_while;

use super::Expr;
use super::group::braced;
use super::input::{Input, Parsed, attempt, blanks, fail, peek_command, take, take_command};
use crate::rational::{MAX_BITS, Rational, charge, decimal, power, power_of_ten, product, total};
use crate::refusal::Refusal;

fn digits<'a>(input: &mut Input<'a>) -> Parsed<&'a str> {
    take_while(1.., |c: char| c.is_ascii_digit()).parse_next(input)
}

/// A number without a sign.
pub(super) fn number(input: &mut Input<'_>) -> Parsed<Expr> {
    let mut whole = attempt(input, digits).unwrap_or("").to_owned();
    if !whole.is_empty() {
        if let Some(based) = attempt(input, |input| subscript_base(input, &whole)) {
            return Ok(based);
        }
        if whole.len() <= 3 {
            while let Some(group) = attempt(input, |input| thousands(input, &whole)) {
                whole.push_str(group);
            }
        }
    }
    let mut fraction = String::new();
    let mut repeating = None;
    let point = input.input.starts_with('.')
        || (input.state.reading.decimal_comma
            && input.state.fences == 0
            && input.input.starts_with(','));
    let mut has_point = false;
    if point {
        let rest = input.input;
        input.input = &rest[1..];
        attempt(input, digits)
            .unwrap_or("")
            .clone_into(&mut fraction);
        repeating = attempt(input, overlined).or_else(|| attempt(input, bracketed));
        if repeating.is_none() && attempt(input, dots).is_some() {
            repeating = period(&fraction).map(str::to_owned);
            let lead = fraction.len() - repeating.as_ref().map_or(0, String::len);
            fraction.truncate(lead);
        }
        has_point = !fraction.is_empty() || repeating.is_some();
        if !has_point && (whole.is_empty() || rest.starts_with(',')) {
            input.input = rest;
            if whole.is_empty() {
                return fail();
            }
        }
    }
    if whole.is_empty() && !has_point {
        return fail();
    }
    let text = if has_point && !fraction.is_empty() {
        format!("{whole}.{fraction}")
    } else {
        whole
    };
    let Some(mut value) = decimal(if text.is_empty() { "0" } else { &text }) else {
        input.state.refusal = Some(Refusal::TooBig);
        return fail();
    };
    let mut places = has_point.then_some(fraction.len() as u32);
    if let Some(period) = repeating {
        let nines = power_of_ten(period.len() as u32) - 1;
        let shift = power_of_ten(fraction.len() as u32);
        let period: num_bigint::BigInt = period.parse().unwrap_or_default();
        let repeated = charge(2 * period.bits() + 2 * shift.bits())
            .and_then(|()| total(&value, &Rational::new(period, nines * shift)));
        value = bounded(input, repeated)?;
        places = None;
    }
    if let Some(exponent) = attempt(input, exponent) {
        let scale = power(&Rational::from_integer(10.into()), &exponent.into());
        let Some(scale) = scale else {
            input.state.refusal = Some(Refusal::TooBig);
            return fail();
        };
        let scaled = product(&value, &scale);
        value = bounded(input, scaled)?;
        places = None;
    }
    Ok(Expr::Number(value, places))
}

/// A number, or the end of the reading.
fn bounded(input: &mut Input<'_>, value: Result<Rational, Refusal>) -> Parsed<Rational> {
    match value {
        Ok(value) => Ok(value),
        Err(refusal) => {
            input.state.refusal = Some(refusal);
            fail()
        }
    }
}

/// One more group of three digits, and the separator in front of it: `,` or a blank outside brackets, and `{,}`, `,\!`
/// or `\!` anywhere.
fn thousands<'a>(input: &mut Input<'a>, before: &str) -> Parsed<&'a str> {
    // `before` is the first group, of one to three digits, or ends in groups of three.
    let loose = input.state.fences == 0 && !before.starts_with('0');
    if take(input, "{,}") || take(input, "{, }") {
        blanks(input);
    } else if let Some(rest) = input.input.strip_prefix(',') {
        let narrow = rest.trim_start().starts_with("\\!");
        if !narrow && !loose {
            return fail();
        }
        input.input = rest;
        if narrow {
            blanks(input);
        }
    } else if input.input.starts_with("\\!") {
        blanks(input);
    } else if loose && first_is_blank(input) {
        input.input = &input.input[1..];
    } else {
        return fail();
    }
    let group = digits(input)?;
    if group.len() == 3 { Ok(group) } else { fail() }
}

fn first_is_blank(input: &Input<'_>) -> bool {
    let mut chars = input.input.chars();
    chars.next() == Some(' ') && chars.next().is_some_and(|c| c.is_ascii_digit())
}

/// The period of a repeating decimal: `\overline{3}`.
fn overlined(input: &mut Input<'_>) -> Parsed<String> {
    match peek_command(input) {
        Some(name @ ("overline" | "bar" | "dot")) => take_command(input, name),
        _ => return fail(),
    }
    let braced = take(input, "{");
    blanks(input);
    let period = if braced {
        let period = digits(input)?;
        if !take(input, "}") {
            return fail();
        }
        period
    } else {
        take_while(1..=1, |c: char| c.is_ascii_digit()).parse_next(input)?
    };
    if period.len() as u64 > MAX_BITS / 8 {
        fail()
    } else {
        Ok(period.to_owned())
    }
}

/// The period of a repeating decimal: `(3)`, as in 0.1(6).
fn bracketed(input: &mut Input<'_>) -> Parsed<String> {
    let Some(rest) = input.input.strip_prefix('(') else {
        return fail();
    };
    input.input = rest;
    let period = digits(input)?;
    let Some(rest) = input.input.strip_prefix(')') else {
        return fail();
    };
    input.input = rest;
    if period.len() as u64 > MAX_BITS / 8 {
        fail()
    } else {
        Ok(period.to_owned())
    }
}

/// Dots behind a decimal that goes on.
fn dots(input: &mut Input<'_>) -> Parsed<()> {
    if let Some(rest) = input.input.strip_prefix("...") {
        input.input = rest;
        return Ok(());
    }
    match peek_command(input) {
        Some(name @ ("ldots" | "dots" | "cdots" | "dotsc")) => {
            take_command(input, name);
            Ok(())
        }
        _ => fail(),
    }
}

/// The digits that repeat at the end of a decimal that goes on: one digit three times, or all of them twice.
fn period(fraction: &str) -> Option<&str> {
    let last = fraction.chars().next_back()?;
    if fraction.len() - fraction.trim_end_matches(last).len() >= 3 {
        return Some(&fraction[fraction.len() - 1..]);
    }
    (2..=fraction.len() / 2)
        .filter(|len| fraction.len().is_multiple_of(*len))
        .map(|len| &fraction[..len])
        .find(|period| fraction.replace(*period, "").is_empty())
}

/// The exponent of `1.5e-7`.
fn exponent(input: &mut Input<'_>) -> Parsed<i32> {
    let rest = input.input;
    let Some(tail) = rest.strip_prefix(['e', 'E']) else {
        return fail();
    };
    let (negative, tail) = match tail.strip_prefix('-') {
        Some(tail) => (true, tail),
        None => (false, tail.strip_prefix('+').unwrap_or(tail)),
    };
    let len = tail.bytes().take_while(u8::is_ascii_digit).count();
    let Ok(size) = tail[..len].parse::<u16>() else {
        return fail();
    };
    input.input = &tail[len..];
    Ok(if negative {
        -i32::from(size)
    } else {
        i32::from(size)
    })
}

/// The base written as a subscript of digits; base ten is an ordinary number.
fn subscript_base(input: &mut Input<'_>, digits_before: &str) -> Parsed<Expr> {
    // Digits above nine are capital letters: `2A5_{16}`.
    let letters = input
        .input
        .bytes()
        .take_while(u8::is_ascii_alphanumeric)
        .count();
    let tail = &input.input[..letters];
    let rest = &input.input[letters..];
    if !rest.starts_with('_')
        || !tail
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
    {
        return fail();
    }
    input.input = &rest[1..];
    blanks(input);
    let base = if input.input.starts_with('{') {
        let content = braced(input)?.trim();
        let content = content
            .trim_start_matches("\\text")
            .trim_matches(['{', '}', ' ', '(', ')']);
        let content = content.trim_start_matches("base").trim();
        content.parse::<u32>().ok().or_else(|| base_named(content))
    } else {
        digits(input)?.parse::<u32>().ok()
    };
    match base {
        Some(10) if tail.is_empty() => {
            decimal(digits_before).map_or_else(fail, |n| Ok(Expr::Number(n, None)))
        }
        Some(base @ 2..=36) => Ok(Expr::Based(format!("{digits_before}{tail}"), base)),
        _ => fail(),
    }
}

fn base_named(name: &str) -> Option<u32> {
    let names = [
        "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    ];
    names
        .iter()
        .position(|n| *n == name)
        .map(|at| at as u32 + 2)
}

/// A decimal digit as TeX takes an argument without braces.
pub(super) fn single_digit(input: &mut Input<'_>) -> Parsed<Expr> {
    blanks(input);
    let digit: &str = take_while(1..=1, |c: char| c.is_ascii_digit()).parse_next(input)?;
    decimal(digit).map_or_else(fail, |n| Ok(Expr::Number(n, None)))
}

/// Whether a number is a whole one, and the value of a proper fraction of whole numbers.
pub(super) fn is_mixed(whole: &Expr, fraction: &Expr) -> bool {
    let natural = |e: &Expr| matches!(e, Expr::Number(n, None) if n.is_integer());
    match fraction {
        Expr::Div(a, b) => match (a.as_ref(), b.as_ref()) {
            (Expr::Number(a, None), Expr::Number(b, None)) => {
                natural(whole) && a.is_integer() && b.is_integer() && a < b && !a.is_zero()
            }
            _ => false,
        },
        _ => false,
    }
}
