//! Reading an answer: text goes in, its normal form comes out.

use crate::amount;
use crate::budget;
use crate::form::answer;
use crate::form::build::{self, Fault};
use crate::form::sum::Sum;
use crate::form::text;
use crate::form::value::{Quantity, Value};
use crate::rational::decimal;
use crate::refusal::Refusal;
use crate::syntax::{self, Reading, surface};

/// The normal form of an answer; words, and mathematics outside the grammar, are kept as text.
pub(crate) fn read(answer: &str, reading: Reading) -> Result<Value, Refusal> {
    budget::start_reading();
    if let Some(quantity) = plain_number(answer) {
        return Ok(Value::Scalar(quantity));
    }
    if let Some((number, measure)) = amount::read(answer)
        && let Ok(Value::Scalar(quantity)) = read(&number, reading)
        && quantity.measure.is_none()
    {
        let measure = Some(measure);
        return Ok(Value::Scalar(Quantity {
            measure,
            ..quantity
        }));
    }
    let surface = surface::clean(answer)?;
    if text::is_words(&surface) && !is_function_or_constant(&surface) {
        return Ok(text::value(&surface));
    }
    let as_written = || Value::Text(text::as_written(&surface));
    let Some(expr) = syntax::parse(&surface, reading, build::plain_text)? else {
        return Ok(as_written());
    };
    match answer::value(&expr) {
        Ok(value) => Ok(value),
        Err(Fault::Refused(refusal)) => Err(refusal),
        Err(Fault::OfOtherKind) => Ok(as_written()),
    }
}

/// A whole number or decimal that needs no grammar: `-12`, `3.50`.
fn plain_number(answer: &str) -> Option<Quantity> {
    let (negative, digits) = match answer.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, answer),
    };
    let short =
        (1..=15).contains(&digits.len()) && digits.starts_with(|c: char| c.is_ascii_digit());
    if !short || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') || digits.ends_with('.') {
        return None;
    }
    let value = decimal(digits)?;
    let places = digits.find('.').map(|at| (digits.len() - at - 1) as u32);
    let sum = Sum::rational(if negative { -value } else { value });
    Some(Quantity {
        places,
        ..Quantity::bare(sum)
    })
}

fn is_function_or_constant(surface: &str) -> bool {
    let first = surface
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or("");
    matches!(first, "infinity" | "inf" | "sqrt")
        || crate::function::Function::named(first).is_some()
}
