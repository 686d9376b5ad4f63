//! A model's folder as Hugging Face tools read it: configuration and parameters in, `config.json` and safetensors files out.
//!
//! Values go to the disk as they come, so that no more than a part of one tensor need be in memory. One file of weights, or shards with
//! an index where there are more bytes than one shard may have.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_core::DType;
use half::{bf16, f16};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::inventory::{self, TensorSpec};
use crate::source::{INDEX, SINGLE};

/// Bytes of weights in a file, unless told otherwise: what `transformers` calls 5 GB.
pub const SHARD_BYTES: u64 = 5_000_000_000;

/// Values converted as one piece, in parallel with the others.
const PIECE: usize = 1 << 14;

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueType {
    F32,
    Bf16,
    F16,
}

impl ValueType {
    /// # Errors
    /// If a model is not saved in this type.
    pub(crate) fn of(dtype: DType) -> Result<Self> {
        match dtype {
            DType::F32 => Ok(Self::F32),
            DType::BF16 => Ok(Self::Bf16),
            DType::F16 => Ok(Self::F16),
            other => Err(Error::Invalid(format!(
                "a model is saved in bf16, f16 or f32, not {other:?}"
            ))),
        }
    }

    /// The nearest value of the type.
    pub(crate) fn round(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::Bf16 => bf16::from_f32(value).to_f32(),
            Self::F16 => f16::from_f32(value).to_f32(),
        }
    }

    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// The names in `config.json` and in safetensors headers.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::F32 => ("float32", "F32"),
            Self::Bf16 => ("bfloat16", "BF16"),
            Self::F16 => ("float16", "F16"),
        }
    }

    /// Puts the values' bytes into `out`, which they replace.
    ///
    /// # Errors
    /// A value that is not finite in this type; `name` is the tensor's.
    fn encode(self, name: &str, values: &[f32], out: &mut Vec<u8>) -> Result<()> {
        let size = self.size();
        out.resize(values.len() * size, 0);
        let pieces = out.par_chunks_mut(PIECE * size);
        let finite = pieces.zip(values.par_chunks(PIECE)).all(|(out, values)| {
            for (out, &value) in out.chunks_exact_mut(size).zip(values) {
                match self {
                    Self::F32 => out.copy_from_slice(&value.to_le_bytes()),
                    Self::Bf16 => out.copy_from_slice(&bf16::from_f32(value).to_le_bytes()),
                    Self::F16 => out.copy_from_slice(&f16::from_f32(value).to_le_bytes()),
                }
            }
            values.iter().all(|&value| self.round(value).is_finite())
        });
        if finite {
            return Ok(());
        }
        let wrong = values.iter().find(|&&value| !self.round(value).is_finite());
        Err(Error::tensor(
            name,
            format!(
                "has the value {}, which {} cannot hold; save in a type with more range",
                wrong.unwrap_or(&f32::NAN),
                self.names().0
            ),
        ))
    }
}

/// Takes the next values of a tensor, in the order of its rows.
pub(crate) type Sink<'a> = dyn FnMut(&[f32]) -> Result<()> + 'a;

/// Hands all values of a tensor to the sink, or ends the writing.
pub(crate) type Fill<'a> = dyn FnMut(&TensorSpec, &mut Sink<'_>) -> Result<ControlFlow<()>> + 'a;

/// Writes the folder `dir` of a model of this configuration; `fill` is asked for one tensor after the other. Files appear under their
/// names once they are whole, `config.json` last.
///
/// # Errors
/// If a file cannot be written, a value does not fit its type, or `fill` fails.
pub(crate) fn write(
    config: &ModelConfig,
    dir: &Path,
    values: ValueType,
    shard_bytes: u64,
    fill: &mut Fill<'_>,
) -> Result<ControlFlow<()>> {
    fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
    let shards = shards(inventory::tensors(config), values, shard_bytes);
    let count = shards.len();
    let mut map = Map::new();
    let mut total = 0;
    for (i, tensors) in shards.iter().enumerate() {
        let name = match count {
            1 => SINGLE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", i + 1),
        };
        if write_shard(&dir.join(&name), tensors, values, fill)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        for tensor in tensors {
            map.insert(tensor.name.clone(), name.clone().into());
            total += bytes(tensor, values);
        }
    }
    // What an earlier model left there would be read instead of this one.
    let (stale, index) = if count > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
        (SINGLE, Some(index))
    } else {
        (INDEX, None)
    };
    match fs::remove_file(dir.join(stale)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io(dir.join(stale), e));
        }
        _ => {}
    }
    if let Some(index) = index {
        write_json(&dir.join(INDEX), &index)?;
    }
    let mut written = config.to_hf_json()?;
    written["torch_dtype"] = values.names().0.into();
    write_json(&dir.join("config.json"), &written)?;
    Ok(ControlFlow::Continue(()))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, format!("{value:#}\n")).map_err(|e| Error::io(path, e))
}

