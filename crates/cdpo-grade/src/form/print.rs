//! The canonical text of a normal form: equal texts mean equal forms.

use std::fmt::{self, Display, Write};

use num_traits::{One, Signed};

use super::atom::{Atom, Product};
use super::sum::Sum;

impl Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_char('0');
        }
        // The empty product sorts first; a reader wants the constant last.
        let constant_last = self.0.iter().skip_while(|(p, _)| p.0.is_empty());
        let constant = self.0.iter().take_while(|(p, _)| p.0.is_empty());
        for (n, (product, coefficient)) in constant_last.chain(constant).enumerate() {
            if coefficient.is_negative() {
                f.write_char('-')?;
            } else if n > 0 {
                f.write_char('+')?;
            }
            let size = coefficient.abs();
            if product.0.is_empty() {
                write!(f, "{size}")?;
            } else if size.is_one() {
                write!(f, "{product}")?;
            } else {
                write!(f, "{size}*{product}")?;
            }
        }
        Ok(())
    }
}

impl Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (atom, exponent)) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_char('*')?;
            }
            write!(f, "{atom}")?;
            if !exponent.is_one() {
                if exponent.is_integer() && exponent.is_positive() {
                    write!(f, "^{exponent}")?;
                } else {
                    write!(f, "^({exponent})")?;
                }
            }
        }
        Ok(())
    }
}

impl Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Integer(n) => write!(f, "{n}"),
            Atom::I => f.write_str("i"),
            Atom::Pi => f.write_str("pi"),
            Atom::E => f.write_str("e"),
            Atom::Infinity => f.write_str("oo"),
            Atom::Symbol(name) | Atom::Opaque(name) => f.write_str(name),
            Atom::Power(base, exponent) => write!(f, "({base})^({exponent})"),
            Atom::Call(function, arguments) => {
                write!(f, "{}(", function.name())?;
                for (n, argument) in arguments.iter().enumerate() {
                    write!(f, "{}{argument}", if n > 0 { "," } else { "" })?;
                }
                f.write_char(')')
            }
            Atom::Sum(sum) => write!(f, "({sum})"),
        }
    }
}
