//! The pipeline: which stages there are, what each one reads, and running them in order.
//!
//! A stage's key is made of the contents it reads and its settings; so a changed input reruns what depends on it and nothing
//! else. A stage upstream that is not done leaves the key of those after it unknown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cdpo_data::artifact::{self, Manifest, StageDir, StageKey, StagePlan, StageState};
use cdpo_train::Method;

use crate::base::Base;
use crate::outcome::Usage;
use crate::prompt::Prompt;
use crate::recipe::Recipe;
use crate::stages;
use crate::{interrupt, talk};

/// One stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Problems,
    Sample,
    Grade,
    Select,
    Positive,
    Negative,
    Score,
    /// Weights of the pairs from rollouts.
    RolloutScore,
    Train(Method),
    Eval(Option<Method>),
    /// Samples of the held-out questions, for Pass@k and maj@k.
    EvalSamples(Option<Method>),
    /// An evaluation of an adapter that no stage made.
    EvalGiven,
    Table,
}

impl Step {
    /// Every step of a recipe, in order.
    pub(crate) fn all(recipe: &Recipe) -> Vec<Self> {
        let methods = || recipe.methods.iter().copied();
        let mut steps = vec![
            Self::Problems,
            Self::Sample,
            Self::Grade,
            Self::Select,
            Self::Positive,
            Self::Negative,
            Self::Score,
            Self::RolloutScore,
        ];
        steps.extend(recipe.trainings().into_iter().map(Self::Train));
        steps.push(Self::Eval(None));
        steps.extend(methods().map(|method| Self::Eval(Some(method))));
        if recipe.eval.samples > 0 {
            steps.push(Self::EvalSamples(None));
            steps.extend(methods().map(|method| Self::EvalSamples(Some(method))));
        }
        steps.push(Self::Table);
        steps
    }

    /// Whether every seed of a run has the same outcome, so that it is done once for all.
    pub(crate) fn shared(self) -> bool {
        matches!(
            self,
            Self::Problems
                | Self::Sample
                | Self::Grade
                | Self::Eval(None)
                | Self::EvalSamples(None)
                | Self::EvalGiven
        )
    }

    /// The stage's name, which is its folder's.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Problems => "problems".into(),
            Self::Sample => "samples".into(),
            Self::Grade => "graded".into(),
            Self::Select => "selected".into(),
            Self::Positive => "positive".into(),
            Self::Negative => "negative".into(),
            Self::Score => "scored".into(),
            Self::RolloutScore => "rollout-scored".into(),
            Self::Train(method) => method.name().into(),
            Self::Eval(None) => "eval-base".into(),
            Self::Eval(Some(method)) => format!("eval-{}", method.name()),
            Self::EvalSamples(None) => "sampled-base".into(),
            Self::EvalSamples(Some(method)) => format!("sampled-{}", method.name()),
            Self::EvalGiven => "eval-given".into(),
            Self::Table => "table".into(),
        }
    }
}

/// A run under way.
pub(crate) struct Pipeline {
    pub(crate) recipe: Recipe,
    pub(crate) run_dir: PathBuf,
    /// The seeds of the run; the recipe's is the one at hand.
    pub(crate) seeds: Vec<u64>,
    /// Folder of the stages that depend on the seed at hand.
    pub(crate) home: PathBuf,
    /// Folders of runs whose finished stages are taken over where they are the same.
    pub(crate) siblings: Vec<PathBuf>,
    pub(crate) base: Base,
    pub(crate) prompt: Prompt,
    done: BTreeMap<String, Manifest>,
}

impl Pipeline {
    /// Opens the model and the prompt; nothing is written.
    pub(crate) fn new(recipe: Recipe) -> anyhow::Result<Self> {
        let base = Base::open(&recipe.model)?;
        let prompt = Prompt::new(&recipe.prompt, &base)?;
        let run_dir = recipe.run.dir.join(&recipe.run.name);
        Ok(Self {
            seeds: recipe.seeds(),
            home: run_dir.clone(),
            run_dir,
            siblings: Vec::new(),
            recipe,
            base,
            prompt,
            done: BTreeMap::new(),
        })
    }

    /// Goes over to another seed of the run; what does not depend on it stays done.
    pub(crate) fn turn_to(&mut self, seed: u64) {
        if seed == self.recipe.run.seed {
            return;
        }
        let shared: Vec<String> = Step::all(&self.recipe)
            .into_iter()
            .filter(|step| step.shared())
            .map(Step::name)
            .collect();
        self.done.retain(|name, _| shared.contains(name));
        self.recipe = self.recipe.with_seed(seed);
        self.home = self.home_of(seed);
    }

    /// Folder of the stages that depend on a seed: the run's own for its first seed, `seed-N` in it for another.
    pub(crate) fn home_of(&self, seed: u64) -> PathBuf {
        if self.seeds.first() == Some(&seed) {
            self.run_dir.clone()
        } else {
            self.run_dir.join(format!("seed-{seed}"))
        }
    }

    fn folder(&self, step: Step) -> &Path {
        if step.shared() {
            &self.run_dir
        } else {
            &self.home
        }
    }

    /// The path of a finished or coming output.
    pub(crate) fn path(&self, step: Step, file: &str) -> PathBuf {
        self.folder(step).join(step.name()).join(file)
    }

