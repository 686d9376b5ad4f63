//! What a recipe will take: a recipe and a model's configuration go in; tokens, operations, memory and time of each stage on some
//! hardware come out. No weights are needed and nothing is run but, for this machine, a short measurement.

mod assumptions;
mod hardware;
mod measure;

use std::collections::BTreeSet;

use cdpo_model::source::Outline;
use cdpo_model::{ModelConfig, ModelCost, WeightForm};
use cdpo_report::plan_table::{ModelFacts, PlanTable, PlannedStage};

use crate::base_model;
use crate::pipeline;
use crate::recipe::Recipe;
use crate::stage::Stage;
use crate::stages::table;
use crate::workload::{self, Kind, Known, Workload};

pub(crate) use assumptions::{Assumptions, Wanted, assume};
pub(crate) use hardware::Hardware;

/// Plans every stage of a recipe.
pub(crate) fn of(
    recipe: &Recipe,
    outline: &Outline,
    assumed: &Assumptions,
    hardware: &Hardware,
) -> anyhow::Result<PlanTable> {
    let config = &outline.config;
    let known = Known {
        recipe,
        config,
        form: if hardware.narrow {
            WeightForm::F32
        } else {
            base_model::form(config, recipe.model.weights)
        },
        rounds: !hardware.narrow && recipe.run.products.unit().is_some(),
        stored: outline.stored_bytes,
        lengths: assumed.lengths,
        amounts: assumed.amounts,
    };
    let mut references = BTreeSet::new();
    let mut stages = Vec::new();
    for stage in pipeline::stages_for(recipe, &[table::id()])? {
        let reference = stage
            .training
            .as_ref()
            .is_some_and(|training| training.settings.method.takes_pairs())
            && references.insert(
                stage
                    .training
                    .as_ref()
                    .and_then(|t| t.under.as_ref())
                    .is_some(),
            );
        let workload = workload::of(&stage, &known, reference)?;
        let mut whole = planned(&stage, &workload, &known, hardware);
        if !stage.id.shared && recipe.run.seeds > 1 {
            // The base's log-probabilities are the same for every seed.
            let own = stage.training.as_ref().is_some_and(|t| t.under.is_some());
            let workload = workload::of(&stage, &known, reference && own)?;
            let seed = planned(&stage, &workload, &known, hardware);
            repeat(&mut whole, &seed, recipe.run.seeds - 1);
        }
        stages.push(whole);
    }
    let mut table = PlanTable {
        model: facts(&outline.origin, config, &known),
        hardware: hardware.facts(config),
        assumptions: assumed
            .lines()
            .into_iter()
            .chain(of_seeds(recipe))
            .collect(),
        stages,
        advice: Vec::new(),
    };
    table.advice = advice(&table, &known, hardware);
    Ok(table)
}

/// Says what more than one seed multiplies.
fn of_seeds(recipe: &Recipe) -> Option<String> {
    let seeds = recipe.run.seeds;
    (seeds > 1).then(|| {
        format!("{seeds} seeds: trainings, scores and their evaluations {seeds} times, what no seed changes once")
    })
}

/// Adds a further seed's work so many times.
fn repeat(stage: &mut PlannedStage, seed: &PlannedStage, times: u32) {
    let add = |to: &mut Option<u64>, n: Option<u64>| {
        *to = to.zip(n).map(|(to, n)| to + u64::from(times) * n);
    };
    add(&mut stage.tokens_read, seed.tokens_read);
    add(&mut stage.tokens_generated, seed.tokens_generated);
    let times = f64::from(times);
    stage.flops += times * seed.flops;
    stage.bytes += times * seed.bytes;
    stage.seconds = stage
        .seconds
        .zip(seed.seconds)
        .map(|(all, one)| all + times * one);
}

fn facts(origin: &str, config: &ModelConfig, known: &Known<'_>) -> ModelFacts {
    let cost = ModelCost::of(config);
    let parameters = cost.parameters();
    ModelFacts {
        origin: origin.to_owned(),
        parameters: parameters.total(),
        embedding: parameters.embedding,
        linears: parameters.linears,
        vectors: parameters.vectors,
        head: parameters.head,
        bytes: cost
            .bytes_by_encoding()
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes))
            .collect(),
        file_bytes: known.stored,
        stored: known.form == WeightForm::Stored,
        forward_flops: 2 * cost.active(),
        kv_bytes: cost.kv_bytes_per_token(known.recipe.sample.kv),
        kept_bytes: known.recipe.ce.train.recompute.map_or_else(
            || cost.kept_bytes_per_token(cdpo_model::Recompute::default()),
            |recompute| cost.kept_bytes_per_token(recompute),
        ),
    }
}

