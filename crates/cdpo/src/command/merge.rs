//! `cdpo merge`: a model and an adapter in, a folder of merged weights out, with every small file of the base.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cdpo_model::{DType, Products};
use serde_json::Value;

use crate::args::{DtypeChoice, MergeArgs};
use crate::messages::{self, out};
use crate::outcome::Usage;
use crate::recipe::ModelSection;
use crate::run::open_model;

/// Carries the command out.
pub(super) fn merge(args: &MergeArgs) -> anyhow::Result<()> {
    let (vocabulary, base) = open_model(
        &ModelSection {
            path: Some(args.model.clone()),
            ..ModelSection::default()
        },
        Products::Exact,
    )?;
    base.open()?;
    let taken = args.out.exists()
        && std::fs::read_dir(&args.out)
            .with_context(|| format!("{} cannot be read", args.out.display()))?
            .next()
            .is_some();
    if taken {
        return Err(Usage(format!(
            "{} is not empty; name a new folder",
            args.out.display()
        ))
        .into());
    }
    let mut model = base.load_f32()?;
    let adapter = base
        .adapter(&args.adapter)
        .with_context(|| format!("the adapter {} does not fit", args.adapter.display()))?;
    model.merge(&adapter)?;
    let dtype = match args.dtype {
        Some(DtypeChoice::Bf16) => DType::BF16,
        Some(DtypeChoice::F16) => DType::F16,
        Some(DtypeChoice::F32) => DType::F32,
        None => base.stored_dtype()?,
    };
    messages::say(format_args!("writing {} values", dtype.as_str()));
    model.save_as(&args.out, dtype)?;
    match base.folder() {
        Some(folder) => keep_files(folder, &args.out)?,
        None => vocabulary.tokenizer.save(&args.out)?,
    }
    out!("{}", args.out.display());
    Ok(())
}

const CONFIG: &str = "config.json";
/// transformers' folder of further chat templates.
const TEMPLATES: &str = "additional_chat_templates";
/// What holds weights, in any form.
const WEIGHTS: [&str; 9] = [
    "safetensors",
    "bin",
    "pt",
    "pth",
    "gguf",
    "h5",
    "msgpack",
    "onnx",
    "ckpt",
];
/// No file of a model that says how to use it is larger.
const SMALL: u64 = 256 << 20;

/// Copies what the base has beside its weights, as it is; in `config.json` the values' type is the merged one's.
fn keep_files(base: &Path, out: &Path) -> anyhow::Result<()> {
    for path in files(base)? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name == CONFIG || is_weights(name) {
            continue;
        }
        let size = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        if size > SMALL {
            messages::warn(format_args!(
                "{} is not copied: it has {} MiB, more than files about a model have",
                path.display(),
                size >> 20
            ));
            continue;
        }
        copy(&path, &out.join(name))?;
    }
    let templates = base.join(TEMPLATES);
    if templates.is_dir() {
        let to = out.join(TEMPLATES);
        std::fs::create_dir_all(&to).with_context(|| format!("{} cannot be made", to.display()))?;
        for path in files(&templates)? {
            copy(&path, &to.join(path.file_name().unwrap_or_default()))?;
        }
    }
    keep_config(base, out)
}

fn is_weights(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| WEIGHTS.contains(&e))
        || name.ends_with(".index.json")
        || name.starts_with("adapter_")
}

/// The base's configuration as it is, but for the type of the values and whether the head is the embedding.
fn keep_config(base: &Path, out: &Path) -> anyhow::Result<()> {
    let read = |folder: &Path| -> anyhow::Result<Value> {
        let path = folder.join(CONFIG);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    };
    let (mut config, written) = (read(base)?, read(out)?);
    let dtype = written["torch_dtype"].clone();
    // transformers 5 writes `dtype`, versions before it `torch_dtype`.
    let mut keys: Vec<&str> = ["dtype", "torch_dtype"].into();
    keys.retain(|key| config.get(*key).is_some());
    for key in if keys.is_empty() {
        vec!["torch_dtype"]
    } else {
        keys
    } {
        config[key] = dtype.clone();
    }
    // An adapter may have untied the head; a base's file may say that it is tied where it is not.
    if config.get("tie_word_embeddings").is_some() || written["tie_word_embeddings"] == true {
        config["tie_word_embeddings"] = written["tie_word_embeddings"].clone();
    }
    let path = out.join(CONFIG);
    std::fs::write(&path, format!("{config:#}\n"))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The files of a folder, in order of name.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("{} cannot be read", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        // A link counts as what it leads to: hub caches are made of links.
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Copies content alone: a file of a read-only base is writable.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bytes =
        std::fs::read(from).with_context(|| format!("{} cannot be read", from.display()))?;
    std::fs::write(to, bytes).with_context(|| format!("{} cannot be written", to.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_head_that_is_no_longer_the_embedding_is_said_in_the_configuration() {
        let config = |tied: Value, dtype: &str| {
            let dir = tempfile::tempdir().unwrap();
            let text = json!({ "tie_word_embeddings": tied, "torch_dtype": dtype, "own": 1 });
            std::fs::write(dir.path().join(CONFIG), text.to_string()).unwrap();
            dir
        };
        let read = |dir: &Path| -> Value {
            serde_json::from_str(&std::fs::read_to_string(dir.join(CONFIG)).unwrap()).unwrap()
        };
        for (base, merged) in [(true, false), (true, true), (false, false)] {
            let base = config(base.into(), "bfloat16");
            let out = config(merged.into(), "float32");
            keep_config(base.path(), out.path()).unwrap();
            let expected =
                json!({ "tie_word_embeddings": merged, "torch_dtype": "float32", "own": 1 });
            assert_eq!(read(out.path()), expected);
        }
    }
}
