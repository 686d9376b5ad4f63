//! The arguments of `cdpo rollout`; each stands for a key of the recipe's section `[rollout]`.
#![allow(rustdoc::broken_intra_doc_links)] // brackets are defaults here, as help shows them

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::RunArgs;
use crate::paths;

/// Which responses to roll out, and how; every value can also be set in the recipe's section [rollout].
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag
pub(crate) struct RolloutArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Roll out the responses of this JSONL file (rows with `question`, `response`, `gold`) instead of the run's.
    #[arg(long, value_name = "FILE", value_parser = paths::parser())]
    pub(crate) trajectories: Option<PathBuf>,
    /// Which of the run's responses to roll out [samples].
    #[arg(long, value_enum, conflicts_with = "trajectories")]
    pub(crate) of: Option<OfArg>,
    /// Rollouts of each position [64].
    #[arg(long)]
    pub(crate) n: Option<u32>,
    /// Most wrong responses [20].
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// Most wrong responses of one question [1].
    #[arg(long)]
    pub(crate) per_question: Option<usize>,
    /// Take only responses of at most this many tokens.
    #[arg(long, value_name = "TOKENS")]
    pub(crate) longest: Option<usize>,
    /// Most tokens drawn for one response; what they do not settle is reported as unsettled.
    #[arg(long)]
    pub(crate) max_tokens: Option<u64>,
    /// Complete every position's score, also those that the critical token does not depend on.
    #[arg(long)]
    pub(crate) full_scores: bool,
    /// Draw every rollout of every position by itself to its end, as the definition says: the same token, at many times the cost.
    #[arg(long, conflicts_with_all = ["full_scores", "sharing"])]
    pub(crate) exhaustive: bool,
    /// Which random numbers rollouts of different positions draw with [common].
    #[arg(long, value_enum)]
    pub(crate) keys: Option<KeysArg>,
    /// Whether the response's last token is a position [include]; the paper's released code excludes it.
    #[arg(long, value_enum)]
    pub(crate) last_position: Option<LastPositionArg>,
    /// What rollouts share, to measure what it saves [tree].
    #[arg(long, value_enum)]
    pub(crate) sharing: Option<SharingArg>,
    /// Draw rollouts to their end, also those whose answer is settled before (under grade.extraction = "gsm8k_strict"); to measure
    /// what early stops save.
    #[arg(long)]
    pub(crate) to_the_end: bool,
    /// Then replace each critical token 64 times and print Pass@k with and without it.
    #[arg(long)]
    pub(crate) replace: bool,
}

/// Responses of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OfArg {
    /// The first wrong samples of each question.
    Samples,
    /// The rejected responses of the pairs: those that the report shows.
    Pairs,
}

/// Random numbers of rollouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeysArg {
    /// The same at a position of the response, wherever the rollout began.
    Common,
    /// Each position's own.
    Independent,
}

/// Whether the last token is a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LastPositionArg {
    /// It is.
    Include,
    /// It is not.
    Exclude,
}

/// What rollouts share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SharingArg {
    /// Nothing.
    None,
    /// Rollouts that follow the response are those of the next position.
    Path,
    /// Rollouts that draw the same tokens are one sequence, too.
    Tree,
}

impl RolloutArgs {
    /// All changes to the recipe, `key=value`: those of `--set`, then those that the flags stand for.
    pub(crate) fn sets(&self) -> Vec<String> {
        let mut sets = self.run.sets.clone();
        let mut set = |key: &str, value: Option<String>| {
            sets.extend(value.map(|value| format!("rollout.{key}={value}")));
        };
        set("n", self.n.map(|n| n.to_string()));
        set("of", self.of.as_ref().map(name));
        set("limit", self.limit.map(|n| n.to_string()));
        set("per_question", self.per_question.map(|n| n.to_string()));
        set("longest", self.longest.map(|n| n.to_string()));
        set("max_tokens", self.max_tokens.map(|n| n.to_string()));
        set("keys", self.keys.as_ref().map(name));
        set("last_position", self.last_position.as_ref().map(name));
        set("sharing", self.sharing.as_ref().map(name));
        let full = self.full_scores || self.exhaustive;
        set("scores", full.then(|| "full".to_owned()));
        set("sharing", self.exhaustive.then(|| "none".to_owned()));
        let whole = self.to_the_end || self.exhaustive;
        set("early_stop", whole.then(|| "false".to_owned()));
        sets
    }
}

/// A value's name, which is the recipe's.
fn name<V: ValueEnum>(value: &V) -> String {
    value
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}
