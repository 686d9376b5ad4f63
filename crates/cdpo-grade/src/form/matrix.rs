//! Arithmetic of matrices.

use super::sum::Sum;
use crate::refusal::Refusal;

pub(crate) type Matrix = Vec<Vec<Sum>>;

fn map(m: &Matrix, f: impl Fn(&Sum) -> Result<Sum, Refusal>) -> Result<Matrix, Refusal> {
    m.iter().map(|row| row.iter().map(&f).collect()).collect()
}

pub(crate) fn scaled(m: &Matrix, by: &Sum) -> Result<Matrix, Refusal> {
    map(m, |entry| entry.mul(by))
}

/// The sum of two matrices of one shape; `None` for different shapes.
pub(crate) fn added(a: &Matrix, b: &Matrix) -> Result<Option<Matrix>, Refusal> {
    if a.len() != b.len() || a.iter().zip(b).any(|(x, y)| x.len() != y.len()) {
        return Ok(None);
    }
    let rows = a
        .iter()
        .zip(b)
        .map(|(x, y)| x.iter().zip(y).map(|(p, q)| p.add(q)).collect());
    rows.collect::<Result<Matrix, Refusal>>().map(Some)
}

/// The product; `None` where the shapes do not fit.
pub(crate) fn product(a: &Matrix, b: &Matrix) -> Result<Option<Matrix>, Refusal> {
    let width = b.first().map_or(0, Vec::len);
    if a.iter().any(|row| row.len() != b.len()) || b.iter().any(|row| row.len() != width) {
        return Ok(None);
    }
    let entry = |row: &Vec<Sum>, column: usize| {
        row.iter().zip(b).try_fold(Sum::zero(), |sum, (x, line)| {
            sum.add(&x.mul(&line[column])?)
        })
    };
    let rows = a
        .iter()
        .map(|row| (0..width).map(|column| entry(row, column)).collect());
    rows.collect::<Result<Matrix, Refusal>>().map(Some)
}

/// The determinant, by cofactors; `None` unless the matrix is square and at most 5 wide.
pub(crate) fn determinant(m: &Matrix) -> Result<Option<Sum>, Refusal> {
    let n = m.len();
    if n == 0 || n > 5 || m.iter().any(|row| row.len() != n) {
        return Ok(None);
    }
    if n == 1 {
        return Ok(Some(m[0][0].clone()));
    }
    let mut total = Sum::zero();
    for column in 0..n {
        let rest = |row: &Vec<Sum>| {
            row.iter()
                .enumerate()
                .filter(|(at, _)| *at != column)
                .map(|(_, entry)| entry.clone())
                .collect()
        };
        let minor: Matrix = m[1..].iter().map(rest).collect();
        let Some(minor) = determinant(&minor)? else {
            return Ok(None);
        };
        let term = m[0][column].mul(&minor)?;
        total = if column % 2 == 0 {
            total.add(&term)?
        } else {
            total.sub(&term)?
        };
    }
    Ok(Some(total))
}

/// The entries of a single row or column.
pub(crate) fn as_vector<T: Clone>(m: &[Vec<T>]) -> Option<Vec<T>> {
    if m.len() == 1 {
        return m.first().cloned();
    }
    m.iter()
        .map(|row| {
            if row.len() == 1 {
                row.first().cloned()
            } else {
                None
            }
        })
        .collect()
}
