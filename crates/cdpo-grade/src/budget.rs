//! The work that one comparison may do, so that every comparison ends soon.
//!
//! Counted per thread: [`start`] opens a fresh account, [`spend`] draws on it and refuses when it is empty. The count
//! depends on the texts alone, so a refusal is the same on every machine.

use std::cell::Cell;

use crate::refusal::Refusal;

/// The work of one comparison: about as many copied factors as take a few milliseconds.
const WORK: usize = 50_000;

/// The work of reading one answer; grading reads up to three.
const READING: usize = 30_000;

/// What a step of the grammar, or the computing of one node of an expression, costs: both take longer than a copied factor.
pub(crate) const STEP: usize = 8;

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(WORK) };
}

/// Opens a fresh account for a comparison.
pub(crate) fn start() {
    LEFT.set(WORK);
}

/// Opens a fresh account for reading an answer.
pub(crate) fn start_reading() {
    LEFT.set(READING);
}

/// Draws `work` from the account.
pub(crate) fn spend(work: usize) -> Result<(), Refusal> {
    let left = LEFT.get();
    if work > left {
        LEFT.set(0);
        return Err(Refusal::TooBig);
    }
    LEFT.set(left - work);
    Ok(())
}
