//! The parts of a split GGUF file, `NAME-00001-of-00003.gguf` and so on, as `llama-gguf-split` makes them.
//!
//! Goes in: the path of any part. Comes out: the files together; the first one's metadata is the model's. Each part's own account
//! (`split.no`, `split.count`, `split.tensors.count`) is checked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Part, Stored, TensorInfo, open_part};
use crate::error::{Error, Result};

/// Parts that no model has so many of.
const MAX_PARTS: usize = 1 << 14;

/// Opens all of `count` parts, of which the one at `path` says that there are so many.
///
/// # Errors
/// A name that is no part's, a missing part (by its name), parts that do not belong together.
pub(super) fn open(path: &Path, count: usize) -> Result<Stored> {
    let mut parts = Vec::new();
    let mut tensors: HashMap<String, TensorInfo> = HashMap::new();
    let mut first = None;
    let mut expected = None;
    for (number, path) in paths(path, count)?.into_iter().enumerate() {
        if !path.exists() {
            return Err(Error::file(
                &path,
                format!(
                    "missing: part {} of {count} of a split GGUF file; put all parts into one folder",
                    number + 1
                ),
            ));
        }
        let (part, header) = open_part(&path)?;
        let says = |key: &str| header.metadata.size(key);
        if says("split.count")? != Some(count) || says("split.no")? != Some(number) {
            return Err(Error::file(
                &path,
                format!(
                    "is named part {} of {count}, but its metadata says otherwise (split.no {:?}, split.count {:?}); get the parts again",
                    number + 1,
                    says("split.no")?,
                    says("split.count")?
                ),
            ));
        }
        expected = expected.or(says("split.tensors.count")?);
        for (name, info) in header.tensors {
            let info = TensorInfo {
                part: number,
                ..info
            };
            if let Some(other) = tensors.insert(name.clone(), info) {
                let other: &Part = &parts[other.part];
                return Err(Error::file(
                    &path,
                    format!(
                        "has `{name}`, which {} has too; get the parts again",
                        other.path.display()
                    ),
                ));
            }
        }
        first.get_or_insert(header.metadata);
        parts.push(part);
    }
    if let Some(expected) = expected.filter(|n| *n != tensors.len()) {
        return Err(Error::file(
            path,
            format!(
                "the parts hold {} tensors, but split.tensors.count is {expected}; get the parts again",
                tensors.len()
            ),
        ));
    }
    let metadata = first.ok_or_else(|| Error::file(path, "has no parts"))?;
    Ok(Stored {
        path: path.to_path_buf(),
        parts,
        metadata,
        tensors,
    })
}

/// The paths of all parts, in order.
fn paths(path: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let name = path.file_name().and_then(|name| name.to_str());
    match name.and_then(part_names).filter(|all| all.len() == count) {
        Some(all) => Ok(all.iter().map(|name| path.with_file_name(name)).collect()),
        None => Err(Error::file(
            path,
            format!(
                "one of {count} parts of a split GGUF file, but it is not named like one (NAME-00001-of-{count:05}.gguf), so the others \
                 cannot be found; give the parts their names back, or join them with `llama-gguf-split --merge`"
            ),
        )),
    }
}

/// The names of all parts, in order, if `name` is named like one of them.
pub(in super::super) fn part_names(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_suffix(".gguf")?;
    let (rest, of) = rest.rsplit_once("-of-")?;
    let (front, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(number) || !digits(of) {
        return None;
    }
    let (number, count): (usize, usize) = (number.parse().ok()?, of.parse().ok()?);
    let all = (1..=count).map(|n| format!("{front}-{n:05}-of-{of}.gguf"));
    ((1..=count).contains(&number) && count <= MAX_PARTS).then(|| all.collect())
}
