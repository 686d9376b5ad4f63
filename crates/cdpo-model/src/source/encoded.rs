//! A matrix that stays as its file has it: encoded rows in a mapping, decoded a tile at a time or as a whole.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::encoding::{self, Encoding};
use super::mapping::FileBytes;
use crate::error::Result;
use crate::ops::gemm::tiles::Tiles;
use crate::ops::simd::{pairs, prefetch};

/// Where the file keeps a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowOrder {
    /// In its place.
    Straight,
    /// As GGUF's llama files keep q and k, with heads of `2 * half` rows; see [`interleaved_row`].
    Interleaved { half: usize },
}

/// A matrix `[rows, row_len]` whose rows are whole blocks of one encoding.
#[derive(Clone)]
pub struct EncodedMatrix {
    bytes: FileBytes,
    start: usize,
    row_bytes: usize,
    shape: (usize, usize),
    encoding: Encoding,
    order: RowOrder,
}

impl EncodedMatrix {
    /// The matrix at `range` of a file; `None` if the range is not there or holds other than `shape`.
    pub(crate) fn new(
        bytes: FileBytes,
        range: Range<usize>,
        encoding: Encoding,
        shape: (usize, usize),
        order: RowOrder,
    ) -> Option<Self> {
        let row_bytes = encoding.bytes(shape.1)?;
        let whole = bytes.get(range.clone())?;
        (Some(whole.len()) == row_bytes.checked_mul(shape.0)).then_some(Self {
            start: range.start,
            bytes,
            row_bytes,
            shape,
            encoding,
            order,
        })
    }

    /// `values` `[rows, row_len]` rounded to bf16, in memory.
    pub(crate) fn rounded(values: &[f32], shape: (usize, usize)) -> Self {
        let mut bytes = vec![0; 2 * values.len()];
        bytes
            .par_chunks_mut(2 * PIECE)
            .zip(values.par_chunks(PIECE))
            .for_each(|(to, from)| pairs::round_bytes(from, to));
        Self {
            bytes: FileBytes::Made(Arc::new(bytes)),
            start: 0,
            row_bytes: 2 * shape.1,
            shape,
            encoding: Encoding::Bf16,
            order: RowOrder::Straight,
        }
    }

    /// Whether its elements are stored as bf16.
    pub(crate) fn is_bf16(&self) -> bool {
        self.encoding == Encoding::Bf16
    }

    /// The whole matrix, row-major, decoded in parallel.
    ///
    /// # Errors
    /// An element that is not finite; `name` is the tensor's.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<f32>> {
        encoding::decode_rows(name, self.shape, |row, out| {
            self.row(row, 0..self.shape.1, out);
        })
    }

    /// Checks that every element is finite, without decoding any; once for a mapped file, however often the model is loaded.
    ///
    /// # Errors
    /// As [`EncodedMatrix::read`].
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        let whole = self.start..self.start + self.shape.0 * self.row_bytes;
        self.bytes.scan_once(whole, |bytes| {
            if self.encoding.all_finite(bytes) {
                return Ok(());
            }
            // Decoding finds the place.
            self.read(name).map(|_| ())
        })
    }

    /// Decodes part of a row; `columns` begins and ends at a whole block.
    pub(crate) fn row(&self, row: usize, columns: Range<usize>, out: &mut [f32]) {
        assert!(columns.end <= self.shape.1);
        let (len, size) = self.encoding.block();
        let (from, to) = (columns.start / len * size, columns.end / len * size);
        self.encoding.decode(&self.stored_row(row)[from..to], out);
    }

    /// Asks for the bytes of part of a row, which will be decoded soon.
    fn prefetch(&self, row: usize, columns: &Range<usize>) {
        if row < self.shape.0 {
            let (len, size) = self.encoding.block();
            let (from, to) = (columns.start / len * size, columns.end / len * size);
            prefetch(&self.stored_row(row)[from..to]);
        }
    }

    /// The bytes of a row.
    fn stored_row(&self, row: usize) -> &[u8] {
        let stored = match self.order {
            RowOrder::Straight => row,
            RowOrder::Interleaved { half } => interleaved_row(row, half),
        };
        assert!(stored < self.shape.0);
        &self.bytes[self.start + stored * self.row_bytes..][..self.row_bytes]
    }
}

impl Tiles for EncodedMatrix {
    fn shape(&self) -> (usize, usize) {
        self.shape
    }

    fn column_step(&self) -> usize {
        self.encoding.block().0
    }

    fn tile(&self, rows: Range<usize>, columns: Range<usize>, tile: &mut [f32]) {
        for (row, out) in rows.zip(tile.chunks_exact_mut(columns.len())) {
            self.row(row, columns.clone(), out);
            self.ask(row, &columns);
        }
    }

    fn half_row(&self, row: usize) -> Option<&[u8]> {
        self.is_bf16().then(|| self.stored_row(row))
    }

    fn ask(&self, row: usize, columns: &Range<usize>) {
        self.prefetch(row + AHEAD, columns);
    }

    fn halves(&self, row: usize, columns: Range<usize>, out: &mut [u8]) {
        // Whole blocks of every encoding.
        let mut decoded = [0.0; 256];
        let end = columns.end;
        for (from, out) in columns.step_by(256).zip(out.chunks_mut(512)) {
            let decoded = &mut decoded[..out.len() / 2];
            self.row(row, from..(from + 256).min(end), decoded);
            pairs::round_bytes(decoded, out);
        }
    }
}

/// How many rows ahead bytes are asked for while a tile is decoded: the parts of rows that a tile takes are too short for the
/// processor to guess the next ones.
const AHEAD: usize = 32;

