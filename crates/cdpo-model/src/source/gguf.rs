//! One GGUF file, or the parts of a split one: metadata, configuration and weights, read through mappings.
//!
//! Goes in: a path, which may be that of any part. Comes out: a [`GgufFile`] whose header has been checked against the file's size, and which hands
//! out weights under their Hugging Face names, with the q and k rows of llama files back in Hugging Face order.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::encoded::{EncodedMatrix, RowOrder};
use super::encoding::Encoding;
use super::files::{Location, ModelFiles, StoredWeights, WeightFiles};
use super::mapping::FileBytes;
use super::{TensorSource, content, shape_error};
use crate::block::description::BlockDescription;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::inventory::{self, Place};
use crate::tokenizer::Tokenizer;

mod config;
mod metadata;
mod reader;
mod split;

pub(crate) use metadata::Metadata;
use reader::Header;
pub(super) use split::part_names;

/// Divisors of the rotary frequencies.
const ROPE_FREQS: &str = "rope_freqs.weight";

/// What the header says of a tensor.
#[derive(Debug, Clone)]
struct TensorInfo {
    /// Row-major shape (GGUF stores it reversed).
    shape: Vec<usize>,
    /// GGML's type number; it may be one that is not supported, as long as the tensor is not read.
    kind: u32,
    /// First byte, from the start of its file.
    start: usize,
    /// Which of the files.
    part: usize,
}

/// One file.
struct Part {
    path: PathBuf,
    bytes: FileBytes,
}

/// The bytes and headers of a model's files, before its configuration is known.
struct Stored {
    /// What was named.
    path: PathBuf,
    /// In order; one, unless the file is split.
    parts: Vec<Part>,
    metadata: Metadata,
    tensors: HashMap<String, TensorInfo>,
}

/// Maps a file and reads its header.
fn open_part(path: &Path) -> Result<(Part, Header)> {
    let bytes = FileBytes::open(path)?;
    let header = reader::read_header(&bytes, path)?;
    for (name, info) in &header.tensors {
        check_extent(path, name, info, bytes.len())?;
    }
    let path = path.to_path_buf();
    Ok((Part { path, bytes }, header))
}

impl Stored {
    fn open(path: &Path) -> Result<Self> {
        let (part, header) = open_part(path)?;
        if let Some(count) = header.metadata.size("split.count")?.filter(|n| *n > 1) {
            return split::open(path, count);
        }
        Ok(Self {
            path: path.to_path_buf(),
            parts: vec![part],
            metadata: header.metadata,
            tensors: header.tensors,
        })
    }

    fn shape(&self, gguf_name: &str) -> Option<&[usize]> {
        self.tensors.get(gguf_name).map(|e| e.shape.as_slice())
    }

    /// The tensor stored as `gguf_name`; `heads` un-permutes the rows of that many rotary heads.
    fn find(
        &self,
        name: &str,
        gguf_name: &str,
        shape: &[usize],
        heads: Option<usize>,
    ) -> Result<EncodedMatrix> {
        let Some(info) = self.tensors.get(gguf_name) else {
            return Err(Error::tensor(
                name,
                format!("missing from {} (as `{gguf_name}`)", self.path.display()),
            ));
        };
        let Part { path, bytes } = &self.parts[info.part];
        if info.shape != shape {
            return Err(shape_error(name, path, &info.shape, shape));
        }
        let Some(encoding) = Encoding::from_ggml(info.kind) else {
            return Err(Error::tensor(
                name,
                format!(
                    "has GGML block type {} in {}, which is not supported; known are {}",
                    info.kind,
                    path.display(),
                    Encoding::known()
                ),
            ));
        };
        let elements: usize = shape.iter().product();
        // A permuted bias is a column of one-element rows; otherwise the last axis is contiguous.
        let row_len = if heads.is_some() && shape.len() == 1 {
            1
        } else {
            shape.last().copied().unwrap_or(1)
        };
        let rows = elements.checked_div(row_len).unwrap_or(0);
        let order = match heads {
            None => RowOrder::Straight,
            Some(heads) if heads > 0 && rows.is_multiple_of(2 * heads) => RowOrder::Interleaved {
                half: rows / heads / 2,
            },
            Some(heads) => {
                return Err(Error::tensor(
                    name,
                    format!("{rows} rows are not {heads} heads of even width"),
                ));
            }
        };
        let blocks = || {
            Error::tensor(
                name,
                format!("rows of {row_len} elements are no whole blocks"),
            )
        };
        let row_bytes = encoding.bytes(row_len).ok_or_else(blocks)?;
        let range = info.start..info.start + row_bytes * rows;
        EncodedMatrix::new(bytes.clone(), range, encoding, (rows, row_len), order)
            .ok_or_else(blocks)
    }
}

