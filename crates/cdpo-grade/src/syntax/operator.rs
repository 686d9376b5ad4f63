//! Sums, products and powers.

use super::function::{command, named_function};
use super::group::{group, script};
use super::input::{
    Input, Parsed, attempt, blanks, deeper, expect, fail, link, peek, peek_command, take, take_any,
    take_command,
};
use super::{Constant, Expr, fence, numeral, symbol, unit};
use crate::function::Function;
use crate::measure::currency;
use crate::rational::integer;
use crate::refusal::Refusal;

/// A sum.
pub(super) fn expression(input: &mut Input<'_>) -> Parsed<Expr> {
    deeper(input, |input| {
        let mut sum = match sign(input) {
            None | Some(Sign::Plus) => term(input)?,
            Some(Sign::Minus) => Expr::Neg(Box::new(term(input)?)),
            Some(Sign::Either(flipped)) => Expr::PlusMinus(None, Box::new(term(input)?), flipped),
        };
        while let Some(sign) = sign(input) {
            link(input)?;
            let next = Box::new(term(input)?);
            sum = match sign {
                Sign::Plus => Expr::Add(Box::new(sum), next),
                Sign::Minus => Expr::Sub(Box::new(sum), next),
                Sign::Either(flipped) => Expr::PlusMinus(Some(Box::new(sum)), next, flipped),
            };
        }
        Ok(sum)
    })
}

enum Sign {
    Plus,
    Minus,
    Either(bool),
}

fn sign(input: &mut Input<'_>) -> Option<Sign> {
    match peek(input)? {
        '+' => {
            take(input, "+");
            Some(if take(input, "-") {
                Sign::Minus
            } else {
                Sign::Plus
            })
        }
        '-' => {
            take(input, "-");
            Some(Sign::Minus)
        }
        '\\' => take_any(input, &["pm", "mp"]).map(|name| Sign::Either(name == "mp")),
        _ => None,
    }
}

/// A product.
fn term(input: &mut Input<'_>) -> Parsed<Expr> {
    let mut product = factor(input)?;
    loop {
        if let Some(operator) = operator(input) {
            link(input)?;
            let next = Box::new(signed_factor(input)?);
            product = match operator {
                Operator::Times => Expr::Mul(Box::new(product), next),
                Operator::Over => Expr::Div(Box::new(product), next),
                Operator::Mod => Expr::Call(Function::Mod, vec![product, *next]),
            };
            continue;
        }
        if let Some(fraction) = attempt(input, |input| fraction_part(input, &product)) {
            if is_raised(input) {
                // Of the whole number, or of its fraction alone.
                return fail();
            }
            let mixed = Expr::Mixed(Box::new(product), Box::new(fraction));
            product = postfix(input, mixed)?;
            continue;
        }
        match attempt(input, |input| implicit(input, &product)) {
            Some(next) => {
                link(input)?;
                product = Expr::Mul(Box::new(product), Box::new(next));
            }
            None => return Ok(product),
        }
    }
}

enum Operator {
    Times,
    Over,
    Mod,
}

fn operator(input: &mut Input<'_>) -> Option<Operator> {
    match peek(input)? {
        '*' => take(input, "*").then_some(Operator::Times),
        // A lone x between numbers, as in "5 x 6".
        'x' if input.input.starts_with(' ') => {
            let rest = input.input.trim_start().strip_prefix("x ")?;
            let factor = rest.trim_start().trim_start_matches(['\\', '$']);
            factor.starts_with(|c: char| c.is_ascii_digit()).then(|| {
                input.input = rest;
                Operator::Times
            })
        }
        '/' => take(input, "/").then_some(Operator::Over),
        '\\' => match take_any(
            input,
            &["cdot", "times", "ast", "bullet", "div", "bmod", "mod"],
        )? {
            "div" => Some(Operator::Over),
            "bmod" | "mod" => Some(Operator::Mod),
            _ => Some(Operator::Times),
        },
        _ => None,
    }
}

/// A factor with an optional sign, as stands after an operator.
pub(super) fn signed_factor(input: &mut Input<'_>) -> Parsed<Expr> {
    if take(input, "-") {
        return Ok(Expr::Neg(Box::new(deeper(input, signed_factor)?)));
    }
    take(input, "+");
    factor(input)
}

