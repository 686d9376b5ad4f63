//! The GGUF header: magic, version, metadata and tensor entries, every length checked against the file.

use std::collections::HashMap;
use std::path::Path;

use super::TensorInfo;
use super::metadata::{Metadata, Value};
use crate::error::{Error, Result};

pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) tensors: HashMap<String, TensorInfo>,
}

/// A position in the header; each read checks that the bytes are there.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    path: &'a Path,
}

/// Arrays in arrays: GGUF allows them, models use one level.
const MAX_NESTING: usize = 4;
const MAX_DIMENSIONS: u32 = 8;

impl<'a> Cursor<'a> {
    fn take(&mut self, n: u64, what: &str) -> Result<&'a [u8]> {
        let end = usize::try_from(n).ok().and_then(|n| self.at.checked_add(n));
        let Some(slice) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            return Err(Error::file(
                self.path,
                format!(
                    "truncated or damaged: {what} at byte {} needs {n} bytes, {} are left; get the file again",
                    self.at,
                    self.bytes.len() - self.at
                ),
            ));
        };
        self.at += slice.len();
        Ok(slice)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64, what)?);
        Ok(out)
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn text(&mut self, what: &str) -> Result<String> {
        let len = self.u64(what)?;
        let start = self.at;
        let bytes = self.take(len, what)?;
        std::str::from_utf8(bytes).map(str::to_string).map_err(|_| {
            Error::file(
                self.path,
                format!("damaged: {what} at byte {start} is not UTF-8"),
            )
        })
    }

    fn value(&mut self, kind: u32, key: &str, depth: usize) -> Result<Value> {
        Ok(match kind {
            0 => Value::Unsigned(u64::from(self.array::<1>(key)?[0])),
            1 => Value::Signed(i64::from(i8::from_le_bytes(self.array(key)?))),
            2 => Value::Unsigned(u64::from(u16::from_le_bytes(self.array(key)?))),
            3 => Value::Signed(i64::from(i16::from_le_bytes(self.array(key)?))),
            4 => Value::Unsigned(u64::from(self.u32(key)?)),
            5 => Value::Signed(i64::from(i32::from_le_bytes(self.array(key)?))),
            6 => Value::Float(shortest(f32::from_le_bytes(self.array(key)?))),
            7 => Value::Flag(self.array::<1>(key)?[0] != 0),
            8 => Value::Text(self.text(key)?),
            9 if depth < MAX_NESTING => {
                let inner = self.u32(key)?;
                let count = self.u64(key)?;
                // An element takes at least a byte, so a count beyond the file's end is found before it is reserved.
                let left = (self.bytes.len() - self.at) as u64;
                if count > left {
                    return Err(Error::file(
                        self.path,
                        format!(
                            "truncated or damaged: `{key}` claims {count} elements, {left} bytes are left; get the file again"
                        ),
                    ));
                }
                let mut list = Vec::new();
                for _ in 0..count {
                    list.push(self.value(inner, key, depth + 1)?);
                }
                Value::List(list)
            }
            10 => Value::Unsigned(self.u64(key)?),
            11 => Value::Signed(i64::from_le_bytes(self.array(key)?)),
            12 => Value::Float(f64::from_le_bytes(self.array(key)?)),
            other => {
                return Err(Error::file(
                    self.path,
                    format!("damaged: metadata `{key}` has the unknown type {other}"),
                ));
            }
        })
    }
}

/// The f64 that an f32 was most likely written as: 1e-6 and not 9.999999974752427e-7, as a config.json has it.
fn shortest(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

pub(super) fn read_header(bytes: &[u8], path: &Path) -> Result<Header> {
    let mut cursor = Cursor { bytes, at: 0, path };
    let magic: [u8; 4] = cursor.array("the magic number")?;
    if &magic != b"GGUF" {
        return Err(Error::file(
            path,
            format!(
                "not a GGUF file: it begins with {magic:02x?}; name a GGUF file or a Hugging Face folder"
            ),
        ));
    }
    let version = cursor.u32("the version")?;
    if !(2..=3).contains(&version) {
        return Err(Error::file(
            path,
            if (1..=3).contains(&version.swap_bytes()) {
                "a big-endian GGUF file, which is not supported; convert it with the gguf package: `gguf-convert-endian FILE little`".into()
            } else {
                format!("GGUF version {version} is not supported; known are 2 and 3")
            },
        ));
    }
    let tensor_count = cursor.u64("the number of tensors")?;
    let value_count = cursor.u64("the number of metadata entries")?;
    let mut values = HashMap::new();
    for _ in 0..value_count {
        let key = cursor.text("a metadata key")?;
        let kind = cursor.u32(&key)?;
        let value = cursor.value(kind, &key, 0)?;
        values.insert(key, value);
    }
    let metadata = Metadata::new(path, values);

    let mut tensors = HashMap::new();
    for _ in 0..tensor_count {
        let name = cursor.text("a tensor name")?;
        let dimensions = cursor.u32(&name)?;
        if dimensions > MAX_DIMENSIONS {
            return Err(Error::file(
                path,
                format!("damaged: tensor `{name}` has {dimensions} dimensions"),
            ));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(cursor.u64(&name)? as usize);
        }
        shape.reverse();
        let kind = cursor.u32(&name)?;
        let offset = cursor.u64(&name)? as usize;
        tensors.insert(
            name,
            TensorInfo {
                shape,
                kind,
                start: offset,
                part: 0,
            },
        );
    }
    let alignment = metadata.size("general.alignment")?.unwrap_or(32);
    if alignment == 0 {
        return Err(Error::file(path, "metadata `general.alignment` is 0"));
    }
    let data = cursor.at.checked_next_multiple_of(alignment);
    for (name, info) in &mut tensors {
        info.start = data
            .and_then(|data| data.checked_add(info.start))
            .ok_or_else(|| {
                Error::file(
                    path,
                    format!("damaged: the offset of tensor `{name}` is too large"),
                )
            })?;
    }
    Ok(Header { metadata, tensors })
}