/// An open GGUF file with a supported model in it.
///
/// ```no_run
/// use cdpo_model::source::{GgufFile, TensorSource, expected_tensors};
///
/// # fn main() -> cdpo_model::Result<()> {
/// let file = GgufFile::open("model.gguf".as_ref())?;
/// for (name, shape) in expected_tensors(file.config()) {
///     println!("{name}: {} values", file.read(&name, &shape)?.len());
/// }
/// # Ok(())
/// # }
/// ```
pub struct GgufFile {
    stored: Stored,
    config: ModelConfig,
}

impl GgufFile {
    /// Opens the file, checks that it is whole, and reads its header and model configuration. Of a file that `llama-gguf-split` has
    /// split, any part may be named; the others lie beside it.
    ///
    /// # Errors
    /// A missing part; another magic or version, a truncated file, malformed or missing metadata, an unsupported architecture.
    pub fn open(path: &Path) -> Result<Self> {
        let stored = Stored::open(path)?;
        let config = config::read(&stored)?;
        Ok(Self { stored, config })
    }

    /// The model's configuration, from the metadata and the tensors present.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The tensor as the file has it, by its Hugging Face name.
    fn find(&self, name: &str, shape: &[usize]) -> Result<EncodedMatrix> {
        let Some(place) = Place::of(name) else {
            return Err(Error::tensor(
                name,
                "GGUF files of this family have no such tensor",
            ));
        };
        let heads = self.permuted_heads(place);
        self.stored.find(name, &place.gguf_name(), shape, heads)
    }

    /// Heads whose rows the file has in another order than Hugging Face, in the tensor at `place`.
    fn permuted_heads(&self, place: Place) -> Option<usize> {
        let (Place::Weight(_, projection) | Place::Bias(_, projection)) = place else {
            return None;
        };
        let block = BlockDescription::of(&self.config);
        let linear = block.linears().find(|l| l.projection == projection)?;
        let turns_neighbours = block.rope.gguf_turns_neighbours;
        linear.rotated_heads.filter(|_| turns_neighbours)
    }
}

fn check_extent(path: &Path, name: &str, info: &TensorInfo, file_len: usize) -> Result<()> {
    let Some(encoding) = Encoding::from_ggml(info.kind) else {
        return Ok(()); // reported with the tensor's name if it is ever read
    };
    let (row_len, rows) = match info.shape.split_last() {
        Some((&last, outer)) => (
            last,
            outer.iter().try_fold(1usize, |n, &d| n.checked_mul(d)),
        ),
        None => (1, Some(1)),
    };
    let size = rows.and_then(|rows| encoding.bytes(row_len)?.checked_mul(rows));
    let end = size.and_then(|size| size.checked_add(info.start));
    match end {
        None => Err(Error::file(
            path,
            format!(
                "tensor `{name}` of shape {:?} has rows of no whole number of blocks",
                info.shape
            ),
        )),
        Some(end) if end > file_len => Err(Error::file(
            path,
            format!(
                "truncated: tensor `{name}` reaches to byte {end}, the file has {file_len}; get the file again"
            ),
        )),
        Some(_) => Ok(()),
    }
}

impl TensorSource for GgufFile {
    fn contains(&self, name: &str) -> bool {
        Place::of(name).is_some_and(|place| self.stored.tensors.contains_key(&place.gguf_name()))
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.find(name, shape)?.read(name)
    }

    fn encoded(&self, name: &str, shape: &[usize]) -> Result<Option<EncodedMatrix>> {
        self.find(name, shape).map(Some)
    }

    fn foreign(&self, config: &ModelConfig) -> Option<String> {
        let own: HashSet<String> = inventory::tensors(config)
            .into_iter()
            .map(|tensor| tensor.place.gguf_name())
            .chain([ROPE_FREQS.to_owned()])
            .collect();
        let all = self.stored.tensors.keys();
        all.filter(|name| !own.contains(*name)).min().cloned()
    }

    fn release(&self) {
        self.stored
            .parts
            .iter()
            .for_each(|part| part.bytes.release());
    }
}

/// Opens configuration and tokenizer, which stand in the header.
pub(super) fn open(path: &Path, origin: String) -> Result<ModelFiles> {
    let GgufFile { stored, mut config } = GgufFile::open(path)?;
    let mut tokenizer = Tokenizer::from_gguf(&stored.metadata)?;
    tokenizer.complete(&mut config);
    config.validate(&origin)?;
    Ok(ModelFiles {
        config,
        tokenizer,
        origin,
        weights: WeightFiles(Location::Gguf(path.to_path_buf())),
    })
}

/// Bytes of the file, or of all parts.
pub(super) fn bytes(path: &Path) -> Option<u64> {
    let parts = Stored::open(path).ok()?.parts;
    Some(parts.iter().map(|part| part.bytes.len() as u64).sum())
}

/// Opens the weights, which are the whole file, or all parts.
pub(super) fn weights(path: &Path) -> Result<StoredWeights> {
    let file = GgufFile::open(path)?;
    let parts = file
        .stored
        .parts
        .iter()
        .map(|part| ("gguf", &part.bytes[..]));
    let content_id = content::id(&parts.collect::<Vec<_>>());
    Ok(StoredWeights {
        tensors: Box::new(file),
        content_id,
    })
}