/// The fraction of a mixed number, right behind its whole number and not in brackets: `\frac{1}{2}` or `1/2`.
fn fraction_part(input: &mut Input<'_>, whole: &Expr) -> Parsed<Expr> {
    let fraction = match peek(input) {
        Some('\\')
            if matches!(whole, Expr::Number(n, None) if n.is_integer())
                && plain_fraction(input) =>
        {
            deeper(input, base)?
        }
        Some(c) if c.is_ascii_digit() && matches!(whole, Expr::Number(..)) => {
            blanks(input);
            let top = numeral::number(input)?;
            expect(input, "/")?;
            blanks(input);
            Expr::Div(Box::new(top), Box::new(numeral::number(input)?))
        }
        _ => return fail(),
    };
    if numeral::is_mixed(whole, &fraction) {
        Ok(fraction)
    } else {
        fail()
    }
}

/// Whether a fraction with a plain numerator comes next. Others are no part of a mixed number; they are read once, by the
/// product, since reading them here, too, would double the work at each level of a nest.
fn plain_fraction(input: &Input<'_>) -> bool {
    let Some(name @ ("frac" | "dfrac" | "tfrac" | "cfrac")) = peek_command(input) else {
        return false;
    };
    let rest = input.input.trim_start();
    let rest = rest.get(1 + name.len()..).unwrap_or("").trim_start();
    match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((numerator, _)) => !numerator.contains(|c: char| c == '{' || c.is_alphabetic()),
        None => rest.starts_with(|c: char| c.is_ascii_digit()),
    }
}

/// Whether a power or a factorial comes next.
fn is_raised(input: &Input<'_>) -> bool {
    let mut ahead = input.clone();
    match peek(input) {
        Some('!') => !input.input.trim_start().starts_with("!="),
        Some('^') => take(&mut ahead, "^") && !unit::degree_sign(&mut ahead),
        _ => false,
    }
}

/// A factor that follows another without an operator.
fn implicit(input: &mut Input<'_>, before: &Expr) -> Parsed<Expr> {
    // Lists and sets multiply nothing.
    if matches!(before, Expr::Fence(..) | Expr::Set(_) | Expr::Text(_)) {
        return fail();
    }
    if matches!(before, Expr::Number(..) | Expr::Mixed(..))
        && unit::is_bare_unit(input.input.trim_start())
    {
        return fail();
    }
    if is_numeric(before) && unit::is_unit_in_text(input) {
        return fail();
    }
    match peek(input) {
        Some(c)
            if (c.is_ascii_digit() || c == '.')
                && !matches!(before, Expr::Number(..) | Expr::Mixed(..)) =>
        {
            blanks(input);
            let next = numeral::number(input)?;
            postfix(input, next)
        }
        Some('(' | '{' | '\\' | '[') => {
            let next = factor(input)?;
            match next {
                Expr::Fence(..) | Expr::Set(_) | Expr::Text(_) | Expr::List(_) => fail(),
                next => Ok(next),
            }
        }
        Some('|') if input.state.bars == 0 => factor(input),
        Some(c) if is_letter(c) => factor(input),
        _ => fail(),
    }
}

/// A base with what stands behind it.
pub(super) fn factor(input: &mut Input<'_>) -> Parsed<Expr> {
    let inner = deeper(input, base)?;
    postfix(input, inner)
}

fn postfix(input: &mut Input<'_>, mut value: Expr) -> Parsed<Expr> {
    loop {
        if matches!(peek(input), Some('^' | '!' | '%')) {
            link(input)?;
        }
        match peek(input) {
            Some('^') if !matches!(value, Expr::Text(_)) => {
                take(input, "^");
                if unit::degree_sign(input) {
                    value = Expr::Degrees(Box::new(value));
                } else {
                    let exponent = tower(input)?;
                    value = Expr::Power(Box::new(value), Box::new(exponent));
                }
            }
            // n!! is no factorial of a factorial.
            Some('!') if input.input.trim_start().starts_with("!!") => return fail(),
            Some('!') if !input.input.trim_start().starts_with("!=") => {
                take(input, "!");
                value = Expr::Call(Function::Factorial, vec![value]);
            }
            Some('%') => {
                take(input, "%");
                value = Expr::Unit(Box::new(value), "%".into());
            }
            Some('\\') => match peek_command(input) {
                Some("degree") => {
                    take_command(input, "degree");
                    value = Expr::Degrees(Box::new(value));
                }
                _ if take(input, "\\$") => value = Expr::Unit(Box::new(value), "$".into()),
                _ => return Ok(value),
            },
            _ => return Ok(value),
        }
    }
}

