//! Samples drawn in parts on several machines: which questions are a part's, and the parts that a run's folder has been given.

use std::path::Path;

use cdpo_data::artifact::{MANIFEST, Manifest, StageDir, Status};
use cdpo_data::{OnBadRow, Trajectory, jsonl};
use cdpo_model::Key;
use serde_json::Value;

use crate::messages;
use crate::recipe::Shard;

/// Whether a question belongs to a part.
pub(super) fn is_of(shard: Shard, problem_id: &str) -> bool {
    let hash = Key::new(0).with_str(problem_id).bits();
    hash % u64::from(shard.of) == u64::from(shard.number - 1)
}

/// Whether a folder's name is that of a part of `stage`.
fn is_part(stage: &str, name: &str) -> bool {
    let rest = name
        .strip_prefix(stage)
        .and_then(|rest| rest.strip_prefix('.'));
    rest.is_some_and(|rest| rest.contains("-of-"))
}

/// Responses of all parts of the stage in `dir` that lie beside it and were drawn as it is; parts that were not are named and left.
pub(super) fn kept(dir: &StageDir, file: &str) -> anyhow::Result<Vec<Trajectory>> {
    let mut kept = Vec::new();
    let (Some(run), Some(stage)) = (dir.dir().parent(), dir.dir().file_name()) else {
        return Ok(kept);
    };
    let stage = stage.to_string_lossy();
    let Some(now) = manifest(dir.dir()) else {
        return Ok(kept);
    };
    let mut parts: Vec<_> = std::fs::read_dir(run)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            is_part(
                &stage,
                &path.file_name().unwrap_or_default().to_string_lossy(),
            )
        })
        .collect();
    parts.sort();
    for part in parts {
        let name = part
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(drawn) = manifest(&part).filter(|drawn| drawn.status == Status::Done) else {
            messages::warn(format_args!("{name} is not finished, and left out"));
            continue;
        };
        if fixed(&drawn) != fixed(&now) {
            messages::warn(format_args!(
                "{name} was drawn from other questions, with other settings or another model than {stage}, and is left out"
            ));
            continue;
        }
        let (responses, _): (Vec<Trajectory>, _) = jsonl::read(part.join(file), OnBadRow::Fail)?;
        messages::say(format_args!("{name}: {} responses", responses.len()));
        kept.extend(responses);
    }
    Ok(kept)
}

fn manifest(folder: &Path) -> Option<Manifest> {
    serde_json::from_slice(&std::fs::read(folder.join(MANIFEST)).ok()?).ok()
}

/// What must be the same for a part to be one.
fn fixed(manifest: &Manifest) -> Value {
    let mut settings = manifest.settings.clone();
    if let Some(settings) = settings.as_object_mut() {
        settings.remove("n");
        settings.remove("shard");
    }
    serde_json::json!([manifest.version, manifest.inputs, settings])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_of_one_part() {
        let mut sizes = [0; 8];
        for i in 0..800 {
            let id = format!("train/{i}");
            let parts = (1..=8).filter(|&number| is_of(Shard { number, of: 8 }, &id));
            let parts: Vec<u32> = parts.collect();
            assert_eq!(parts.len(), 1, "{id}");
            sizes[parts[0] as usize - 1] += 1;
        }
        assert!(sizes.iter().all(|&size| size > 60), "{sizes:?}");
    }

    #[test]
    fn a_part_is_known_by_its_name() {
        assert!(is_part("samples", "samples.2-of-8"));
        assert!(!is_part("samples", "samples") && !is_part("samples", "samples-2-of-8"));
    }
}
