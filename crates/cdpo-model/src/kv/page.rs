//! A page's numbers, in one of two forms.

use candle_core::Device;
use serde::{Deserialize, Serialize};

use crate::ops::simd::pairs::{rounded, widened};

/// How keys and values are held while decoding, on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvForm {
    /// As computed.
    #[default]
    F32,
    /// Rounded to bf16: half the memory, eight bits of mantissa.
    Bf16,
}

impl KvForm {
    /// How they are held on `device`: off the CPU always as computed.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        if device.is_cpu() { self } else { Self::F32 }
    }

    /// Bytes of a number.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::Bf16 => size_of::<u16>(),
        }
    }
}

/// The numbers of a page.
#[derive(Debug, Clone)]
pub(super) enum Page {
    F32(Vec<f32>),
    Bf16(Vec<u16>),
}

impl Page {
    pub(super) fn zeros(form: KvForm, len: usize) -> Self {
        match form {
            KvForm::F32 => Self::F32(vec![0.0; len]),
            KvForm::Bf16 => Self::Bf16(vec![0; len]),
        }
    }

    /// Takes over another page's numbers.
    pub(super) fn copy_from(&mut self, other: &Self) {
        match (self, other) {
            (Self::F32(to), Self::F32(from)) => to.copy_from_slice(from),
            (Self::Bf16(to), Self::Bf16(from)) => to.copy_from_slice(from),
            (to, from) => *to = from.clone(),
        }
    }

    /// Writes `values` from `first` on, `step` apart.
    pub(super) fn write(&mut self, first: usize, step: usize, values: &[f32]) {
        match self {
            Self::F32(page) => {
                for (to, value) in page[first..].iter_mut().step_by(step).zip(values) {
                    *to = *value;
                }
            }
            Self::Bf16(page) => {
                for (to, value) in page[first..].iter_mut().step_by(step).zip(values) {
                    *to = rounded(*value);
                }
            }
        }
    }

    /// The `len` numbers from `first` on: where they are, or made f32 in `buffer`.
    pub(super) fn read<'a>(
        &'a self,
        first: usize,
        len: usize,
        buffer: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        match self {
            Self::F32(page) => &page[first..first + len],
            Self::Bf16(page) => {
                buffer.resize(len, 0.0);
                widened(&page[first..first + len], buffer);
                buffer
            }
        }
    }
}