fn bytes(tensor: &TensorSpec, values: ValueType) -> u64 {
    tensor.elements() * values.size() as u64
}

/// The tensors of each file, in order; a tensor larger than a shard has one of its own.
fn shards(tensors: Vec<TensorSpec>, values: ValueType, most: u64) -> Vec<Vec<TensorSpec>> {
    let mut shards: Vec<Vec<TensorSpec>> = vec![Vec::new()];
    let mut used = 0;
    for tensor in tensors {
        let size = bytes(&tensor, values);
        if used > 0 && used + size > most {
            shards.push(Vec::new());
            used = 0;
        }
        used += size;
        if let Some(last) = shards.last_mut() {
            last.push(tensor);
        }
    }
    shards
}

/// The head of a safetensors file: its length and, as JSON, where each tensor lies.
fn header(tensors: &[TensorSpec], values: ValueType) -> Vec<u8> {
    let mut map = Map::new();
    map.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut start = 0;
    for tensor in tensors {
        let end = start + bytes(tensor, values);
        let info = json!({ "dtype": values.names().1, "shape": tensor.shape, "data_offsets": [start, end] });
        map.insert(tensor.name.clone(), info);
        start = end;
    }
    let mut text = Value::Object(map).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes()[..], &text].concat()
}

fn write_shard(
    path: &Path,
    tensors: &[TensorSpec],
    values: ValueType,
    fill: &mut Fill<'_>,
) -> Result<ControlFlow<()>> {
    let partial: PathBuf = path.with_extension("safetensors.partial");
    let fault = |e| Error::io(&partial, e);
    let mut out = BufWriter::new(File::create(&partial).map_err(fault)?);
    out.write_all(&header(tensors, values)).map_err(fault)?;
    let mut encoded = Vec::new();
    for tensor in tensors {
        let mut given = 0;
        let flow = fill(tensor, &mut |part| {
            given += part.len() as u64;
            values.encode(&tensor.name, part, &mut encoded)?;
            out.write_all(&encoded).map_err(fault)
        })?;
        if flow.is_break() {
            return Ok(flow);
        }
        if given != tensor.elements() {
            return Err(Error::tensor(
                &tensor.name,
                format!(
                    "{given} values came to be written, {} are expected",
                    tensor.elements()
                ),
            ));
        }
    }
    let file = out.into_inner().map_err(|e| fault(e.into_error()))?;
    file.sync_all().map_err(fault)?;
    fs::rename(&partial, path).map_err(|e| Error::io(path, e))?;
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::inventory::Place;

    #[test]
    fn what_a_type_would_make_infinite_is_refused_by_name() {
        let mut out = Vec::new();
        for (values, value, fits) in [
            (ValueType::F16, 65519.0, true),
            (ValueType::F16, -65520.0, false),
            (ValueType::Bf16, 65520.0, true),
            (ValueType::Bf16, f32::MAX, false),
            (ValueType::F32, f32::MAX, true),
            (ValueType::F32, f32::NAN, false),
        ] {
            let encoded = values.encode("w", &[0.5, value], &mut out);
            assert_eq!(encoded.is_ok(), fits, "{values:?} {value}");
            if let Err(e) = encoded {
                let told = e.to_string();
                assert!(told.contains("`w`") && told.contains("range"), "{told}");
            }
        }
    }

    #[test]
    fn a_shard_is_filled_before_the_next_and_holds_a_larger_tensor_alone() {
        let tensor = |elements: usize| TensorSpec {
            place: Place::FinalNorm,
            name: String::new(),
            shape: vec![elements],
        };
        let sizes = |most| -> Vec<Vec<u64>> {
            let all = [4, 1, 9, 2, 2].map(tensor).to_vec();
            let shards = shards(all, ValueType::F32, most).into_iter();
            shards
                .map(|shard| shard.iter().map(TensorSpec::elements).collect())
                .collect()
        };
        assert_eq!(sizes(1000), [vec![4, 1, 9, 2, 2]]);
        assert_eq!(sizes(20), [vec![4, 1], vec![9], vec![2, 2]]);
        assert_eq!(sizes(1), [vec![4], vec![1], vec![9], vec![2], vec![2]]);
    }
}
