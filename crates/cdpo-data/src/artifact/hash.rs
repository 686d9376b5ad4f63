//! Content hashes (BLAKE3, 64 hexadecimal digits) of bytes, files, folders and JSON values.

use std::fs::File;
use std::path::Path;

use serde_json::Value;

use crate::{Error, Result};

/// The hash of some bytes.
pub(super) fn hash_bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The hash of a file's content.
///
/// # Errors
/// [`Error::Io`].
pub fn hash_file(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(file)
        .map_err(|e| Error::io(path, "read", e))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// The hash of a folder: of the relative paths and hashes of all files in it, in path order.
///
/// # Errors
/// [`Error::Io`].
pub fn hash_folder(path: impl AsRef<Path>) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for (name, hash) in files_in(path.as_ref())? {
        hasher
            .update(name.as_bytes())
            .update(b"\0")
            .update(hash.as_bytes())
            .update(b"\n");
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The hash of a JSON value, the same whatever the order of its keys.
pub fn hash_json(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    hash_bytes(text.as_bytes())
}

/// Relative path (with `/`) and hash of every file in a folder and below, in path order.
pub(super) fn files_in(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut pending = vec![(folder.to_path_buf(), String::new())];
    while let Some((dir, prefix)) = pending.pop() {
        let entries = std::fs::read_dir(&dir).map_err(|e| Error::io(&dir, "read", e))?;
        for entry in entries {
            let entry = entry.map_err(|e| Error::io(&dir, "read", e))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let path = entry.path();
            if path.is_dir() {
                pending.push((path, format!("{name}/")));
            } else {
                let hash = hash_file(&path)?;
                files.push((name, hash));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// JSON without white space and with keys in byte order.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}
