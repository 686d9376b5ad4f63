//! The reference's per-token log-probabilities: computed once per response, kept in a file keyed by content.
//!
//! Goes in: items and a function that scores a packed item. Comes out: for each item, each response's log-probabilities
//! `[T]`. Each item is scored by itself, so its bits do not depend on which others were at hand; a run that is killed
//! goes on behind the last whole record.
//!
//! File: `CDPOREF1`, then records `key [32] | count u32 | values f32 [count] | crc32c u32` (little endian), where the key is
//! the hash of the reference's identity, prefix, prompt and response.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::batch::{Packed, pack};
use crate::crc32c::crc32c;
use crate::error::{Error, Result};
use crate::example::Item;

const MAGIC: &[u8; 8] = b"CDPOREF1";

type Key = [u8; 32];

/// The file, read whole, open at its end.
#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
    file: File,
    known: HashMap<Key, Vec<f32>>,
}

impl Cache {
    /// Opens or creates the file; a torn last record is cut.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, "create the folder", e))?;
        }
        let io = |what| move |e| Error::io(path, what, e);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io("open the reference cache"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(io("read the reference cache"))?;
        let mut known = HashMap::new();
        let mut end = 0;
        if bytes.starts_with(MAGIC) {
            end = MAGIC.len();
            while let Some((key, values, next)) = record(&bytes, end) {
                known.insert(key, values);
                end = next;
            }
        } else if !MAGIC.starts_with(&bytes) {
            return Err(Error::file(
                path,
                "is not a cache of reference log-probabilities; remove it or name another file",
            ));
        }
        file.set_len(end as u64)
            .map_err(io("cut the reference cache"))?;
        file.seek(SeekFrom::End(0))
            .map_err(io("write the reference cache"))?;
        if end == 0 {
            file.write_all(MAGIC)
                .map_err(io("write the reference cache"))?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            known,
        })
    }

    fn insert(&mut self, key: Key, values: Vec<f32>) -> Result<()> {
        let mut bytes = Vec::with_capacity(40 + 4 * values.len());
        bytes.extend(key);
        bytes.extend((values.len() as u32).to_le_bytes());
        for v in &values {
            bytes.extend(v.to_le_bytes());
        }
        bytes.extend(crc32c(&bytes).to_le_bytes());
        self.file
            .write_all(&bytes)
            .map_err(|e| Error::io(&self.path, "write the reference cache", e))?;
        self.known.insert(key, values);
        Ok(())
    }
}

fn record(bytes: &[u8], at: usize) -> Option<(Key, Vec<f32>, usize)> {
    let key: Key = bytes.get(at..at + 32)?.try_into().ok()?;
    let count = u32::from_le_bytes(bytes.get(at + 32..at + 36)?.try_into().ok()?) as usize;
    let end = at + 36 + 4 * count;
    let sum = u32::from_le_bytes(bytes.get(end..end + 4)?.try_into().ok()?);
    if crc32c(&bytes[at..end]) != sum {
        return None;
    }
    let values = bytes[at + 36..end]
        .chunks_exact(4)
        .map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]))
        .collect();
    Some((key, values, end + 4))
}

fn key(reference: &str, prefix: &[u32], prompt: &[u32], response: &[u32]) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(reference.as_bytes());
    for ids in [prefix, prompt, response] {
        hasher.update(&(ids.len() as u64).to_le_bytes());
        for id in ids {
            hasher.update(&id.to_le_bytes());
        }
    }
    *hasher.finalize().as_bytes()
}

/// Log-probabilities of every response of every item; `None` if `progress(done, all)` stopped it.
///
/// `reference` identifies the reference model's content, `score` gives a packed item's log-probabilities in its targets'
/// order.
pub(crate) fn logps(
    items: &[Item],
    prefix: &[u32],
    reference: &str,
    path: &Path,
    mut score: impl FnMut(&Packed) -> Result<Vec<f32>>,
    mut progress: impl FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Option<Vec<Vec<Vec<f32>>>>> {
    let mut cache = Cache::open(path)?;
    let mut all = Vec::with_capacity(items.len());
    for (done, item) in items.iter().enumerate() {
        let keys: Vec<Key> = item
            .responses
            .iter()
            .map(|r| key(reference, prefix, &item.prompt, &r.ids))
            .collect();
        let kept: Option<Vec<Vec<f32>>> =
            keys.iter().map(|k| cache.known.get(k).cloned()).collect();
        let values = if let Some(values) = kept {
            values
        } else {
            let packed = pack([item], prefix);
            let flat = score(&packed)?;
            if let Some(x) = flat.iter().find(|x| !x.is_finite()) {
                return Err(Error::Example {
                    id: item.id.clone(),
                    reason: format!(
                        "the reference gives one of its tokens the log-probability {x}"
                    ),
                });
            }
            let values: Vec<Vec<f32>> = packed.spans[0]
                .iter()
                .map(|span| flat[span.clone()].to_vec())
                .collect();
            for (key, values) in keys.into_iter().zip(&values) {
                cache.insert(key, values.clone())?;
            }
            if progress(done + 1, items.len()).is_break() {
                return Ok(None);
            }
            values
        };
        all.push(values);
    }
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Response;

    fn items() -> Vec<Item> {
        let response = |ids: &[u32]| Response {
            ids: ids.to_vec(),
            weights: vec![1.0; ids.len()],
        };
        (0..5u32)
            .map(|i| Item {
                id: i.to_string(),
                source: i.into(),
                prompt: vec![1, i],
                responses: vec![response(&[i, 7]), response(&[9])],
            })
            .collect()
    }

    fn run(
        path: &Path,
        reference: &str,
        calls: &mut usize,
        stop_at: usize,
    ) -> Option<Vec<Vec<Vec<f32>>>> {
        let score = |packed: &Packed| {
            *calls += 1;
            Ok(packed
                .targets
                .iter()
                .map(|t| -(t.id as f32) - packed.forest.ids()[1] as f32 / 8.0)
                .collect())
        };
        let progress = |done, _| {
            if done == stop_at {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        logps(&items(), &[], reference, path, score, progress).unwrap()
    }

    #[test]
    fn what_is_known_is_not_computed_again_even_after_a_torn_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reference.bin");
        let mut calls = 0;
        assert!(run(&path, "base", &mut calls, 3).is_none());
        assert_eq!(calls, 3);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 2]).unwrap();
        let values = run(&path, "base", &mut calls, 99).unwrap();
        assert_eq!(calls, 3 + 3, "the torn item and the two new ones");
        assert_eq!(values[4], [vec![-4.5, -7.5], vec![-9.5]]);
        assert_eq!(run(&path, "base", &mut calls, 99).unwrap(), values);
        assert_eq!(calls, 6);
    }

    #[test]
    fn another_reference_is_computed_afresh() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reference.bin");
        let mut calls = 0;
        run(&path, "base", &mut calls, 99).unwrap();
        run(&path, "base and adapter", &mut calls, 99).unwrap();
        assert_eq!(calls, 10);
    }

    #[test]
    fn a_file_of_another_kind_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "precious").unwrap();
        assert!(
            Cache::open(&path)
                .unwrap_err()
                .to_string()
                .contains("is not a cache")
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
