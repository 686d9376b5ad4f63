//! Matrix products: `f32` slices on the CPU through `rten-gemm`, the tensor library elsewhere.
//!
//! Goes in: row-major matrices, either operand optionally transposed, or a weight packed once as [`PackedB`].
//! Comes out: `beta * out + alpha * (a . b)`.
//!
//! On the CPU the bits of an output row are a function of that row of the left operand and of the right operand
//! alone: they do not depend on how many other rows are multiplied along with it, on the number of threads, or on
//! whether the right operand was packed beforehand. The kernel folds `k` in ascending order with one fused
//! multiply-add per element and tile, the same for every number of rows; the one exception, its vector-matrix
//! kernel for a single row, is avoided by multiplying two.

use std::ops::Range;

use candle_core::Tensor;
use rten_gemm::{
    BiasVector, GemmError, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, GemmUninitOptions,
    PackedBMatrix,
};
use rten_tensor::{Matrix, NdTensorView};

use super::host::{HostSlice, contiguous, is_host_f32, tensor};
use super::simd::filled;
use crate::error::{Error, Result};

/// The choice of kernel for this machine. It holds no other state, and making one allocates nothing.
fn executor() -> GemmExecutor {
    GemmExecutor::default()
}

/// Name of the CPU kernel in use, e.g. `x86_64-f32-avx512`.
pub fn kernel_name() -> String {
    executor().kernel_name().to_owned()
}

/// A borrowed row-major matrix, some of its columns, or the transpose of one.
#[derive(Debug, Clone, Copy)]
pub struct MatRef<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    /// Elements from a row, and from a column, to the next.
    strides: [usize; 2],
}

impl<'a> MatRef<'a> {
    /// `data` as `[rows, cols]`, row-major.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `data` does not hold `rows * cols` elements.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Result<Self> {
        if Some(data.len()) == rows.checked_mul(cols) {
            Ok(Self {
                data,
                rows,
                cols,
                strides: [cols, 1],
            })
        } else {
            Err(Error::Invalid(format!(
                "{} elements are not a matrix of {rows} x {cols}",
                data.len()
            )))
        }
    }

    /// The transpose, without a copy.
    #[must_use]
    pub(crate) fn t(self) -> Self {
        let [row, column] = self.strides;
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            strides: [column, row],
        }
    }

    /// Some of its columns, without a copy.
    #[must_use]
    pub(super) fn columns(self, columns: Range<usize>) -> Self {
        let [row, column] = self.strides;
        let (first, last) = (columns.start * column, (columns.end - 1) * column);
        Self {
            data: &self.data[first..=last + (self.rows - 1) * row],
            cols: columns.len(),
            ..self
        }
    }

    /// Row `i` of a row-major matrix.
    fn row(&self, i: usize) -> &'a [f32] {
        let [row, column] = self.strides;
        assert!(
            column == 1 || self.cols == 1,
            "a transposed matrix has no rows in one piece"
        );
        &self.data[i * row..][..self.cols]
    }

    fn view(&self) -> Result<Matrix<'a>> {
        NdTensorView::from_slice_with_strides([self.rows, self.cols], self.data, self.strides)
            .map_err(|e| {
                Error::Invalid(format!("matrix view of {} x {}: {e}", self.rows, self.cols))
            })
    }
}

/// The right operand `W^T` of `x . W^T`, laid out once for the CPU kernel: worth it for a weight that stays as it is.
#[derive(Clone)]
pub struct PackedB {
    matrix: PackedBMatrix<f32>,
}

impl PackedB {
    /// Packs the transpose of `w` `[out, in]`.
    ///
    /// # Errors
    /// If `w` is not a matrix of `f32` in host memory.
    pub fn new(w: &Tensor) -> Result<Self> {
        let w = contiguous(w)?;
        let (out_features, in_features) = w.dims2()?;
        Self::transposed(&HostSlice::new(&w)?, out_features, in_features)
    }