/// A number, a symbol, a command, or something between brackets.
pub(super) fn base(input: &mut Input<'_>) -> Parsed<Expr> {
    blanks(input);
    match peek(input) {
        Some(c) if c.is_ascii_digit() || c == '.' => numeral::number(input),
        Some('(' | '[') => fence::fence(input),
        Some('{') => group(input),
        Some('|') => fence::bars(input, "|", "|"),
        Some('\\') => command(input),
        Some(c)
            if !c.is_ascii()
                && let Some((code, len)) = currency(input.input) =>
        {
            input.input = &input.input[len..];
            let amount = Box::new(signed_factor(input)?);
            Ok(Expr::Unit(amount, code.to_owned()))
        }
        Some(c) if is_letter(c) => word(input),
        Some('∠' | '△') => {
            let sign = input.input.chars().next().unwrap_or('∠');
            input.input = &input.input[sign.len_utf8()..];
            Ok(Expr::Symbol(sign.to_string()))
        }
        _ => fail(),
    }
}

/// Whether a letter may be a variable: Latin or Greek.
pub(super) fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || ('α'..='ω').contains(&c) || ('Α'..='Ω').contains(&c)
}

/// A run of letters: a function, a constant, or symbols of one letter each.
fn word(input: &mut Input<'_>) -> Parsed<Expr> {
    let run = input.input;
    let len = run
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(run.len());
    let run = &run[..len];
    match run {
        "pi" => {
            input.input = &input.input[2..];
            return Ok(Expr::Constant(Constant::Pi));
        }
        "infinity" | "inf" | "infty" => {
            input.input = &input.input[len..];
            return Ok(Expr::Constant(Constant::Infinity));
        }
        "sqrt" => {
            input.input = &input.input[4..];
            let inner = Box::new(super::group::root_argument(input)?);
            return Ok(Expr::Power(inner, Box::new(half())));
        }
        _ => {}
    }
    if let Some(function) = Function::named(run) {
        input.input = &input.input[len..];
        return named_function(input, function);
    }
    // Words are no products of their letters.
    if super::list::is_conjunction(input) || unit::is_word(run) {
        return fail();
    }
    symbol::symbol(input)
}

/// No more exponents stand upon each other without braces.
const MAX_TOWER: usize = 16;

/// An exponent, and the exponents that are raised upon it: 2^3^2 is 2^(3^2).
fn tower(input: &mut Input<'_>) -> Parsed<Expr> {
    let mut levels = vec![script(input)?];
    while peek(input) == Some('^') {
        let mut ahead = input.clone();
        take(&mut ahead, "^");
        if unit::degree_sign(&mut ahead) {
            break;
        }
        if levels.len() == MAX_TOWER {
            input.state.refusal = Some(Refusal::TooDeep);
            return fail();
        }
        link(input)?;
        take(input, "^");
        levels.push(script(input)?);
    }
    let last = levels.pop().map_or_else(fail, Ok)?;
    Ok(levels.into_iter().rfold(last, |above, level| {
        Expr::Power(Box::new(level), Box::new(above))
    }))
}

/// Whether an expression holds numbers alone.
fn is_numeric(expr: &Expr) -> bool {
    match expr {
        Expr::Number(..) => true,
        Expr::Constant(constant) => *constant == Constant::Pi,
        Expr::Neg(a) => is_numeric(a),
        Expr::Mul(a, b) | Expr::Div(a, b) | Expr::Power(a, b) | Expr::Mixed(a, b) => {
            is_numeric(a) && is_numeric(b)
        }
        _ => false,
    }
}

pub(super) fn half() -> Expr {
    Expr::Div(
        Box::new(Expr::Number(integer(1), None)),
        Box::new(Expr::Number(integer(2), None)),
    )
}