/// About how many elements one thread rounds at a time.
const PIECE: usize = 1 << 16;

impl std::fmt::Debug for EncodedMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rows, row_len) = self.shape;
        write!(f, "EncodedMatrix[{rows} x {row_len}, {:?}]", self.encoding)
    }
}

/// Where llama GGUF files keep a row of q or k.
///
/// Hugging Face rotates element `i` of a head with element `i + half`; GGUF's llama rotates neighbours, so its
/// converter moved row `(part, i)` of each head, `part` in 0..2, to row `(i, part)`.
fn interleaved_row(row: usize, half: usize) -> usize {
    let (head, within) = (row / (2 * half), row % (2 * half));
    head * 2 * half + 2 * (within % half) + within / half
}

#[cfg(test)]
pub(crate) mod tests {
    use half::{bf16, f16};

    use super::*;
    use crate::keyed::Key;

    #[test]
    fn unpermuting_inverts_the_converters_reshape_and_swap() {
        // The converter: rows [heads, 2, half] -> [heads, half, 2]. Apply it to row numbers, then read them back.
        let (heads, half) = (3, 4);
        let mut stored = Vec::new();
        for head in 0..heads {
            for i in 0..half {
                for part in 0..2 {
                    stored.push(head * 2 * half + part * half + i);
                }
            }
        }
        let read: Vec<usize> = (0..stored.len())
            .map(|row| stored[super::interleaved_row(row, half)])
            .collect();
        assert_eq!(read, (0..stored.len()).collect::<Vec<_>>());
    }

    /// Each encoding with a matrix of random blocks.
    pub(crate) fn random(
        rows: usize,
        row_len: usize,
        seed: u64,
        order: RowOrder,
    ) -> Vec<(&'static str, EncodedMatrix)> {
        let every = Encoding::ALL.into_iter();
        every
            .map(|(id, encoding, name)| {
                let key = Key::new(seed).with(u64::from(id));
                let bytes = encoding.bytes(rows * row_len).unwrap();
                let mut file: Vec<u8> = (0..bytes as u64)
                    .map(|i| (key.with(i).unit() * 256.0) as u8)
                    .collect();
                let number = |i: usize| key.with_str("number").with(i as u64).unit() - 0.5;
                let (_, size) = encoding.block();
                for (i, block) in file.chunks_exact_mut(size).enumerate() {
                    match encoding {
                        Encoding::F32 => block.copy_from_slice(&(number(i) as f32).to_le_bytes()),
                        Encoding::Bf16 => {
                            block.copy_from_slice(&bf16::from_f64(number(i)).to_le_bytes());
                        }
                        Encoding::F16 => {
                            block.copy_from_slice(&f16::from_f64(number(i)).to_le_bytes());
                        }
                        _ => {
                            for &at in encoding.scales() {
                                let scale = f16::from_f64(0.01 * number(i + at));
                                block[at..at + 2].copy_from_slice(&scale.to_le_bytes());
                            }
                        }
                    }
                }
                let file = FileBytes::Embedded(Box::leak(file.into_boxed_slice()));
                let shape = (rows, row_len);
                let matrix = EncodedMatrix::new(file, 0..bytes, encoding, shape, order);
                (name, matrix.unwrap())
            })
            .collect()
    }

    #[test]
    fn tiles_are_parts_of_the_whole_in_the_order_of_its_rows() {
        for order in [RowOrder::Straight, RowOrder::Interleaved { half: 3 }] {
            for (name, matrix) in random(12, 768, 1, order) {
                let whole = matrix.read("w").unwrap();
                let mut tile = vec![f32::NAN; 5 * 512];
                matrix.tile(4..9, 256..768, &mut tile);
                for (i, tile) in tile.chunks_exact(512).enumerate() {
                    assert_eq!(
                        tile,
                        &whole[(4 + i) * 768 + 256..][..512],
                        "{name} {order:?}"
                    );
                }
            }
        }
        let of = |order| random(12, 256, 1, order).remove(0).1.read("w").unwrap();
        let straight = of(RowOrder::Straight);
        let interleaved = of(RowOrder::Interleaved { half: 3 });
        for row in 0..12 {
            let stored = interleaved_row(row, 3);
            assert_eq!(
                interleaved[row * 256..][..256],
                straight[stored * 256..][..256]
            );
        }
    }

    #[test]
    fn a_range_that_is_not_there_or_does_not_fit_is_none() {
        let file = FileBytes::Embedded(&[0; 64]);
        let of = |range, shape| {
            EncodedMatrix::new(
                file.clone(),
                range,
                Encoding::F32,
                shape,
                RowOrder::Straight,
            )
        };
        assert!(of(0..64, (4, 4)).is_some());
        for (range, shape) in [
            (0..68, (4, 4)),
            (4..64, (4, 4)),
            (0..64, (4, 3)),
            (0..64, (usize::MAX, 4)),
        ] {
            assert!(of(range.clone(), shape).is_none(), "{range:?} {shape:?}");
        }
    }

    #[test]
    fn a_value_that_is_not_finite_is_found_where_it_is() {
        let mut values = [1.0f32; 16];
        values[6] = f32::NAN;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let file = FileBytes::Embedded(Box::leak(bytes.into_boxed_slice()));
        let matrix = EncodedMatrix::new(file, 0..64, Encoding::F32, (4, 4), RowOrder::Straight);
        let error = matrix.unwrap().check("w").unwrap_err().to_string();
        assert!(
            error.contains("`w`") && error.contains("[1, 2] is NaN"),
            "{error}"
        );
    }
}
