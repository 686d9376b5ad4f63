//! Plain numbers: `-1,234.50`, `$18`, `3/4`, `25%`, with a unit behind.

use num_bigint::BigInt;
use num_rational::Ratio;
use num_traits::{Pow, Zero};

/// Reads a plain number with an optional currency sign in front and percent sign or unit words behind.
pub(crate) fn plain(text: &str) -> Option<Ratio<BigInt>> {
    let text = text.trim().trim_end_matches('.').trim();
    let (negative, text) = match text.strip_prefix(['-', '−']) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text
        .strip_prefix('\\')
        .unwrap_or(text)
        .trim_start_matches(['$', '€', '£'])
        .trim_start();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',')))
        .unwrap_or(text.len());
    let numerator = decimal(&text[..end])?;
    let mut rest = text[end..].trim_start();
    let mut value = numerator;
    if let Some(tail) = rest.strip_prefix('/') {
        let end = tail
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(tail.len());
        let denominator = decimal(&tail[..end])?;
        if denominator.is_zero() {
            return None;
        }
        value /= denominator;
        rest = tail[end..].trim_start();
    }
    let unit = rest.trim_start_matches(['\\', '%', '$']);
    let unit_ok = unit
        .chars()
        .all(|c| c.is_alphabetic() || matches!(c, ' ' | '.'))
        && unit.len() <= 40;
    let spaced = unit.is_empty() || unit.len() > 1;
    (unit_ok && spaced).then(|| if negative { -value } else { value })
}

fn decimal(text: &str) -> Option<Ratio<BigInt>> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let grouped = whole.contains(',');
    let groups: Vec<&str> = whole.split(',').collect();
    if grouped
        && (groups[0].is_empty() || groups[0].len() > 3 || groups[1..].iter().any(|g| g.len() != 3))
    {
        return None;
    }
    let digits: String = groups.concat() + fraction;
    if digits.is_empty() || digits.len() > 400 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scale: BigInt = Pow::pow(BigInt::from(10), fraction.len() as u32);
    Some(Ratio::new(digits.parse().ok()?, scale))
}