    /// Packs the transpose of `w` (`[out, in]`, row-major).
    ///
    /// # Errors
    /// [`Error::Invalid`] if `w` does not hold `out * in` elements.
    pub fn transposed(w: &[f32], out_features: usize, in_features: usize) -> Result<Self> {
        Self::of(MatRef::new(w, out_features, in_features)?.t())
    }

    /// Packs the right operand `b` (`[k, n]`) as it stands.
    ///
    /// # Errors
    /// None for a well-formed [`MatRef`].
    pub(crate) fn of(b: MatRef<'_>) -> Result<Self> {
        Ok(Self {
            matrix: executor().prepack_b(b.view()?),
        })
    }

    /// Length of the dot products: the weight's `in`.
    pub(crate) fn in_features(&self) -> usize {
        self.matrix.rows()
    }

    /// Columns of the product: the weight's `out`.
    pub(crate) fn out_features(&self) -> usize {
        self.matrix.cols()
    }
}

impl std::fmt::Debug for PackedB {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PackedB[{} -> {}]",
            self.in_features(),
            self.out_features()
        )
    }
}

/// The right operand of [`gemm`].
#[derive(Debug, Clone, Copy)]
pub enum Rhs<'a> {
    /// A plain matrix, packed on the fly.
    Dense(MatRef<'a>),
    /// A matrix packed beforehand.
    Packed(&'a PackedB),
}

/// `out = alpha * (a . b) + beta * out`, row-major `[a.rows, b.cols]`. With `beta == 0` the old content is not read.
///
/// # Errors
/// [`Error::Invalid`] if the shapes do not fit.
pub fn gemm(out: &mut [f32], a: MatRef<'_>, b: Rhs<'_>, alpha: f32, beta: f32) -> Result<()> {
    if a.rows == 1 {
        return gemm_one_row(out, a, b, alpha, beta);
    }
    run(out, a, b, alpha, beta)
}

/// A new `alpha * (a . b) + bias`, row-major `[a.rows, b.cols]`, `bias` `[b.cols]` added to every row. Without a bias the
/// same bits as [`gemm`] with `beta == 0`.
///
/// # Errors
/// [`Error::Invalid`] if the shapes do not fit.
pub(crate) fn product(
    a: MatRef<'_>,
    b: Rhs<'_>,
    alpha: f32,
    bias: Option<&[f32]>,
) -> Result<Vec<f32>> {
    let n = match b {
        Rhs::Dense(matrix) => matrix.cols,
        Rhs::Packed(packed) => packed.out_features(),
    };
    if a.rows == 1 && matches!(b, Rhs::Dense(_)) {
        let two = [a.data, a.data].concat();
        let mut out = product(MatRef::new(&two, 2, a.cols)?, b, alpha, bias)?;
        out.truncate(n);
        return Ok(out);
    }
    #[cfg(test)]
    counter::add(a, b);
    let (left, right) = (GemmInputA::Unpacked(a.view()?), b.input()?);
    let options = GemmUninitOptions {
        alpha,
        bias: bias.map(BiasVector::Row),
        ..GemmUninitOptions::default()
    };
    filled(a.rows * n, |out| {
        executor()
            .gemm_uninit(out, left, right, options)
            .map_err(|e| b.error(a, &e))
    })
}

/// One row as the first of two equal ones, so that it takes the kernel that every other number of rows takes.
fn gemm_one_row(out: &mut [f32], a: MatRef<'_>, b: Rhs<'_>, alpha: f32, beta: f32) -> Result<()> {
    if let Rhs::Packed(_) = b {
        return run(out, a, b, alpha, beta);
    }
    let n = out.len();
    let two = [a.data, a.data].concat();
    let mut both = vec![0.0; 2 * n];
    if beta != 0.0 {
        both[..n].copy_from_slice(out);
    }
    run(&mut both, MatRef::new(&two, 2, a.cols)?, b, alpha, beta)?;
    out.copy_from_slice(&both[..n]);
    Ok(())
}

fn run(out: &mut [f32], a: MatRef<'_>, b: Rhs<'_>, alpha: f32, beta: f32) -> Result<()> {
    #[cfg(test)]
    counter::add(a, b);
    let options = GemmOptions {
        alpha,
        beta,
        ..GemmOptions::default()
    };
    executor()
        .gemm(out, GemmInputA::Unpacked(a.view()?), b.input()?, options)
        .map_err(|e| b.error(a, &e))
}

/// `out = a . b`, with `bias` added to every row, or `out += a . b`. More than one row.
fn accumulate(
    out: &mut [f32],
    a: MatRef<'_>,
    b: Rhs<'_>,
    bias: Option<&[f32]>,
    add: bool,
) -> Result<()> {
    let options = GemmOptions {
        beta: if add { 1.0 } else { 0.0 },
        bias: bias.map(BiasVector::Row),
        ..GemmOptions::default()
    };
    executor()
        .gemm(out, GemmInputA::Unpacked(a.view()?), b.input()?, options)
        .map_err(|e| b.error(a, &e))
}

impl<'a> Rhs<'a> {
    fn input(self) -> Result<GemmInputB<'a, f32>> {
        Ok(match self {
            Self::Dense(matrix) => GemmInputB::Unpacked(matrix.view()?),
            Self::Packed(packed) => GemmInputB::Packed(&packed.matrix),
        })
    }

    fn error(self, a: MatRef<'_>, cause: &GemmError) -> Error {
        let (k, n) = match self {
            Self::Dense(matrix) => (matrix.rows, matrix.cols),
            Self::Packed(packed) => (packed.in_features(), packed.out_features()),
        };
        Error::Invalid(format!(
            "matrix product [{} x {}] . [{k} x {n}]: {cause}",
            a.rows, a.cols
        ))
    }
}

