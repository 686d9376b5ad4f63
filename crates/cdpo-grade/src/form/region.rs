//! Sets of real numbers as unions of intervals.

use std::cmp::Ordering;
use std::fmt;

use super::atom::Atom;
use super::sum::Sum;
use crate::eval::zero::order;

/// An end of an interval, and whether it belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct End {
    pub(crate) at: Sum,
    pub(crate) closed: bool,
    /// Its decimal places, if it was written as a decimal.
    pub(crate) places: Option<u32>,
}

impl End {
    fn new(at: Sum, closed: bool) -> Self {
        End {
            at,
            closed,
            places: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: End,
    pub(crate) high: End,
}

/// A union of intervals, with the variable that is said to lie in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Region {
    pub(crate) variable: Option<String>,
    pub(crate) parts: Vec<Interval>,
}

pub(crate) fn infinity(sign: i64) -> Sum {
    let infinity = Sum::atom(Atom::Infinity);
    if sign < 0 {
        infinity.negated()
    } else {
        infinity
    }
}

impl Interval {
    pub(crate) fn new(low: Sum, low_closed: bool, high: Sum, high_closed: bool) -> Self {
        Interval {
            low: End::new(low, low_closed),
            high: End::new(high, high_closed),
        }
    }

    pub(crate) fn point(at: Sum) -> Self {
        Interval::new(at.clone(), true, at, true)
    }

    fn meet(&self, other: &Interval) -> Option<Interval> {
        let low = match order(&self.low.at, &other.low.at)? {
            Ordering::Less => other.low.clone(),
            Ordering::Greater => self.low.clone(),
            Ordering::Equal => End {
                closed: self.low.closed && other.low.closed,
                ..self.low.clone()
            },
        };
        let high = match order(&self.high.at, &other.high.at)? {
            Ordering::Less => self.high.clone(),
            Ordering::Greater => other.high.clone(),
            Ordering::Equal => End {
                closed: self.high.closed && other.high.closed,
                ..self.high.clone()
            },
        };
        Some(Interval { low, high })
    }

    /// Whether it holds no number; `None` if its ends cannot be ordered.
    fn is_empty(&self) -> Option<bool> {
        Some(match order(&self.low.at, &self.high.at)? {
            Ordering::Less => false,
            Ordering::Equal => !(self.low.closed && self.high.closed),
            Ordering::Greater => true,
        })
    }
}

impl Region {
    pub(crate) fn new(variable: Option<String>, parts: Vec<Interval>) -> Self {
        let mut region = Region { variable, parts };
        region.settle();
        region
    }

    pub(crate) fn all() -> Self {
        Region {
            variable: None,
            parts: vec![Interval::new(infinity(-1), false, infinity(1), false)],
        }
    }

    /// Puts the intervals in order and joins those that touch; leaves them alone where ends cannot be ordered.
    fn settle(&mut self) {
        let emptiness: Option<Vec<bool>> = self.parts.iter().map(Interval::is_empty).collect();
        let Some(emptiness) = emptiness else { return };
        let mut keep = emptiness.into_iter().map(|empty| !empty);
        self.parts.retain(|_| keep.next().unwrap_or(true));
        let mut ordered = true;
        self.parts.sort_by(|a, b| {
            let order = order(&a.low.at, &b.low.at);
            ordered &= order.is_some();
            order
                .unwrap_or(Ordering::Equal)
                .then(b.low.closed.cmp(&a.low.closed))
        });
        if !ordered {
            return;
        }
        let mut joined: Vec<Interval> = Vec::new();
        for part in self.parts.drain(..) {
            let Some(last) = joined.last_mut() else {
                joined.push(part);
                continue;
            };
            let touches = match order(&last.high.at, &part.low.at) {
                Some(Ordering::Greater) => true,
                Some(Ordering::Equal) => last.high.closed || part.low.closed,
                _ => false,
            };
            if !touches {
                joined.push(part);
                continue;
            }
            match order(&last.high.at, &part.high.at) {
                Some(Ordering::Less) => last.high = part.high,
                Some(Ordering::Equal) => last.high.closed |= part.high.closed,
                _ => {}
            }
        }
        self.parts = joined;
    }

    fn variable_with(&self, other: &Region) -> Option<String> {
        self.variable.clone().or_else(|| other.variable.clone())
    }

    pub(crate) fn union(&self, other: &Region) -> Region {
        let parts = self.parts.iter().chain(&other.parts).cloned().collect();
        Region::new(self.variable_with(other), parts)
    }

    pub(crate) fn intersection(&self, other: &Region) -> Option<Region> {
        let mut parts = Vec::new();
        for a in &self.parts {
            for b in &other.parts {
                parts.push(a.meet(b)?);
            }
        }
        Some(Region::new(self.variable_with(other), parts))
    }

    /// The numbers outside it.
    pub(crate) fn complement(&self) -> Option<Region> {
        let mut left = Region {
            variable: self.variable.clone(),
            ..Region::all()
        };
        for part in &self.parts {
            part.is_empty()?;
            let mut outside = Vec::new();
            if part.low.at.infinite_sign().is_none() {
                outside.push(Interval::new(
                    infinity(-1),
                    false,
                    part.low.at.clone(),
                    !part.low.closed,
                ));
            }
            if part.high.at.infinite_sign().is_none() {
                outside.push(Interval::new(
                    part.high.at.clone(),
                    !part.high.closed,
                    infinity(1),
                    false,
                ));
            }
            left = left.intersection(&Region::new(None, outside))?;
        }
        Some(left)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(variable) = &self.variable {
            write!(f, "{variable} in ")?;
        }
        if self.parts.is_empty() {
            return f.write_str("{}");
        }
        for (n, part) in self.parts.iter().enumerate() {
            let (open, close) = (
                if part.low.closed { '[' } else { '(' },
                if part.high.closed { ']' } else { ')' },
            );
            write!(
                f,
                "{}{open}{},{}{close}",
                if n > 0 { " u " } else { "" },
                part.low.at,
                part.high.at
            )?;
        }
        Ok(())
    }
}
