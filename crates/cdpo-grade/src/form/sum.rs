//! Sums of products with rational coefficients: the normal form of a scalar.

use std::collections::BTreeMap;

use num_traits::{One, Signed, Zero};

use super::atom::{Atom, Product};
use crate::budget;
use crate::rational::{Rational, charge, integer, power, product, total};
use crate::refusal::Refusal;

/// Products are multiplied out only up to this many terms.
pub(crate) const MAX_TERMS: usize = 300;
/// Exponents of symbols are not read beyond this many bits.
const MAX_EXPONENT_BITS: u64 = 256;

/// A sum of products with coefficients that are not zero; the empty sum is zero.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Sum(pub(crate) BTreeMap<Product, Rational>);

impl Sum {
    pub(crate) fn zero() -> Self {
        Sum::default()
    }

    pub(crate) fn one() -> Self {
        Sum::rational(Rational::one())
    }

    pub(crate) fn integer(n: i64) -> Self {
        Sum::rational(integer(n))
    }

    pub(crate) fn rational(value: Rational) -> Self {
        let mut sum = Sum::zero();
        if !value.is_zero() {
            sum.0.insert(Product::default(), value);
        }
        sum
    }

    pub(crate) fn atom(atom: Atom) -> Self {
        Sum::power_of_atom(atom, Rational::one())
    }

    pub(crate) fn power_of_atom(atom: Atom, exponent: Rational) -> Self {
        Sum(BTreeMap::from([(
            Product(vec![(atom, exponent)]),
            Rational::one(),
        )]))
    }

    pub(crate) fn symbol(name: &str) -> Self {
        Sum::atom(Atom::Symbol(name.to_owned()))
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of factors in it, at every depth: what a copy of it costs.
    fn weight(&self) -> usize {
        let factor = |atom: &Atom| match atom {
            Atom::Sum(inner) => inner.weight(),
            Atom::Power(base, exponent) => base.weight() + exponent.weight(),
            Atom::Call(_, arguments) => arguments.iter().map(Sum::weight).sum(),
            _ => 1,
        };
        1 + self
            .0
            .keys()
            .map(|product| {
                1 + product
                    .0
                    .iter()
                    .map(|(atom, _)| factor(atom))
                    .sum::<usize>()
            })
            .sum::<usize>()
    }

    /// Its value, if it is a rational number.
    pub(crate) fn as_rational(&self) -> Option<Rational> {
        match self.0.len() {
            0 => Some(Rational::zero()),
            1 => self
                .0
                .first_key_value()
                .filter(|(p, _)| p.0.is_empty())
                .map(|(_, q)| q.clone()),
            _ => None,
        }
    }

    /// Its product and coefficient, if it has one term.
    pub(crate) fn as_monomial(&self) -> Option<(&Product, &Rational)> {
        if self.0.len() == 1 {
            self.0.first_key_value()
        } else {
            None
        }
    }

    /// Its atom, if it is nothing else.
    pub(crate) fn as_atom(&self) -> Option<&Atom> {
        let (product, coefficient) = self.as_monomial()?;
        match product.0.as_slice() {
            [(atom, exponent)] if exponent.is_one() && coefficient.is_one() => Some(atom),
            _ => None,
        }
    }

    /// +1 or -1 if it is plus or minus infinity.
    pub(crate) fn infinite_sign(&self) -> Option<i8> {
        let (product, coefficient) = self.as_monomial()?;
        match product.0.as_slice() {
            [(Atom::Infinity, exponent)] if exponent.is_one() => {
                Some(if coefficient.is_positive() { 1 } else { -1 })
            }
            _ => None,
        }
    }

    fn add_term(&mut self, product: Product, coefficient: Rational) -> Result<(), Refusal> {
        if coefficient.is_zero() {
            return Ok(());
        }
        match self.0.entry(product) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(coefficient);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                *entry.get_mut() = total(entry.get(), &coefficient)?;
                if entry.get().is_zero() {
                    entry.remove();
                }
            }
        }
        Ok(())
    }

    pub(crate) fn add(&self, other: &Sum) -> Result<Sum, Refusal> {
        budget::spend(self.weight() + other.weight())?;
        let mut sum = self.clone();
        for (product, coefficient) in &other.0 {
            sum.add_term(product.clone(), coefficient.clone())?;
        }
        if sum.0.len() > 4 * MAX_TERMS {
            Err(Refusal::TooBig)
        } else {
            Ok(sum)
        }
    }

    pub(crate) fn sub(&self, other: &Sum) -> Result<Sum, Refusal> {
        self.add(&other.negated())
    }

    pub(crate) fn negated(&self) -> Sum {
        let negated =
            |(product, coefficient): (&Product, &Rational)| (product.clone(), -coefficient);
        Sum(self.0.iter().map(negated).collect())
    }

    pub(crate) fn scaled(&self, by: &Rational) -> Result<Sum, Refusal> {
        if by.is_zero() {
            return Ok(Sum::zero());
        }
        let scaled = |(term, coefficient): (&Product, &Rational)| {
            Ok((term.clone(), product(coefficient, by)?))
        };
        self.0.iter().map(scaled).collect::<Result<_, _>>().map(Sum)
    }

    pub(crate) fn mul(&self, other: &Sum) -> Result<Sum, Refusal> {
        budget::spend(self.weight() * other.0.len() + other.weight() * self.0.len())?;
        if self.0.len() * other.0.len() > MAX_TERMS {
            // Too many terms to multiply out: the longer factor stays whole.
            let (long, short) = if self.0.len() >= other.0.len() {
                (self, other)
            } else {
                (other, self)
            };
            if long.0.len() > 1 && short.0.len() > 1 {
                let product = vec![(Atom::Sum(Box::new(long.clone())), Rational::one())];
                let whole = Sum(BTreeMap::from([(Product(product), Rational::one())]));
                return whole.mul(short);
            }
        }
        let mut sum = Sum::zero();
        for (p, a) in &self.0 {
            for (q, b) in &other.0 {
                let (term, whole) = multiply(p, q, product(a, b)?)?;
                match whole {
                    None => sum.add_term(term.0, term.1)?,
                    Some(factor) => {
                        let single = Sum(BTreeMap::from([term]));
                        let expanded = factor.mul(&single)?;
                        sum = sum.add(&expanded)?;
                    }
                }
            }
        }
        Ok(sum)
    }

    /// The greatest positive rational that divides every coefficient.
    pub(crate) fn content(&self) -> Result<Rational, Refusal> {
        let mut content: Option<Rational> = None;
        for coefficient in self.0.values() {
            content = Some(match content {
                None => coefficient.abs(),
                Some(c) => {
                    charge(c.numer().bits() + coefficient.numer().bits())?;
                    charge(c.denom().bits() + coefficient.denom().bits())?;
                    Rational::new(
                        num_integer::Integer::gcd(c.numer(), coefficient.numer()),
                        num_integer::Integer::lcm(c.denom(), coefficient.denom()),
                    )
                }
            });
        }
        Ok(content.unwrap_or_else(Rational::one))
    }

    /// Whether its first term, in the order of the form, is negative.
    pub(crate) fn leads_negative(&self) -> bool {
        self.0
            .first_key_value()
            .is_some_and(|(_, q)| q.is_negative())
    }
}

