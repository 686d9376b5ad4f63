//! Exact rational numbers, with bounds on how large they may grow.

use num_bigint::BigInt;
use num_rational::Ratio;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

use crate::budget;
use crate::refusal::Refusal;

/// An exact rational number in lowest terms.
pub(crate) type Rational = Ratio<BigInt>;

/// Numbers are not read, raised, added or multiplied beyond this many bits.
pub(crate) const MAX_BITS: u64 = 1 << 16;

pub(crate) fn integer(n: i64) -> Rational {
    Rational::from_integer(n.into())
}

pub(crate) fn ratio(numerator: i64, denominator: i64) -> Rational {
    Rational::new(numerator.into(), denominator.into())
}

fn bits(q: &Rational) -> u64 {
    q.numer().bits().max(q.denom().bits())
}

/// Charges a common divisor of numbers of together so many bits: its cost grows with the square of their length. Nothing
/// for numbers of everyday size.
pub(crate) fn charge(bits: u64) -> Result<(), Refusal> {
    let words = (bits / 64) as usize;
    budget::spend(words * words / 12 + 6 * words)
}

/// Refuses what would be too large, and charges what bringing it to lowest terms costs.
fn charge_lowest_terms(a: &Rational, b: &Rational) -> Result<(), Refusal> {
    let size = bits(a) + bits(b);
    if size > MAX_BITS {
        return Err(Refusal::TooBig);
    }
    if a.is_integer() && b.is_integer() {
        budget::spend((size / 512) as usize)
    } else {
        charge(size)
    }
}

/// `a b`, charged by its size.
pub(crate) fn product(a: &Rational, b: &Rational) -> Result<Rational, Refusal> {
    charge_lowest_terms(a, b)?;
    Ok(if a.is_integer() && b.is_integer() {
        // The common divisor with 1 would be searched for, too.
        Rational::from_integer(a.numer() * b.numer())
    } else {
        a * b
    })
}

/// `a + b`, charged by its size.
pub(crate) fn total(a: &Rational, b: &Rational) -> Result<Rational, Refusal> {
    charge_lowest_terms(a, b)?;
    Ok(if a.is_integer() && b.is_integer() {
        Rational::from_integer(a.numer() + b.numer())
    } else {
        a + b
    })
}

/// 10 to the power of `n`, for `n` within the bounds.
pub(crate) fn power_of_ten(n: u32) -> BigInt {
    Pow::pow(BigInt::from(10), n)
}

/// The number that decimal digits with an optional point denote; `None` if it is malformed or too long.
pub(crate) fn decimal(digits: &str) -> Option<Rational> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let len = whole.len() + fraction.len();
    if len == 0 || len as u64 > MAX_BITS / 4 {
        return None;
    }
    if !whole
        .bytes()
        .chain(fraction.bytes())
        .all(|b| b.is_ascii_digit())
    {
        return None;
    }
    if len <= 18 {
        let read = |s: &str| {
            if s.is_empty() {
                Some(0)
            } else {
                s.parse::<i64>().ok()
            }
        };
        let scale = 10i64.pow(fraction.len() as u32);
        let value = read(whole)? * scale + read(fraction)?;
        return Some(if scale == 1 {
            integer(value)
        } else {
            ratio(value, scale)
        });
    }
    let digits: BigInt = [whole, fraction].concat().parse().ok()?;
    if fraction.is_empty() {
        return Some(Rational::from_integer(digits));
    }
    charge(2 * digits.bits()).ok()?;
    Some(Rational::new(digits, power_of_ten(fraction.len() as u32)))
}

/// An integer power, charged by its size; `None` beyond the bounds or for 0 to a negative power.
pub(crate) fn power(base: &Rational, exponent: &BigInt) -> Option<Rational> {
    if exponent.is_zero() || base.is_one() {
        return Some(Rational::one());
    }
    if base.is_zero() {
        return exponent.is_positive().then(Rational::zero);
    }
    if (-base).is_one() {
        return Some(if num_integer::Integer::is_even(exponent) {
            Rational::one()
        } else {
            -Rational::one()
        });
    }
    let n = exponent.abs().to_u32()?;
    let bits = bits(base);
    let bits = bits.checked_mul(u64::from(n)).filter(|&b| b <= MAX_BITS)?;
    let words = (bits / 64) as usize;
    budget::spend(words * words / 100 + words).ok()?;
    let raised = Rational::new_raw(Pow::pow(base.numer(), n), Pow::pow(base.denom(), n));
    Some(if exponent.is_negative() {
        raised.recip()
    } else {
        raised
    })
}

/// Splits a positive integer into prime powers by trial division; a cofactor without small primes is kept whole,
/// or as the root of which it is a perfect power.
///
/// # Errors
/// If that is more work than a comparison may do.
pub(crate) fn factors(n: &BigInt) -> Result<Vec<(BigInt, u32)>, Refusal> {
    const TRIAL_LIMIT: u64 = 2000;
    let mut found = Vec::new();
    let mut rest = n.clone();
    let twos = rest.trailing_zeros().unwrap_or(0);
    if twos > 0 {
        rest >>= twos;
        found.push((2.into(), twos as u32));
    }
    let mut small = rest.to_u64();
    let mut divisor = 3u64;
    while divisor < TRIAL_LIMIT {
        let mut count = 0;
        if let Some(value) = small.as_mut() {
            if divisor * divisor > *value {
                break;
            }
            while *value % divisor == 0 {
                *value /= divisor;
                count += 1;
            }
        } else {
            let division = 1 + rest.bits() as usize / 512;
            budget::spend(division)?;
            while (&rest % divisor).is_zero() {
                budget::spend(2 * division)?;
                rest /= divisor;
                count += 1;
            }
            small = rest.to_u64();
        }
        if count > 0 {
            found.push((divisor.into(), count));
        }
        divisor += 2;
    }
    let rest = small.map_or(rest, BigInt::from);
    if !rest.is_one() {
        charge(rest.bits())?;
        let root = (2..=3u32).find_map(|k| {
            let root = rest.nth_root(k);
            (Pow::pow(&root, k) == rest).then_some((root, k))
        });
        found.push(root.unwrap_or((rest, 1)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_at_any_length() {
        assert_eq!(decimal("12.50"), Some(ratio(25, 2)));
        assert_eq!(decimal(".5"), Some(ratio(1, 2)));
        let long = decimal("123456789012345678901234567890.5").expect("a number");
        assert_eq!(long.to_string(), "246913578024691357802469135781/2");
        assert_eq!(decimal("."), None);
        assert_eq!(decimal("1.2.3"), None);
        assert_eq!(decimal(&"9".repeat(1 << 20)), None);
    }

    #[test]
    fn factors_multiply_back_to_the_number() {
        for n in [
            1u64,
            2,
            12,
            97,
            360,
            1 << 40,
            10_007 * 10_007,
            1_000_000_007,
        ] {
            let product = factors(&n.into())
                .expect("within bounds")
                .into_iter()
                .fold(BigInt::one(), |p, (f, k)| p * Pow::pow(f, k));
            assert_eq!(product, n.into());
        }
        let square = factors(&(10_007u64 * 10_007).into());
        assert_eq!(square, Ok(vec![(10_007.into(), 2)]));
    }

    #[test]
    fn powers_stay_within_bounds() {
        assert_eq!(power(&ratio(2, 3), &(-2).into()), Some(ratio(9, 4)));
        assert_eq!(power(&integer(2003), &(1i64 << 40).into()), None);
        assert_eq!(power(&integer(-1), &(1i64 << 40).into()), Some(integer(1)));
        assert_eq!(power(&integer(0), &(-1).into()), None);
    }
}