/// `x . W^T` for `x` `[N, in]` and a packed weight: `[N, out]`. `f32` in host memory only.
///
/// # Errors
/// [`Error::Invalid`] if the shapes do not fit or `x` is not in host memory.
pub fn matmul_packed(x: &Tensor, w: &PackedB) -> Result<Tensor> {
    let x = contiguous(x)?;
    let (rows, cols) = x.dims2()?;
    let out = product(
        MatRef::new(&HostSlice::new(&x)?, rows, cols)?,
        Rhs::Packed(w),
        1.0,
        None,
    )?;
    tensor(out, (rows, w.out_features()))
}

/// `x . w^T` for `x` `[N, K]`, `w` `[M, K]`: `[N, M]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn matmul_nt(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    tensor_product(x, w, false, true)
}

/// `x . w` for `x` `[N, K]`, `w` `[K, M]`: `[N, M]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn matmul_nn(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    tensor_product(x, w, false, false)
}

/// `x^T . w` for `x` `[K, N]`, `w` `[K, M]`: `[N, M]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn matmul_tn(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    tensor_product(x, w, true, false)
}

fn tensor_product(
    x: &Tensor,
    w: &Tensor,
    x_transposed: bool,
    w_transposed: bool,
) -> Result<Tensor> {
    if !is_host_f32(x) || !is_host_f32(w) {
        let x = if x_transposed { x.t()? } else { x.clone() };
        let w = if w_transposed { w.t()? } else { w.clone() };
        return Ok(x.matmul(&w)?);
    }
    let (x, w) = (contiguous(x)?, contiguous(w)?);
    let (xs, ws) = (HostSlice::new(&x)?, HostSlice::new(&w)?);
    let (x_rows, x_cols) = x.dims2()?;
    let (w_rows, w_cols) = w.dims2()?;
    let (mut a, mut b) = (
        MatRef::new(&xs, x_rows, x_cols)?,
        MatRef::new(&ws, w_rows, w_cols)?,
    );
    if x_transposed {
        a = a.t();
    }
    if w_transposed {
        b = b.t();
    }
    let (rows, cols) = (a.rows, b.cols);
    tensor(product(a, Rhs::Dense(b), 1.0, None)?, (rows, cols))
}

pub(crate) mod bf16;
#[cfg(test)]
pub(crate) mod counter;
mod few;
pub(crate) mod tiled;
pub(crate) mod tiles;

#[cfg(test)]
mod tests;