fn planned(
    stage: &Stage,
    workload: &Workload,
    known: &Known<'_>,
    hardware: &Hardware,
) -> PlannedStage {
    let cost = ModelCost::of(known.config);
    let weight = hardware.bytes_per_weight(known, &cost);
    let (mut seconds, mut bandwidth_seconds) = (0.0, 0.0);
    let (mut flops, mut bytes) = (0.0, 0.0);
    for part in &workload.parts {
        let read = part.passes * cost.bytes_read(weight) + part.bytes * hardware.narrowing();
        let decoded = if known.form == WeightForm::Stored {
            part.passes * cost.active() as f64 * hardware::DECODE_WEIGHT
        } else {
            0.0
        };
        let computing = part.flops / (hardware.flops * hardware.share(known.config, part.kind))
            + decoded / hardware.flops;
        let reading = read / hardware.bandwidth;
        seconds += computing.max(reading);
        if reading > computing {
            bandwidth_seconds += reading;
        }
        flops += part.flops;
        bytes += read;
    }
    let memory = workload.memory.map(|memory| hardware.held(known, &memory));
    PlannedStage {
        stage: stage.id.name.clone(),
        tokens_read: workload.read.map(|n| n.round() as u64),
        tokens_generated: workload.generated.map(|n| n.round() as u64),
        flops,
        bytes,
        memory,
        seconds: (!workload.parts.is_empty()).then_some(seconds),
        bandwidth_bound: bandwidth_seconds > seconds / 2.0,
        decoding: workload
            .parts
            .iter()
            .any(|part| part.kind == Kind::Decoding),
    }
}

/// What does not fit in memory, and what to do about it.
fn advice(table: &PlanTable, known: &Known<'_>, hardware: &Hardware) -> Vec<String> {
    let too_large: Vec<&PlannedStage> = table
        .stages
        .iter()
        .filter(|stage| {
            stage
                .memory
                .is_some_and(|bytes| bytes as f64 > hardware.memory)
        })
        .collect();
    if too_large.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = too_large.iter().map(|stage| stage.stage.as_str()).collect();
    let mut lines = vec![format!(
        "{} of {} stages do not fit in {:.0} GB: {}",
        too_large.len(),
        table.stages.len(),
        hardware.memory / 1e9,
        names.join(", ")
    )];
    let cost = ModelCost::of(known.config);
    let weights = hardware.bytes_per_weight(known, &cost) * cost.parameters().total() as f64;
    if known.form == WeightForm::F32 && !hardware.narrow {
        lines.push(format!(
            "keep the weights as their file has them: model.weights = \"stored\" takes {:.1} GB instead of {:.1}",
            known.stored_bytes() as f64 / 1e9,
            cost.f32_bytes() as f64 / 1e9
        ));
    }
    if weights > hardware.memory {
        let fitting = cost
            .bytes_by_encoding()
            .into_iter()
            .filter(|(_, bytes)| (*bytes as f64) < 0.9 * hardware.memory)
            .max_by_key(|(_, bytes)| *bytes);
        lines.push(match fitting {
            Some((name, bytes)) => format!(
                "the weights alone are larger; a file in {name} has {:.1} GB, or take more machines",
                bytes as f64 / 1e9
            ),
            None => "the weights alone are larger in every encoding; take more machines".to_owned(),
        });
        return lines;
    }
    if too_large.iter().any(|stage| stage.decoding) {
        lines.push(
            "decode fewer sequences in parallel: sample.max_batch, eval.max_batch, sample.cache_mib".to_owned(),
        );
    }
    if too_large.iter().any(|stage| !stage.decoding) {
        lines.push(
            "train smaller batches (train.batch_size with train.accumulation, ce.train.batch_size), compute more again \
             (recompute = \"blocks\")"
                .to_owned(),
        );
    }
    lines
}