    /// The hash of a finished stage's output (for a folder, of its files); `None` as long as it is not done.
    pub(crate) fn output(&self, step: Step, file: &str) -> Option<String> {
        let manifest = self.done.get(&step.name())?;
        if let Some(hash) = manifest.outputs.get(file) {
            return Some(hash.clone());
        }
        let folder = format!("{file}/");
        let files: BTreeMap<&String, &String> = manifest
            .outputs
            .iter()
            .filter(|(name, _)| name.starts_with(&folder))
            .collect();
        (!files.is_empty()).then(|| cdpo_data::artifact::hash_json(&serde_json::json!(files)))
    }

    /// A finished stage's manifest.
    pub(crate) fn manifest(&self, step: Step) -> Option<&Manifest> {
        self.done.get(&step.name())
    }

    /// What a run as far as `last` would do, one line a stage.
    pub(crate) fn plan(&mut self, last: &[Step]) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        for step in self.needed(last)? {
            let name = step.name();
            let state = match stages::stage(self, step)? {
                None => "to do, after the stages before it".to_owned(),
                Some(stage) => match stage.plan(self.folder(step))? {
                    StagePlan::Done(manifest) => {
                        self.done.insert(name.clone(), manifest);
                        "done".to_owned()
                    }
                    StagePlan::Resume(_) => "to go on with".to_owned(),
                    StagePlan::Fresh(reason) => format!("to do ({reason})"),
                },
            };
            lines.push(format!("{name:<12} {state}"));
        }
        Ok(lines)
    }

    /// Writes the resolved recipe into the run's folder; by it, other commands know the folder.
    pub(crate) fn keep_recipe(&self) -> anyhow::Result<()> {
        let resolved = self.recipe.to_toml()?;
        Ok(cdpo_data::jsonl::write_file_atomic(
            self.run_dir.join("recipe.toml"),
            |out| {
                out.write_all(resolved.as_bytes())
                    .map_err(|e| cdpo_data::Error::io(Path::new("recipe.toml"), "write", e))
            },
        )?)
    }

    /// Runs every stage that `last` need and that is not done, and `last` themselves.
    pub(crate) fn run(&mut self, last: &[Step]) -> anyhow::Result<()> {
        if self.home == self.run_dir {
            self.keep_recipe()?;
        }
        let steps = self.needed(last)?;
        for (i, &step) in steps.iter().enumerate() {
            interrupt::check()?;
            let name = step.name();
            let at = format!("[{}/{}] {name}", i + 1, steps.len());
            let stage: StageKey = stages::stage(self, step)?
                .ok_or_else(|| anyhow::anyhow!("a stage before {name} is not done"))?;
            let folder = self.folder(step).to_path_buf();
            // A seed's stages lie in its own folder, in every run.
            let within = folder.strip_prefix(&self.run_dir).unwrap_or(Path::new(""));
            for sibling in &self.siblings {
                let sibling = sibling.join(within);
                if artifact::take_over(&folder, &stage, &sibling)? {
                    talk::say(format_args!("{at}: taken over from {}", sibling.display()));
                    break;
                }
            }
            let manifest = match StageDir::open(folder, &stage)? {
                StageState::Done(manifest) => {
                    talk::say(format_args!("{at}: done before"));
                    manifest
                }
                StageState::Resume(dir) => {
                    talk::say(format_args!("{at}: going on"));
                    self.step(step, dir)?
                }
                StageState::Fresh(dir, reason) => {
                    talk::say(format_args!("{at}: {reason}"));
                    self.step(step, dir)?
                }
            };
            self.done.insert(name, manifest);
            stages::check_lengths(self, step, &steps)?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step, mut dir: StageDir) -> anyhow::Result<Manifest> {
        let manifest = match stages::run(self, step, &mut dir) {
            Ok(finished) => {
                let outputs: Vec<&str> = finished.outputs.iter().map(String::as_str).collect();
                dir.finish(&outputs, finished.counts)?
            }
            Err(e) => {
                // The time spent counts although the stage did not end; the first error is the one to tell.
                let _ = dir.keep_time();
                return Err(e);
            }
        };
        talk::say(format_args!(
            "{}: finished in {}",
            step.name(),
            talk::clock(manifest.clock.seconds)
        ));
        Ok(manifest)
    }

    /// `last` and all that they need, in order.
    fn needed(&self, last: &[Step]) -> anyhow::Result<Vec<Step>> {
        let sampling = |step: &Step| matches!(step, Step::Sample | Step::Grade);
        if self.recipe.data.pairs.is_some() && last.iter().any(sampling) {
            return Err(Usage(
                "the recipe's pairs are given (data.pairs), so there is nothing to sample or grade"
                    .into(),
            )
            .into());
        }
        let mut needed: Vec<Step> = last.to_vec();
        let mut next = 0;
        while next < needed.len() {
            for step in stages::needs(&self.recipe, needed[next]) {
                if !needed.contains(&step) {
                    needed.push(step);
                }
            }
            next += 1;
        }
        let mut ordered: Vec<Step> = Step::all(&self.recipe)
            .into_iter()
            .filter(|step| needed.contains(step))
            .collect();
        ordered.extend(needed.contains(&Step::EvalGiven).then_some(Step::EvalGiven));
        Ok(ordered)
    }
}
