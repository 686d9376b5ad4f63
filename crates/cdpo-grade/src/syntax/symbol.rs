//! Variables and unknown functions.

use super::group::{braced, script};
use super::input::{Input, Parsed, attempt, fail, take};
use super::{Constant, Expr, fence};

/// One letter, with its subscript and primes; or an unknown function applied to arguments.
pub(super) fn symbol(input: &mut Input<'_>) -> Parsed<Expr> {
    let Some(letter) = input.input.chars().next().filter(|c| c.is_alphabetic()) else {
        return fail();
    };
    input.input = &input.input[letter.len_utf8()..];
    dressed(input, letter.to_string())
}

/// The symbol `name` with what hangs on it.
pub(super) fn dressed(input: &mut Input<'_>, mut name: String) -> Parsed<Expr> {
    let bare = name.len();
    let letter = name.chars().next().filter(|c| c.len_utf8() == bare);
    while take(input, "'") || take(input, "^\\prime") || take(input, "^{\\prime}") {
        name.push('\'');
    }
    if input.input.starts_with('_') {
        take(input, "_");
        name.push('_');
        name.push_str(&subscript(input)?);
    }
    let applies = letter.is_some_and(|c| c.is_ascii_uppercase() || matches!(c, 'f' | 'g' | 'h'))
        || matches!(name.as_str(), "\\phi" | "\\varphi" | "\\psi" | "\\Gamma");
    if applies
        && input.input.starts_with('(')
        && let Some(arguments) = attempt(input, fence::arguments)
    {
        return Ok(Expr::Apply(name, arguments));
    }
    Ok(match name.as_str() {
        "e" => Expr::Constant(Constant::E),
        "i" => Expr::Constant(Constant::I),
        _ => Expr::Symbol(name),
    })
}

/// A subscript as text without blanks; sums in it are put in order.
fn subscript(input: &mut Input<'_>) -> Parsed<String> {
    let rest = input.input;
    if let Some(expr) = attempt(input, script)
        && let Some(text) = (input.state.subscript)(&expr)
    {
        // Braces keep a subscript apart from what follows it.
        return Ok(if text.chars().count() == 1 {
            text
        } else {
            format!("{{{text}}}")
        });
    }
    input.input = rest;
    if input.input.trim_start().starts_with('{') {
        return Ok(braced(input)?
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect());
    }
    fail()
}
