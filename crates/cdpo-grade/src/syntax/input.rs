//! The parser's input: the rest of the text, and what is known of the brackets around it.

use winnow::Parser;
use winnow::error::EmptyError;
use winnow::stream::Stateful;
use winnow::token::{literal, take_while};

use super::{Reading, SubscriptText};
use crate::budget::{self, STEP};
use crate::refusal::{MAX_DEPTH, Refusal};

/// What the brackets around the current place say.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) reading: Reading,
    /// How a subscript is written in a name.
    pub(super) subscript: SubscriptText,
    /// How deep the grammar has descended.
    depth: usize,
    /// Open brackets whose items are separated by commas, so that `(1,000)` is a pair.
    pub(super) fences: usize,
    /// Open bars of an absolute value.
    pub(super) bars: usize,
    /// How many times an operator has made the tree deeper to its left.
    links: usize,
    /// The bound that was overstepped, which ends the parse.
    pub(super) refusal: Option<Refusal>,
}

/// No answer has more operators; with the bound on depth this keeps the tree shallow enough to walk.
const MAX_LINKS: usize = 400;

pub(super) type Input<'a> = Stateful<&'a str, State>;
pub(super) type Parsed<T> = winnow::Result<T, EmptyError>;

pub(super) fn start(text: &str, reading: Reading, subscript: SubscriptText) -> Input<'_> {
    Stateful {
        input: text,
        state: State {
            reading,
            subscript,
            depth: 0,
            links: 0,
            fences: 0,
            bars: 0,
            refusal: None,
        },
    }
}

pub(super) fn fail<T>() -> Parsed<T> {
    Err(EmptyError)
}

/// Runs a parser one level deeper, within the bounds on depth and work.
pub(super) fn deeper<'a, T>(
    input: &mut Input<'a>,
    parser: impl FnOnce(&mut Input<'a>) -> Parsed<T>,
) -> Parsed<T> {
    if input.state.refusal.is_some() {
        return fail();
    }
    if input.state.depth >= MAX_DEPTH {
        input.state.refusal = Some(Refusal::TooDeep);
        return fail();
    }
    if let Err(refusal) = budget::spend(STEP) {
        input.state.refusal = Some(refusal);
        return fail();
    }
    input.state.depth += 1;
    let parsed = parser(input);
    input.state.depth -= 1;
    parsed
}

/// Counts an operator whose left side is what was read so far.
pub(super) fn link(input: &mut Input<'_>) -> Parsed<()> {
    input.state.links += 1;
    if input.state.links <= MAX_LINKS {
        return Ok(());
    }
    input.state.refusal = Some(Refusal::TooBig);
    fail()
}

/// Runs a parser with other knowledge of the brackets, and restores it.
pub(super) fn inside<'a, T>(
    input: &mut Input<'a>,
    fences: usize,
    bars: usize,
    parser: impl FnOnce(&mut Input<'a>) -> Parsed<T>,
) -> Parsed<T> {
    let before = (input.state.fences, input.state.bars);
    (input.state.fences, input.state.bars) = (fences, bars);
    let parsed = parser(input);
    (input.state.fences, input.state.bars) = before;
    parsed
}

/// Goes back to where `parser` began if it fails.
pub(super) fn attempt<'a, T>(
    input: &mut Input<'a>,
    parser: impl FnOnce(&mut Input<'a>) -> Parsed<T>,
) -> Option<T> {
    let rest = input.input;
    if let Ok(value) = parser(input) {
        Some(value)
    } else {
        input.input = rest;
        None
    }
}

/// Skips blanks, and `\!`.
pub(super) fn blanks(input: &mut Input<'_>) {
    loop {
        let skipped: Parsed<&str> = take_while(1.., char::is_whitespace).parse_next(input);
        let narrow: Parsed<&str> = literal("\\!").parse_next(input);
        if skipped.is_err() && narrow.is_err() {
            return;
        }
    }
}

/// Skips blanks and takes `text` if it comes next.
pub(super) fn take(input: &mut Input<'_>, text: &str) -> bool {
    let rest = input.input;
    blanks(input);
    if input.input.starts_with(text) {
        input.input = &input.input[text.len()..];
        return true;
    }
    input.input = rest;
    false
}

/// Skips blanks and takes `text`, which must come next.
pub(super) fn expect(input: &mut Input<'_>, text: &str) -> Parsed<()> {
    if take(input, text) { Ok(()) } else { fail() }
}

/// The character after the blanks, if any.
pub(super) fn peek(input: &Input<'_>) -> Option<char> {
    let mut rest = input.input.trim_start();
    while let Some(after) = rest.strip_prefix("\\!") {
        rest = after.trim_start();
    }
    rest.chars().next()
}

/// The command after the blanks, if any, without its backslash.
pub(super) fn peek_command<'a>(input: &Input<'a>) -> Option<&'a str> {
    let mut rest = input.input.trim_start();
    while let Some(after) = rest.strip_prefix("\\!") {
        rest = after.trim_start();
    }
    let rest = rest.strip_prefix('\\')?;
    let len = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let name = &rest[..len];
    (len > 0).then(|| &name[..super::command::known_len(name)])
}

/// Takes the command `name`, which [`peek_command`] has seen.
pub(super) fn take_command(input: &mut Input<'_>, name: &str) {
    blanks(input);
    input.input = &input.input[1 + name.len()..];
}

/// Takes any of the commands named, and says which.
pub(super) fn take_any(input: &mut Input<'_>, names: &[&'static str]) -> Option<&'static str> {
    let next = peek_command(input)?;
    let name = names.iter().find(|name| **name == next)?;
    take_command(input, name);
    Some(name)
}
