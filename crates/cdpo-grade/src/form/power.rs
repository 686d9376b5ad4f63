//! Powers and inverses of normal forms.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::atom::{Atom, Product};
use super::sum::{MAX_TERMS, Sum};
use crate::rational::{self, Rational, factors, integer, power, ratio};
use crate::refusal::Refusal;

impl Sum {
    /// One over it.
    pub(crate) fn inverse(&self) -> Result<Sum, Refusal> {
        self.power(&-Rational::one())
    }

    /// The quotient.
    pub(crate) fn div(&self, other: &Sum) -> Result<Sum, Refusal> {
        self.mul(&other.inverse()?)
    }

    /// A rational power. Odd roots of negative numbers are real, other fractional powers are principal.
    pub(crate) fn power(&self, exponent: &Rational) -> Result<Sum, Refusal> {
        if exponent.is_zero() {
            return if self.is_zero() {
                Err(Refusal::Undefined)
            } else {
                Ok(Sum::one())
            };
        }
        if exponent.is_one() {
            return Ok(self.clone());
        }
        if self.is_zero() {
            return if exponent.is_positive() {
                Ok(Sum::zero())
            } else {
                Err(Refusal::Undefined)
            };
        }
        if let Some((product, coefficient)) = self.as_monomial() {
            return power_of_monomial(product, coefficient, exponent);
        }
        if exponent.is_integer() && exponent.is_positive() {
            return self.natural_power(exponent.numer());
        }
        if exponent.is_integer()
            && let Some(inverse) = self.conjugate_inverse()?
        {
            return inverse.power(&-exponent);
        }
        let (content, primitive) = self.primitive(exponent.is_integer())?;
        let scale = power_of_rational(&content, exponent)?;
        Sum::power_of_atom(Atom::Sum(Box::new(primitive)), exponent.clone()).mul(&scale)
    }

    /// Its content and what is left; with its sign in the content if `signed`.
    fn primitive(&self, signed: bool) -> Result<(Rational, Sum), Refusal> {
        let mut content = self.content()?;
        if signed && self.leads_negative() {
            content = -content;
        }
        let primitive = self.scaled(&content.recip())?;
        Ok((content, primitive))
    }

    fn natural_power(&self, exponent: &BigInt) -> Result<Sum, Refusal> {
        let terms = self.0.len();
        let small = exponent.to_u32().filter(|&n| {
            // The number of products of n factors out of `terms`: the size of the expansion.
            let size = (1..terms as u64).try_fold(1u64, |size, k| {
                let next = size * (u64::from(n) + k) / k;
                (next <= MAX_TERMS as u64).then_some(next)
            });
            n <= 64 && size.is_some()
        });
        let Some(n) = small else {
            let (content, primitive) = self.primitive(true)?;
            let exponent = Rational::from_integer(exponent.clone());
            let scale = power_of_rational(&content, &exponent)?;
            return Sum::power_of_atom(Atom::Sum(Box::new(primitive)), exponent).mul(&scale);
        };
        let mut result = self.clone();
        for _ in 1..n {
            result = result.mul(self)?;
        }
        Ok(result)
    }

    /// One over `p + q` as `(p - q) / (p² - q²)`, where that denominator is rational.
    fn conjugate_inverse(&self) -> Result<Option<Sum>, Refusal> {
        if self.0.len() != 2 {
            return Ok(None);
        }
        let constant = self
            .0
            .keys()
            .flat_map(|p| &p.0)
            .all(|(a, _)| matches!(a, Atom::Integer(_) | Atom::I));
        if !constant {
            return Ok(None);
        }
        let mut terms = self.0.iter();
        let (Some((p, a)), Some((q, b))) = (terms.next(), terms.next()) else {
            return Ok(None);
        };
        let first = Sum([(p.clone(), a.clone())].into());
        let second = Sum([(q.clone(), b.clone())].into());
        let conjugate = first.sub(&second)?;
        Ok(match self.mul(&conjugate)?.as_rational() {
            Some(norm) if !norm.is_zero() => Some(conjugate.scaled(&norm.recip())?),
            _ => None,
        })
    }

    /// Its power to an exponent that need not be a number.
    pub(crate) fn symbolic_power(&self, exponent: &Sum) -> Result<Sum, Refusal> {
        if let Some(exponent) = exponent.as_rational() {
            return self.power(&exponent);
        }
        if exponent.infinite_sign().is_some() || self.infinite_sign().is_some() {
            return Err(Refusal::Undefined);
        }
        let Some(bases) = self.positive_factors()? else {
            return Ok(Sum::atom(Atom::Power(
                Box::new(self.clone()),
                Box::new(exponent.clone()),
            )));
        };
        let mut result = Sum::one();
        for (base, multiplicity) in bases {
            for (product, coefficient) in &exponent.0 {
                let coefficient = rational::product(coefficient, &multiplicity)?;
                let factor = if product.0.is_empty() {
                    Sum::atom(base.clone()).power_of_base(&coefficient)?
                } else {
                    let exponent = Sum([(product.clone(), Rational::one())].into());
                    let atom = Atom::Power(Box::new(Sum::atom(base.clone())), Box::new(exponent));
                    Sum::power_of_atom(atom, coefficient)
                };
                result = result.mul(&factor)?;
            }
        }
        Ok(result)
    }

