//! A run's files: paths go in; the report's data comes out. No model is needed, only the bytes of its tokens.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use cdpo_data::rollout_record::RolloutRecord;
use cdpo_data::{Graded, OnBadRow, Pair, Problem, Record, jsonl};
use serde::de::DeserializeOwned;

use super::curves::Curve;
use super::data::{Fact, ReportData};
use super::distributions::Distributions;
use super::texts::{Texts, TokenBytes};
use super::trajectories::{Beside, LIMIT};
use crate::cost_table::CostTable;
use crate::error::{Error, Result};
use crate::replacement_curve::PUBLISHED;

/// Where a run's files are. A path that is absent, or names no file, leaves its part out of the report.
#[derive(Debug, Clone, Default)]
pub struct RunFiles {
    /// Training questions (`problems/train.jsonl`).
    pub problems: Option<PathBuf>,
    /// Verdicts on the samples (`graded/graded.jsonl`).
    pub graded: Option<PathBuf>,
    /// Scored pairs (`scored/pairs.jsonl`).
    pub pairs: Option<PathBuf>,
    /// The table of methods (`table/table.json`).
    pub table: Option<PathBuf>,
    /// The table over seeds (`seeds.json`).
    pub seeds: Option<PathBuf>,
    /// Name and metrics file of every training.
    pub metrics: Vec<(String, PathBuf)>,
    /// Pass@k and maj@k by method (`table/curves.json`).
    pub sampled: Option<PathBuf>,
    /// Rollouts of wrong responses (`rollouts.jsonl` of several stages); of two records of one response the later file's counts.
    pub rollouts: Vec<PathBuf>,
    /// What their critical tokens are (`analysis/analysis.json`).
    pub critical_tokens: Option<PathBuf>,
    /// Signals judged by them (`judge/judge.json`).
    pub judgement: Option<PathBuf>,
}

impl ReportData {
    /// Reads a run's files.
    ///
    /// # Errors
    /// [`Error::Data`] with path and line for a row that is not what it should be, [`Error::File`] for a file that cannot be
    /// read.
    pub fn read(
        title: &str,
        facts: Vec<Fact>,
        costs: CostTable,
        files: &RunFiles,
        token_bytes: &mut TokenBytes<'_>,
    ) -> Result<Self> {
        let problems: Vec<Problem> = rows(files.problems.as_deref())?;
        let graded: Vec<Graded> = rows(files.graded.as_deref())?;
        let mut rollouts: Vec<RolloutRecord> = Vec::new();
        for path in &files.rollouts {
            rollouts.extend(rows(Some(path))?);
        }
        let pairs: Vec<Pair> = rows(files.pairs.as_deref())?;
        let beside = Beside {
            problems: problems.iter().map(|p| (p.id.as_str(), p)).collect(),
            graded: graded
                .iter()
                .map(|g| ((g.problem_id.as_str(), g.sample), g))
                .collect(),
            rollouts: rollouts
                .iter()
                .map(|r| ((r.problem_id.as_str(), r.sample, r.ids.as_slice()), r))
                .collect(),
        };
        let mut texts = Texts::default();
        let mut distributions = Distributions::default();
        let mut trajectories = Vec::new();
        let mut scored = 0;
        let mut names = HashSet::new();
        for pair in &pairs {
            distributions.add(pair);
            scored += u64::from(pair.rejected_scores.is_some());
            if trajectories.len() < LIMIT
                && let Some(mut view) = beside.view(pair, &mut texts, token_bytes)
            {
                // A wrong response may stand in several pairs.
                let name = view.id.clone();
                let mut more = 2;
                while !names.insert(view.id.clone()) {
                    view.id = format!("{name}/{more}");
                    more += 1;
                }
                trajectories.push(view);
            }
        }
        for record in beside.rollouts.values() {
            if let Some(index) = record.position.and_then(|t| t.checked_sub(1)) {
                distributions.add_definition(index, record.ids.len());
            }
        }
        let mut curves = Vec::new();
        for (name, path) in &files.metrics {
            if path.is_file() {
                curves.push(Curve::read(name, path)?);
            }
        }
        Ok(Self {
            title: title.to_owned(),
            facts,
            table: json(files.table.as_deref())?,
            seeds: json(files.seeds.as_deref())?,
            costs,
            curves,
            texts: texts.into_all(),
            trajectories,
            scored,
            distributions: (distributions.responses > 0).then_some(distributions),
            word_types: None,
            sampled: json(files.sampled.as_deref())?.unwrap_or_default(),
            critical_tokens: json(files.critical_tokens.as_deref())?,
            judgement: json(files.judgement.as_deref())?,
            paper_pass_at_k: PUBLISHED.to_vec(),
        })
    }
}

fn rows<T: Record>(path: Option<&Path>) -> Result<Vec<T>> {
    match path.filter(|path| path.is_file()) {
        Some(path) => Ok(jsonl::read(path, OnBadRow::Fail)?.0),
        None => Ok(Vec::new()),
    }
}

fn json<T: DeserializeOwned>(path: Option<&Path>) -> Result<Option<T>> {
    let Some(path) = path.filter(|path| path.is_file()) else {
        return Ok(None);
    };
    let fault = |reason: String| Error::File {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| fault(e.to_string()))
}
