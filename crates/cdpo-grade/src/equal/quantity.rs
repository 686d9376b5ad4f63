//! Equality of scalars: exact, within the places of a decimal, and under the percent rule.

use num_traits::{Signed, Zero};

use crate::eval::double::Double;
use crate::eval::scalar::constant;
use crate::eval::zero::is_zero;
use crate::form::atom::Atom;
use crate::form::sum::Sum;
use crate::form::value::Quantity;
use crate::measure::Measure;
use crate::options::GradeOptions;
use crate::rational::{Rational, integer, power_of_ten};

/// Whether two forms are equal, exactly or by evaluation.
pub(super) fn same_sum(a: &Sum, b: &Sum) -> bool {
    if a == b {
        return true;
    }
    if a.as_rational().is_some() && b.as_rational().is_some() {
        return false;
    }
    if a.infinite_sign().is_some() || b.infinite_sign().is_some() {
        return false;
    }
    // The same difference whichever comes first.
    let (a, b) = if a < b { (a, b) } else { (b, a) };
    a.sub(b).is_ok_and(|difference| is_zero(&difference))
}

/// Whether two quantities are equal.
pub(super) fn same(a: &Quantity, b: &Quantity, options: &GradeOptions) -> bool {
    if let (Some(m), Some(n)) = (a.measure, b.measure)
        && !m.agrees(n)
    {
        return false;
    }
    if options.require_simplified && a.unreduced != b.unreduced {
        return false;
    }
    if same_value(a, b, options) {
        return true;
    }
    if of_letter(a, b) || of_letter(b, a) {
        return true;
    }
    let percent = |q: &Quantity| q.measure.is_some_and(Measure::is_percent);
    options.percent_rule && (percent(a) || percent(b)) && {
        let hundredth = integer(1) / integer(100);
        let scaled = |q: &Quantity| {
            let sum = q.sum.scaled(&hundredth).ok()?;
            Some(Quantity { sum, ..q.clone() })
        };
        scaled(a).is_some_and(|a| same_value(&a, b, options))
            || scaled(b).is_some_and(|b| same_value(a, &b, options))
    }
}

/// Whether `b` is `a` with its unit read as variables: `5m` beside `5\text{ m}`, `5ms` beside `5 ms`.
fn of_letter(a: &Quantity, b: &Quantity) -> bool {
    let (Some((letters, power)), None) = (a.measure.and_then(Measure::letters), b.measure) else {
        return false;
    };
    let last = letters.chars().count().saturating_sub(1);
    let mut spelt = a.sum.clone();
    for (i, letter) in letters.chars().enumerate() {
        let power = if i == last { i64::from(power) } else { 1 };
        let atom = Atom::Symbol(letter.to_string());
        match spelt.mul(&Sum::power_of_atom(atom, integer(power))) {
            Ok(product) => spelt = product,
            Err(_) => return false,
        }
    }
    spelt == b.sum
}

fn same_value(a: &Quantity, b: &Quantity, options: &GradeOptions) -> bool {
    if same_sum(&a.sum, &b.sum) {
        return true;
    }
    match (a.places, b.places) {
        (Some(places), None) => rounds_to(&b.sum, &a.sum, places, options.decimal_digits),
        (None, Some(places)) => rounds_to(&a.sum, &b.sum, places, options.decimal_digits),
        _ => false,
    }
}

/// Whether an exact value rounds to a decimal that has enough places and significant digits.
fn rounds_to(exact: &Sum, decimal: &Sum, places: u32, least_digits: u32) -> bool {
    let Some(decimal) = decimal.as_rational() else {
        return false;
    };
    if exact.as_rational().is_some_and(|q| q.is_integer()) || places > 1000 {
        return false;
    }
    let unit = Rational::new(1.into(), power_of_ten(places));
    let digits = (&decimal / &unit).abs().to_integer().to_string().len() as u32;
    if decimal.is_zero() || digits < least_digits || places < least_digits {
        return false;
    }
    let half = unit / integer(2);
    if let Some(exact) = exact.as_rational() {
        return (exact - decimal).abs() <= half;
    }
    let Some(value) = constant(exact) else {
        return false;
    };
    let (Some(decimal), Some(half)) = (Double::of_rational(&decimal), Double::of_rational(&half))
    else {
        return false;
    };
    (value.re - decimal).abs() <= half && value.error < half.to_f64()
}
