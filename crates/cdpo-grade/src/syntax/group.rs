//! Braces and the arguments of commands.

use super::input::{
    Input, Parsed, attempt, blanks, deeper, expect, fail, inside, peek, peek_command, take,
};
use super::list::list;
use super::operator::{base, expression, signed_factor};
use super::{Expr, numeral};
use crate::function::Function;

/// `{…}`: what stands in it, as one expression.
pub(super) fn group(input: &mut Input<'_>) -> Parsed<Expr> {
    expect(input, "{")?;
    let inner = deeper(input, |input| inside(input, 0, 0, list))?;
    if peek_command(input) == Some("choose") {
        super::input::take_command(input, "choose");
        let lower = deeper(input, |input| inside(input, 0, 0, list))?;
        expect(input, "}")?;
        return Ok(Expr::Call(Function::Binomial, vec![inner, lower]));
    }
    expect(input, "}")?;
    Ok(inner)
}

/// The text between the next braces, which are balanced.
pub(super) fn braced<'a>(input: &mut Input<'a>) -> Parsed<&'a str> {
    expect(input, "{")?;
    let text = input.input;
    let mut depth = 1usize;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    input.input = &text[at + 1..];
                    return Ok(&text[..at]);
                }
            }
            _ => {}
        }
    }
    fail()
}

/// The argument of a command: `{…}`, or the next digit, letter or command as TeX takes it.
pub(super) fn argument(input: &mut Input<'_>) -> Parsed<Expr> {
    match peek(input) {
        Some('{') => group(input),
        Some(c) if c.is_ascii_digit() => numeral::single_digit(input),
        Some('-') => signed_factor(input),
        Some(_) => deeper(input, base),
        None => fail(),
    }
}

/// The argument of a root: as [`argument`], but a number without braces is taken whole.
pub(super) fn root_argument(input: &mut Input<'_>) -> Parsed<Expr> {
    match peek(input) {
        Some(c) if c.is_ascii_digit() || c == '.' => {
            blanks(input);
            numeral::number(input)
        }
        _ => argument(input),
    }
}

/// An exponent or subscript: `{…}`, or a number with its sign, or one factor.
pub(super) fn script(input: &mut Input<'_>) -> Parsed<Expr> {
    match peek(input) {
        Some('{') => group(input),
        Some('-' | '+') => signed_script(input),
        Some(c) if c.is_ascii_digit() => {
            blanks(input);
            inside(input, 1, 0, numeral::number)
        }
        _ => deeper(input, base),
    }
}

fn signed_script(input: &mut Input<'_>) -> Parsed<Expr> {
    if take(input, "-") {
        return Ok(Expr::Neg(Box::new(script(input)?)));
    }
    expect(input, "+")?;
    script(input)
}

/// The optional argument `[…]` of a root.
pub(super) fn degree(input: &mut Input<'_>) -> Option<Expr> {
    attempt(input, |input| {
        expect(input, "[")?;
        let degree = deeper(input, |input| inside(input, 1, 0, expression))?;
        expect(input, "]")?;
        Ok(degree)
    })
}
