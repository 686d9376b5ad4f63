//! What a run has cost so far.

use std::path::PathBuf;

use cdpo_data::artifact::{MANIFEST, Manifest};
use cdpo_report::{CostTable, StageCost};

use crate::run::Run;
use crate::stages::{self, eval_given, rollouts};

/// Seconds, tokens and memory of every finished stage, by its manifest: whatever command ran it, and the rollouts that came later.
pub(crate) fn costs(run: &Run) -> CostTable {
    let mut manifests: Vec<PathBuf> = stages::all(&run.recipe)
        .iter()
        // An adapter from elsewhere is no part of the run.
        .filter(|stage| stage.id != eval_given::id())
        .map(|stage| run.path(&stage.id, MANIFEST))
        .collect();
    for own in rollouts::OWN {
        for later in [own.to_owned(), rollouts::replacements(own)] {
            manifests.push(run.dir.join(later).join(MANIFEST));
        }
    }
    let cost = |path: &PathBuf| -> Option<StageCost> {
        // A stage that is not done, or whose manifest cannot be read, has no cost to tell.
        let manifest = Manifest::read(path).ok()?.ok()?;
        manifest.clock.finished.as_ref()?;
        let tokens = |name: &str| {
            let counted = manifest.counts.get(name);
            counted.and_then(serde_json::Value::as_u64)
        };
        Some(StageCost {
            seconds: manifest.clock.seconds,
            tokens_read: tokens("tokens_read"),
            tokens_generated: tokens("tokens_generated"),
            memory_expected: manifest.clock.memory.and_then(|m| m.expected),
            memory_seen: manifest.clock.memory.and_then(|m| m.seen),
            stage: manifest.stage,
        })
    };
    CostTable {
        stages: manifests.iter().filter_map(cost).collect(),
    }
}
