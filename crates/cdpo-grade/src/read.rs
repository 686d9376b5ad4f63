//! Reading an answer: text goes in, its normal form comes out.

use crate::budget;
use crate::form::answer;
use crate::form::build::Fault;
use crate::form::text;
use crate::form::value::Value;
use crate::refusal::Refusal;
use crate::syntax::{self, Reading, surface};

/// The normal form of an answer; words, and mathematics outside the grammar, are kept as text.
pub(crate) fn read(answer: &str, reading: Reading) -> Result<Value, Refusal> {
    budget::start();
    let surface = surface::clean(answer)?;
    if text::is_words(&surface) && !is_function_or_constant(&surface) {
        return Ok(Value::Text(text::normal(&surface)));
    }
    let as_written = || Value::Text(text::as_written(&surface));
    let Some(expr) = syntax::parse(&surface, reading)? else {
        return Ok(as_written());
    };
    match answer::value(&expr) {
        Ok(value) => Ok(value),
        Err(Fault::Refused(refusal)) => Err(refusal),
        Err(Fault::OfOtherKind) => Ok(as_written()),
    }
}

fn is_function_or_constant(surface: &str) -> bool {
    let first = surface
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or("");
    matches!(first, "infinity" | "inf" | "sqrt")
        || crate::form::atom::Function::named(first).is_some()
}