/// The product of two products: its normal term, and the sum by which that still has to be multiplied.
fn multiply(
    p: &Product,
    q: &Product,
    coefficient: Rational,
) -> Result<((Product, Rational), Option<Sum>), Refusal> {
    if p.0.is_empty() || q.0.is_empty() {
        let product = if p.0.is_empty() { q } else { p };
        return Ok(((product.clone(), coefficient), None));
    }
    let mut factors = Vec::with_capacity(p.0.len() + q.0.len());
    let (mut left, mut right) = (p.0.iter().peekable(), q.0.iter().peekable());
    let mut coefficient = coefficient;
    let mut rest: Option<Sum> = None;
    loop {
        let (atom, exponent) = match (left.peek(), right.peek()) {
            (None, None) => break,
            (Some((a, x)), Some((b, y))) if a == b => {
                let exponent = x + y;
                let atom = a.clone();
                left.next();
                right.next();
                settle(atom, exponent, &mut factors, &mut coefficient, &mut rest)?;
                continue;
            }
            (Some((a, _)), Some((b, _))) if a < b => left.next().expect("peeked"),
            (_, Some(_)) => right.next().expect("peeked"),
            (Some(_), None) => left.next().expect("peeked"),
        };
        factors.push((atom.clone(), exponent.clone()));
    }
    if factors.len() > 64 {
        return Err(Refusal::TooBig);
    }
    Ok(((Product(factors), coefficient), rest))
}

/// Adds `atom^exponent` to a product, after the exact rules of that atom.
fn settle(
    atom: Atom,
    exponent: Rational,
    factors: &mut Vec<(Atom, Rational)>,
    coefficient: &mut Rational,
    rest: &mut Option<Sum>,
) -> Result<(), Refusal> {
    if exponent.is_zero() {
        // ∞ / ∞ has no value.
        return if atom == Atom::Infinity {
            Err(Refusal::Undefined)
        } else {
            Ok(())
        };
    }
    if exponent.numer().bits() + exponent.denom().bits() > MAX_EXPONENT_BITS {
        return Err(Refusal::TooBig);
    }
    match atom {
        Atom::Integer(n) => {
            let whole = exponent.floor();
            let fraction = &exponent - &whole;
            let base = Rational::from_integer(n.clone());
            let raised = power(&base, whole.numer()).ok_or(Refusal::TooBig)?;
            *coefficient = product(coefficient, &raised)?;
            if !fraction.is_zero() {
                factors.push((Atom::Integer(n), fraction));
            }
        }
        Atom::I => {
            let turns = &exponent - (&exponent / integer(4)).floor() * integer(4);
            let (negate, left) = if turns >= integer(2) {
                (true, turns - integer(2))
            } else {
                (false, turns)
            };
            if negate {
                *coefficient = -coefficient.clone();
            }
            if !left.is_zero() {
                factors.push((Atom::I, left));
            }
        }
        Atom::Sum(inner) if exponent.is_integer() && exponent.is_positive() => {
            // A power too large to expand comes back as a power of an atom.
            let expanded = inner.power(&exponent)?;
            *rest = Some(match rest.take() {
                None => expanded,
                Some(sum) => sum.mul(&expanded)?,
            });
        }
        atom => factors.push((atom, exponent)),
    }
    Ok(())
}
