//! Brackets: groups, tuples, intervals, sets, absolute values.

use super::Expr;
use super::input::{
    Input, Parsed, attempt, deeper, expect, fail, inside, peek, peek_command, take, take_any,
    take_command,
};
use super::list::{item, list};
use super::operator::expression;
use crate::function::Function;

/// `(…)`, `[…]` and the half-open brackets; one item between like brackets is a group.
pub(super) fn fence(input: &mut Input<'_>) -> Parsed<Expr> {
    let open = if take(input, "(") {
        '('
    } else if take(input, "[") || take_any(input, &["lbrack"]).is_some() {
        '['
    } else {
        return fail();
    };
    let mut items = items(input)?;
    let close = if take(input, ")") {
        ')'
    } else if take(input, "]") || take_any(input, &["rbrack"]).is_some() {
        ']'
    } else {
        return fail();
    };
    let alike = (open == '(') == (close == ')');
    match items.len() {
        1 if alike => Ok(items.remove(0)),
        0 | 1 => fail(),
        _ => Ok(Expr::Fence(open, items, close)),
    }
}

/// Items between brackets, apart by commas or semicolons.
fn items(input: &mut Input<'_>) -> Parsed<Vec<Expr>> {
    deeper(input, |input| {
        let fences = input.state.fences + 1;
        inside(input, fences, 0, |input| {
            let mut items = vec![item(input)?];
            while take(input, ",") || take(input, ";") {
                if matches!(peek(input), Some(')' | ']' | '}')) {
                    break;
                }
                items.push(item(input)?);
            }
            Ok(items)
        })
    })
}

/// The arguments of an unknown function, in parentheses.
pub(super) fn arguments(input: &mut Input<'_>) -> Parsed<Vec<Expr>> {
    expect(input, "(")?;
    let arguments = items(input)?;
    expect(input, ")")?;
    Ok(arguments)
}

/// `\{…\}`, whose opening has been taken.
pub(super) fn set(input: &mut Input<'_>) -> Parsed<Expr> {
    let closes =
        |input: &mut Input<'_>| take(input, "\\}") || take_any(input, &["rbrace"]).is_some();
    if closes(input) {
        return Ok(Expr::Set(Vec::new()));
    }
    let fences = input.state.fences + 1;
    let builder = attempt(input, |input| {
        deeper(input, |input| {
            inside(input, fences, 1, |input| {
                let element = item(input)?;
                if !(take(input, "|")
                    || take(input, ":")
                    || take_any(input, &["mid", "vert"]).is_some())
                {
                    return fail();
                }
                let condition = inside(input, 0, 0, list)?;
                Ok(Expr::Builder(Box::new(element), Box::new(condition)))
            })
        })
    });
    let set = match builder {
        Some(builder) => builder,
        None => Expr::Set(items(input)?),
    };
    if closes(input) { Ok(set) } else { fail() }
}

/// An absolute value, or the determinant of a matrix.
pub(super) fn bars(input: &mut Input<'_>, open: &str, close: &str) -> Parsed<Expr> {
    expect(input, open)?;
    let bars = input.state.bars + 1;
    let inner = deeper(input, |input| inside(input, 1, bars, expression))?;
    expect(input, close)?;
    Ok(match inner {
        matrix @ Expr::Matrix(_) => Expr::Determinant(Box::new(matrix)),
        inner => Expr::Call(Function::Abs, vec![inner]),
    })
}

/// `\lfloor…\rfloor`, `\lceil…\rceil`, `\lvert…\rvert`, `\vert…\vert`, `\langle…\rangle`, whose opening has been taken.
pub(super) fn command_fence(input: &mut Input<'_>, open: &str) -> Parsed<Expr> {
    let (close, function) = match open {
        "lfloor" => ("rfloor", Function::Floor),
        "lceil" => ("rceil", Function::Ceil),
        "lvert" => ("rvert", Function::Abs),
        "vert" => ("vert", Function::Abs),
        _ => {
            let items = items(input)?;
            return if peek_command(input) == Some("rangle") {
                take_command(input, "rangle");
                Ok(Expr::Fence('<', items, '>'))
            } else {
                fail()
            };
        }
    };
    let inner = deeper(input, |input| inside(input, 1, 0, expression))?;
    if peek_command(input) != Some(close) {
        return fail();
    }
    take_command(input, close);
    Ok(Expr::Call(function, vec![inner]))
}
