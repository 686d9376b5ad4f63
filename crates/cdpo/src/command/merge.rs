//! `cdpo merge`: a model and an adapter in, a folder of merged weights out, with every small file of the base.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cdpo_model::merge::Progress;
use cdpo_model::{Adapter, DType, Device, Merge, Products, Rounding};
use serde_json::Value;

use crate::args::{DtypeChoice, MergeArgs};
use crate::base_model::BaseModel;
use crate::interrupt;
use crate::messages::{self, out};
use crate::outcome::{Interrupted, Usage};
use crate::progress::ProgressLine;
use crate::recipe::ModelSection;
use crate::run::open_model;

/// Carries the command out: the folder appears under its name once it is whole.
pub(super) fn merge(args: &MergeArgs) -> anyhow::Result<()> {
    let (vocabulary, base) = open_model(
        &ModelSection {
            path: Some(args.model.clone()),
            ..ModelSection::default()
        },
        Products::Exact,
    )?;
    base.open()?;
    let partial = partial(&args.out)?;
    if partial.exists() {
        std::fs::remove_dir_all(&partial)
            .with_context(|| format!("{} cannot be removed", partial.display()))?;
    }
    let written = weights(args, &base, &partial).and_then(|()| match base.folder() {
        Some(folder) => keep_files(folder, &partial),
        None => Ok(vocabulary.tokenizer.save(&partial)?),
    });
    let placed = written.and_then(|()| place(&partial, &args.out));
    if let Err(e) = placed {
        // The error at hand says more than a failed clean-up would.
        let _ = std::fs::remove_dir_all(&partial);
        return Err(e);
    }
    out!("{}", args.out.display());
    Ok(())
}

/// Where the folder `out`, which is empty or not there, is put together.
fn partial(out: &Path) -> anyhow::Result<PathBuf> {
    let taken = out.exists()
        && std::fs::read_dir(out)
            .with_context(|| format!("{} cannot be read", out.display()))?
            .next()
            .is_some();
    let (Some(name), false) = (out.file_name(), taken) else {
        return Err(Usage(format!(
            "{} is {}; name a new folder",
            out.display(),
            if taken {
                "not empty"
            } else {
                "no folder's name"
            }
        ))
        .into());
    };
    Ok(out.with_file_name(format!(".{}.partial", name.to_string_lossy())))
}

/// Gives a finished folder its name.
fn place(partial: &Path, out: &Path) -> anyhow::Result<()> {
    let cannot = || format!("{} cannot be written", out.display());
    if out.exists() {
        std::fs::remove_dir(out).with_context(cannot)?;
    }
    std::fs::rename(partial, out).with_context(cannot)
}

/// Writes the merged weights and says what rounding has cost.
fn weights(args: &MergeArgs, base: &BaseModel, to: &Path) -> anyhow::Result<()> {
    let adapter = Adapter::load(&args.adapter, &base.config, &Device::Cpu)
        .with_context(|| format!("the adapter {} does not fit", args.adapter.display()))?;
    let dtype = match args.dtype {
        Some(DtypeChoice::Bf16) => DType::BF16,
        Some(DtypeChoice::F16) => DType::F16,
        Some(DtypeChoice::F32) => DType::F32,
        None => base.stored_dtype()?,
    };
    messages::say(format_args!("writing {} values", dtype.as_str()));
    let merge = Merge {
        config: &base.config,
        weights: base.weights()?,
        adapter: &adapter,
        dtype,
        shard_bytes: (args.shard_gb * 1e9) as u64,
    };
    let mut bar = None;
    let done = merge.write(to, &mut |at: Progress<'_>| {
        const MILLION: u64 = 1_000_000;
        let total = at.total / MILLION;
        bar.get_or_insert_with(|| ProgressLine::new("merged", 0, total))
            .at(at.done / MILLION, || {
                format!("million values, {}", at.tensor)
            });
        interrupt::flow()
    })?;
    drop(bar);
    let Some(rounding) = done else {
        return Err(Interrupted.into());
    };
    if let Some(told) = told(&rounding, dtype.as_str()) {
        if rounding.error > 0.5 * rounding.update {
            messages::warn(format_args!("{told}; `--dtype f32` keeps the update"));
        } else {
            messages::say(told);
        }
    }
    Ok(())
}

/// What rounding has cost; nothing if no value was rounded.
fn told(rounding: &Rounding, dtype: &str) -> Option<String> {
    let percent = |share: f64| format!("{:.3} %", 100.0 * share);
    let values = format!(
        "rounding to {dtype} changes a value by {} at most, {} on average",
        percent(rounding.largest),
        percent(rounding.mean)
    );
    if rounding.largest == 0.0 {
        return None;
    }
    if rounding.update == 0.0 {
        return Some(values);
    }
    Some(format!(
        "{values}; what is added to the base has {} of the update's norm, and differs from the update by {} of it",
        percent(rounding.kept / rounding.update),
        percent(rounding.error / rounding.update)
    ))
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
    fn what_rounding_costs_is_told_where_there_is_a_cost() {
        let exact = Rounding {
            update: 2.0,
            kept: 2.0,
            ..Rounding::default()
        };
        assert_eq!(told(&exact, "f32"), None);
        let lost = Rounding {
            largest: 0.0039,
            mean: 0.001,
            kept: 1.0,
            error: 1.5,
            ..exact
        };
        let text = told(&lost, "bf16").unwrap_or_default();
        for part in ["bf16", "0.390 %", "0.100 %", "50.000 %", "75.000 %"] {
            assert!(text.contains(part), "{text}");
        }
        let plain = Rounding {
            update: 0.0,
            ..lost
        };
        let text = told(&plain, "bf16").unwrap_or_default();
        assert!(text.ends_with("on average"), "{text}");
    }

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
