//! Forms that are not zero because their terms are linearly independent over the rationals.
//!
//! Products of roots of distinct primes with exponents between zero and one are independent (Besicovitch 1940), so are
//! powers of π over the algebraic numbers, and 1 and i over the real ones. A cofactor without small primes stands for a
//! prime where it is no square, under a square root, and coprime to the others.

use std::collections::BTreeSet;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, ToPrimitive};

use crate::form::atom::Atom;
use crate::form::sum::Sum;

/// Integers below the square of the trial divisors' bound are prime where [`crate::rational::factors`] leaves them.
const PRIME_BELOW: u64 = 1999 * 1999;

/// Whether a sum that is not empty is for that reason not zero.
pub(crate) fn is_independent(sum: &Sum) -> bool {
    let mut cofactors: BTreeSet<&BigInt> = BTreeSet::new();
    for (atom, exponent) in sum.0.keys().flat_map(|product| &product.0) {
        match atom {
            Atom::Integer(n) if n.to_u64().is_some_and(|n| n < PRIME_BELOW) => {}
            Atom::Integer(n) => {
                if exponent.denom() != &BigInt::from(2) || &n.sqrt().pow(2) == n {
                    return false;
                }
                cofactors.insert(n);
            }
            Atom::Pi if exponent.is_integer() => {}
            Atom::I if exponent.is_one() => {}
            _ => return false,
        }
    }
    let cofactors: Vec<&BigInt> = cofactors.into_iter().collect();
    cofactors.len() <= 4
        && cofactors
            .iter()
            .enumerate()
            .all(|(n, a)| cofactors[n + 1..].iter().all(|b| a.gcd(b).is_one()))
}
