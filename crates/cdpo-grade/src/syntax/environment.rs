//! Matrices and other environments.

use super::Expr;
use super::group::braced;
use super::input::{
    Input, Parsed, blanks, deeper, fail, inside, peek, peek_command, take, take_command,
};
use super::list::item;
use crate::refusal::Refusal;

/// No matrix has more entries.
const MAX_ENTRIES: usize = 400;

/// `\begin{…}…\end{…}`, whose `\begin` has been taken.
pub(super) fn environment(input: &mut Input<'_>) -> Parsed<Expr> {
    let name = braced(input)?.trim();
    let kind = name.trim_end_matches('*');
    match kind {
        "array" => {
            // The column specification.
            if take(input, "[") {
                let end = input.input.find(']').map_or(0, |at| at + 1);
                input.input = &input.input[end..];
            }
            braced(input)?;
        }
        "pmatrix" | "bmatrix" | "Bmatrix" | "vmatrix" | "Vmatrix" | "matrix" | "smallmatrix"
        | "cases" | "aligned" | "align" | "gathered" | "split" => {}
        _ => return fail(),
    }
    let rows = deeper(input, |input| inside(input, 1, 0, rows))?;
    if peek_command(input) != Some("end") {
        return fail();
    }
    take_command(input, "end");
    if braced(input)?.trim() != name {
        return fail();
    }
    Ok(match kind {
        "vmatrix" => Expr::Determinant(Box::new(Expr::Matrix(rows))),
        "cases" | "aligned" | "align" | "gathered" | "split" => {
            if rows.iter().any(|row| row.len() != 1) {
                return fail();
            }
            Expr::List(rows)
        }
        _ => Expr::Matrix(rows),
    })
}

fn rows(input: &mut Input<'_>) -> Parsed<Vec<Vec<Expr>>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut entries = 0;
    loop {
        if peek_command(input) == Some("end") {
            break;
        }
        row.push(item(input)?);
        entries += 1;
        if entries > MAX_ENTRIES {
            input.state.refusal = Some(Refusal::TooBig);
            return fail();
        }
        if take(input, "&") {
            continue;
        }
        rows.push(std::mem::take(&mut row));
        if !row_break(input) {
            break;
        }
    }
    if rows.is_empty() || !row.is_empty() {
        fail()
    } else {
        Ok(rows)
    }
}

/// `\\`, or the single backslash that a lost escape leaves in front of a number.
fn row_break(input: &mut Input<'_>) -> bool {
    if take(input, "\\\\") {
        return true;
    }
    blanks(input);
    let mut chars = input.input.chars();
    if peek(input) == Some('\\')
        && chars.next() == Some('\\')
        && chars.next().is_some_and(|c| c.is_ascii_digit() || c == '-')
    {
        input.input = &input.input[1..];
        return true;
    }
    false
}