    /// The power of a base from [`Self::positive_factors`].
    fn power_of_base(&self, exponent: &Rational) -> Result<Sum, Refusal> {
        match self.as_atom() {
            Some(Atom::Integer(n)) => {
                power_of_rational(&Rational::from_integer(n.clone()), exponent)
            }
            _ => self.power(exponent),
        }
    }

    /// Its factors, if it is a product of positive constants other than one.
    fn positive_factors(&self) -> Result<Option<Vec<(Atom, Rational)>>, Refusal> {
        let Some((product, coefficient)) = self.as_monomial() else {
            return Ok(None);
        };
        if !coefficient.is_positive() || !product.0.iter().all(|(a, _)| is_positive(a)) {
            return Ok(None);
        }
        let mut bases: Vec<(Atom, Rational)> = Vec::new();
        for (part, sign) in [(coefficient.numer(), 1), (coefficient.denom(), -1)] {
            for (prime, count) in factors(part)? {
                bases.push((Atom::Integer(prime), integer(sign * i64::from(count))));
            }
        }
        bases.extend(product.0.iter().cloned());
        Ok((!bases.is_empty()).then_some(bases))
    }
}

fn is_positive(atom: &Atom) -> bool {
    matches!(atom, Atom::Integer(_) | Atom::Pi | Atom::E)
}

/// A rational power of a rational number other than zero.
pub(crate) fn power_of_rational(base: &Rational, exponent: &Rational) -> Result<Sum, Refusal> {
    if exponent.is_integer() {
        return power(base, exponent.numer())
            .map(Sum::rational)
            .ok_or(Refusal::TooBig);
    }
    let mut result = Sum::one();
    if base.is_negative() {
        // (-1)^(p/q) is real for odd q, else exp(iπ p/q) = i^(2p/q).
        result = if exponent.denom().is_odd() {
            Sum::integer(if exponent.numer().is_odd() { -1 } else { 1 })
        } else {
            Sum::integer(1).mul_power(Atom::I, &rational::product(exponent, &integer(2))?)?
        };
    }
    for (part, sign) in [(base.numer(), 1), (base.denom(), -1)] {
        for (prime, count) in factors(&part.abs())? {
            result = result.mul_power(
                Atom::Integer(prime),
                &rational::product(exponent, &integer(sign * i64::from(count)))?,
            )?;
        }
    }
    Ok(result)
}

impl Sum {
    /// Its product with a power of an atom, under the exact rules of the atom.
    pub(crate) fn mul_power(&self, atom: Atom, exponent: &Rational) -> Result<Sum, Refusal> {
        let half = rational::product(exponent, &ratio(1, 2))?;
        let root = Sum::power_of_atom(atom, half);
        root.mul(&root)?.mul(self)
    }
}

fn power_of_monomial(
    product: &Product,
    coefficient: &Rational,
    exponent: &Rational,
) -> Result<Sum, Refusal> {
    if product.0.is_empty() {
        return power_of_rational(coefficient, exponent);
    }
    if product.0.iter().any(|(atom, _)| *atom == Atom::Infinity) {
        return Err(Refusal::Undefined);
    }
    if exponent.is_integer() {
        let mut result = power(coefficient, exponent.numer())
            .map(Sum::rational)
            .ok_or(Refusal::TooBig)?;
        for (atom, e) in &product.0 {
            result = result.mul_power(atom.clone(), &rational::product(e, exponent)?)?;
        }
        return Ok(result);
    }
    let positive = product.0.iter().all(|(atom, _)| is_positive(atom));
    if positive {
        let mut result = power_of_rational(coefficient, exponent)?;
        for (atom, e) in &product.0 {
            result = result.mul_power(atom.clone(), &rational::product(e, exponent)?)?;
        }
        return Ok(result);
    }
    // The positive part of the coefficient comes out; what is left keeps its sign under the root.
    let scale = power_of_rational(&coefficient.abs(), exponent)?;
    if let ([(atom, e)], false) = (product.0.as_slice(), coefficient.is_negative()) {
        let odd_root = exponent.denom().is_odd();
        let defined_alike = e.is_integer() && (odd_root || e.numer().is_odd());
        let simple = matches!(atom, Atom::Symbol(_) | Atom::Opaque(_));
        if (simple && defined_alike) || (*atom == Atom::I && e.is_one()) {
            return scale.mul_power(atom.clone(), &rational::product(e, exponent)?);
        }
    }
    let unit = if coefficient.is_negative() {
        -Rational::one()
    } else {
        Rational::one()
    };
    let base = Sum([(product.clone(), unit)].into());
    Sum::power_of_atom(Atom::Sum(Box::new(base)), exponent.clone()).mul(&scale)
}
