//! Counts the multiplications and additions of the products that a test's thread asks for.

use std::cell::Cell;

use super::{MatRef, Rhs};

thread_local! {
    static COUNTED: Cell<u64> = const { Cell::new(0) };
}

/// Counts `a . b`.
pub(super) fn add(a: MatRef<'_>, b: Rhs<'_>) {
    let columns = match b {
        Rhs::Dense(matrix) => matrix.cols,
        Rhs::Packed(packed) => packed.out_features(),
    };
    COUNTED.set(COUNTED.get() + 2 * (a.rows * a.cols * columns) as u64);
}

/// What was counted since the last call, on this thread.
pub(crate) fn take() -> u64 {
    COUNTED.take()
}
