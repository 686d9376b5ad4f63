//! Safetensors weights: one file, or shards with an index, read through mappings.
//!
//! Goes in: a folder. Comes out: a [`TensorSource`] over all its tensors; each file's header is checked against the
//! file's size when it is opened, so a truncated download is found before anything is computed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use candle_core::DType;
use safetensors::tensor::{Dtype, Metadata, SafeTensors};

use super::encoded::{EncodedMatrix, RowOrder};
use super::encoding::Encoding;
use super::mapping::FileBytes;
use super::{TensorSource, shape_error};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::inventory::{self, Place};

/// One mapped file and its header.
struct Shard {
    path: PathBuf,
    bytes: FileBytes,
    /// Where the tensors' data begins.
    data: usize,
    header: Metadata,
}

impl Shard {
    fn open(path: &Path) -> Result<Self> {
        Self::of(path, FileBytes::open(path)?)
    }

    fn of(path: &Path, bytes: FileBytes) -> Result<Self> {
        let (header_len, header) = SafeTensors::read_metadata(&bytes).map_err(|e| {
            Error::file(
                path,
                format!("not a whole safetensors file ({e}); it may be truncated: get it again"),
            )
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            data: header_len + 8,
            bytes,
            header,
        })
    }
}

/// The safetensors weights of a Hugging Face folder.
pub struct SafetensorsFolder {
    shards: Vec<Shard>,
    place: HashMap<String, usize>,
}

pub(crate) const SINGLE: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";

impl SafetensorsFolder {
    /// Opens `model.safetensors`, or else the shards that `model.safetensors.index.json` lists.
    ///
    /// # Errors
    /// No weights, a missing or truncated shard, an index that names a tensor its shard does not have.
    pub fn open(folder: &Path) -> Result<Self> {
        let index = folder.join(INDEX);
        if folder.join(SINGLE).exists() {
            return Ok(Self::single(Shard::open(&folder.join(SINGLE))?));
        }
        Self::expect(folder)?;
        Self::open_sharded(folder, &index)
    }

    /// Checks that there is something to open, without opening it.
    ///
    /// # Errors
    /// No weights.
    pub(super) fn expect(folder: &Path) -> Result<()> {
        if [SINGLE, INDEX]
            .iter()
            .any(|file| folder.join(file).exists())
        {
            Ok(())
        } else {
            Err(Error::file(folder, no_weights(folder)))
        }
    }

    /// A `model.safetensors` that is part of the program; `name` is for messages.
    pub(super) fn embedded(name: &str, bytes: &'static [u8]) -> Result<Self> {
        let shard = Shard::of(Path::new(name), FileBytes::Embedded(bytes))?;
        Ok(Self::single(shard))
    }

    fn single(shard: Shard) -> Self {
        let names = shard.header.offset_keys().into_iter();
        Self {
            place: names.map(|name| (name, 0)).collect(),
            shards: vec![shard],
        }
    }

    fn open_sharded(folder: &Path, index: &Path) -> Result<Self> {
        let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (tensor, file) in weight_map(index)? {
            files.entry(file).or_default().push(tensor);
        }
        let mut shards = Vec::new();
        let mut place = HashMap::new();
        for (file, tensors) in files {
            let path = folder.join(&file);
            if !path.exists() {
                return Err(Error::file(
                    &path,
                    format!("missing, but {INDEX} lists it: the download is incomplete"),
                ));
            }
            let shard = Shard::open(&path)?;
            for tensor in tensors {
                if shard.header.info(&tensor).is_none() {
                    return Err(Error::tensor(
                        tensor,
                        format!(
                            "{INDEX} places it in {}, which does not have it",
                            path.display()
                        ),
                    ));
                }
                place.insert(tensor, shards.len());
            }
            shards.push(shard);
        }
        Ok(Self { shards, place })
    }

    /// The files' names and bytes, in order.
    pub(super) fn parts(&self) -> Vec<(&str, &[u8])> {
        self.shards
            .iter()
            .map(|s| {
                (
                    s.path
                        .file_name()
                        .and_then(|n| n.to_str())
                        .unwrap_or("weights"),
                    &s.bytes[..],
                )
            })
            .collect()
    }

