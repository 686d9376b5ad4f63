//! Lists: answers apart by commas, semicolons, "and" and "or".

use super::input::{
    Input, Parsed, attempt, blanks, deeper, fail, peek, peek_command, take, take_any,
};
use super::relation::relation;
use super::{Expr, Relation, unit};
use crate::refusal::Refusal;

/// No list has more items.
const MAX_ITEMS: usize = 200;

/// A whole answer: a list, and nothing after it.
pub(super) fn answer(input: &mut Input<'_>) -> Parsed<Expr> {
    let list = list(input)?;
    blanks(input);
    while take(input, ".") || take(input, ",") || take(input, "\\\\") {}
    blanks(input);
    if input.input.is_empty() {
        Ok(list)
    } else {
        fail()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Comma,
    /// A semicolon, "and" or "or".
    Strong,
}

/// One or more items.
pub(super) fn list(input: &mut Input<'_>) -> Parsed<Expr> {
    let mut groups = vec![vec![item(input)?]];
    let mut count = 1;
    let mut alternatives = true;
    while let Some((separator, or)) = separator(input) {
        alternatives &= or;
        let Some(next) = attempt(input, item) else {
            if input.state.refusal.is_some() || !at_end(input) {
                return fail();
            }
            break;
        };
        count += 1;
        if count > MAX_ITEMS {
            input.state.refusal = Some(Refusal::TooBig);
            return fail();
        }
        match (separator, groups.last_mut()) {
            (Separator::Comma, Some(group)) => group.push(next),
            _ => groups.push(vec![next]),
        }
    }
    if count == 1 {
        return Ok(groups.remove(0).remove(0));
    }
    // x > 1 or x < 2: the one region or the other.
    if alternatives && groups.iter().all(|group| group.iter().all(compares)) {
        let mut regions = groups.into_iter().flatten();
        let first = regions.next().map_or_else(fail, Ok)?;
        return Ok(regions.fold(first, |all, next| {
            Expr::Union(Box::new(all), Box::new(next))
        }));
    }
    // Two levels only where each group assigns the same number of names: p = 1, q = 2; p = 3, q = 4.
    let len = groups[0].len();
    let two_levels = groups.len() > 1
        && len > 1
        && groups
            .iter()
            .all(|g| g.len() == len && g.iter().all(assigns));
    if !two_levels {
        groups = groups
            .into_iter()
            .flatten()
            .map(|item| vec![item])
            .collect();
    }
    Ok(Expr::List(groups))
}

fn assigns(item: &Expr) -> bool {
    matches!(item, Expr::Relation(_, chain) if chain[0].0 == Relation::Equal)
}

fn compares(item: &Expr) -> bool {
    let compares = |relation: &Relation| {
        matches!(
            relation,
            Relation::Less
                | Relation::AtMost
                | Relation::Greater
                | Relation::AtLeast
                | Relation::Unequal
        )
    };
    matches!(item, Expr::Relation(_, chain) if chain.iter().all(|(relation, _)| compares(relation)))
}

fn at_end(input: &Input<'_>) -> bool {
    matches!(peek(input), None | Some('}' | ')' | ']'))
}

/// One item of a list.
pub(super) fn item(input: &mut Input<'_>) -> Parsed<Expr> {
    deeper(input, relation)
}

/// What parts two items, and whether it says "or".
fn separator(input: &mut Input<'_>) -> Option<(Separator, bool)> {
    let mut found = None;
    let mut alternative = false;
    loop {
        let next = if take(input, ",") || take(input, "\\\\") {
            Separator::Comma
        } else if take(input, ";") || take_any(input, &["land", "wedge"]).is_some() {
            Separator::Strong
        } else if take_any(input, &["lor", "vee"]).is_some() {
            alternative = true;
            Separator::Strong
        } else if let Some(or) = conjunction(input) {
            alternative |= or;
            Separator::Strong
        } else {
            return found.map(|found| (found, alternative));
        };
        // ", and" separates the items of one list.
        found = Some(if found == Some(Separator::Comma) {
            Separator::Comma
        } else {
            next
        });
    }
}

/// Takes "and" or "or", bare or as text, and says whether it was "or".
fn conjunction(input: &mut Input<'_>) -> Option<bool> {
    attempt(input, |input| {
        if let Some("text" | "mathrm" | "mbox" | "textbf" | "textit" | "textnormal" | "textrm") =
            peek_command(input)
        {
            let name = peek_command(input).unwrap_or_default();
            super::input::take_command(input, name);
            let content = super::group::braced(input)?;
            return unit::conjunction(content)
                .map_or_else(fail, |word| Ok(word.to_lowercase().ends_with("or")));
        }
        blanks(input);
        if !is_conjunction(input) {
            return fail();
        }
        let or = input.input.starts_with("or");
        input.input = &input.input[if or { 2 } else { 3 }..];
        Ok(or)
    })
}

/// Whether "and" or "or" comes next: as a word, or glued to what is plainly no word.
pub(super) fn is_conjunction(input: &Input<'_>) -> bool {
    let rest = input.input.trim_start();
    ["and", "or"]
        .into_iter()
        .filter_map(|word| rest.strip_prefix(word))
        .any(|after| {
            !after.starts_with(|c: char| c.is_ascii_lowercase())
                || after.starts_with(|c: char| c.is_ascii_digit())
        })
}