    /// The tensor as the file has it: rows of its last axis.
    fn find(&self, name: &str, shape: &[usize]) -> Result<EncodedMatrix> {
        let found = self.place.get(name).and_then(|&i| {
            let shard = &self.shards[i];
            shard.header.info(name).map(|info| (shard, info))
        });
        let Some((shard, info)) = found else {
            return Err(Error::tensor(name, "missing from the safetensors files"));
        };
        if info.shape != shape {
            return Err(shape_error(name, &shard.path, &info.shape, shape));
        }
        let encoding = match info.dtype {
            Dtype::F32 => Encoding::F32,
            Dtype::F16 => Encoding::F16,
            Dtype::BF16 => Encoding::Bf16,
            other => {
                return Err(Error::tensor(
                    name,
                    format!(
                        "is of type {other:?} in {}; only F32, F16 and BF16 are supported",
                        shard.path.display()
                    ),
                ));
            }
        };
        let (from, to) = info.data_offsets;
        let row_len = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().rev().skip(1).product();
        EncodedMatrix::new(
            shard.bytes.clone(),
            shard.data + from..shard.data + to,
            encoding,
            (rows, row_len),
            RowOrder::Straight,
        )
        .ok_or_else(|| {
            Error::tensor(
                name,
                format!(
                    "its bytes in {} do not match its shape",
                    shard.path.display()
                ),
            )
        })
    }
}

/// The names of the weight files that an index lists, each once.
pub(super) fn indexed_files(index: &Path) -> Result<Vec<String>> {
    let mut files: Vec<String> = weight_map(index)?
        .into_iter()
        .map(|(_, file)| file)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

fn weight_map(index: &Path) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(index).map_err(|e| Error::io(index, e))?;
    let bad = |reason: &str| {
        Error::file(
            index,
            format!("{reason}; expected {{\"weight_map\": {{tensor: file}}}}"),
        )
    };
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| bad(&format!("not valid JSON ({e})")))?;
    let map = value
        .get("weight_map")
        .and_then(|m| m.as_object())
        .ok_or_else(|| bad("no `weight_map` object"))?;
    map.iter()
        .map(|(tensor, file)| {
            let file = file
                .as_str()
                .ok_or_else(|| bad(&format!("the file of `{tensor}` is not a string")))?;
            // Shards lie beside the index; anything else could reach outside the folder.
            if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\', ':']) {
                return Err(bad(&format!("`{file}` is not a plain file name")));
            }
            Ok((tensor.clone(), file.to_string()))
        })
        .collect()
}

fn no_weights(folder: &Path) -> String {
    let names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries
                .flatten()
                .filter_map(|e| e.file_name().into_string().ok())
                .collect()
        })
        .unwrap_or_default();
    let ends = |suffix: &str| names.iter().find(|n| n.ends_with(suffix));
    let hint = if names
        .iter()
        .any(|n| n.starts_with("model-") && n.ends_with(".safetensors"))
    {
        format!("there are shards but no {INDEX}: get that file as well")
    } else if let Some(bin) = ends(".bin")
        .or_else(|| ends(".pt"))
        .or_else(|| ends(".pth"))
    {
        format!(
            "`{bin}` is a pickled checkpoint: save the model as safetensors (`save_pretrained` does)"
        )
    } else if let Some(gguf) = ends(".gguf") {
        format!("name the file `{gguf}` itself to use it")
    } else {
        "is this the model's folder?".into()
    };
    format!("neither {SINGLE} nor {INDEX} is in this folder; {hint}")
}

impl TensorSource for SafetensorsFolder {
    fn stored_dtype(&self) -> Option<DType> {
        let known = [
            (Dtype::F32, DType::F32),
            (Dtype::F16, DType::F16),
            (Dtype::BF16, DType::BF16),
        ];
        let count = |dtype: Dtype| -> usize {
            let headers = self.shards.iter().map(|shard| shard.header.tensors());
            let infos = headers.flat_map(std::collections::HashMap::into_values);
            infos
                .filter(|info| info.dtype == dtype)
                .map(|info| info.shape.iter().product::<usize>())
                .sum()
        };
        let counts = known.map(|(stored, dtype)| (count(stored), dtype));
        let most = counts.into_iter().max_by_key(|(count, _)| *count)?;
        (most.0 > 0).then_some(most.1)
    }

    fn contains(&self, name: &str) -> bool {
        self.place.contains_key(name)
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.find(name, shape)?.read(name)
    }

    fn encoded(&self, name: &str, shape: &[usize]) -> Result<Option<EncodedMatrix>> {
        self.find(name, shape).map(Some)
    }

    /// Stored frequencies, which are computed anew, are no reason to refuse; a head beside a tied embedding is compared when the model
    /// is built.
    fn foreign(&self, config: &ModelConfig) -> Option<String> {
        let own: HashSet<String> = inventory::tensors(config)
            .into_iter()
            .map(|tensor| tensor.name)
            .chain([Place::Head.hf_name()])
            .collect();
        let harmless = |name: &str| own.contains(name) || name.ends_with(".rotary_emb.inv_freq");
        self.place
            .keys()
            .filter(|name| !harmless(name))
            .min()
            .cloned()
    }

    fn release(&self) {
        self.shards.iter().for_each(|shard| shard.bytes.release());
    }
}
