//! Pre-training: a recipe goes in, a small language model of the built-in word problems comes out.
//!
//! The corpus is text from the data set's generator, in the framing that questions are put in; the loss is on the solutions alone,
//! since a question's words are drawn and nothing in it can be foretold. Training is the one loop, on all parameters.

mod curve;
mod fresh;
mod recipe;
mod vocabulary;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use cdpo_data::wordmath::{self, Split};
use cdpo_data::{Framing, Problem, SftExample};
use cdpo_grade::{GradeOptions, Grader, Outcome};
use cdpo_model::{Arena, DType, Device, Key, Model, ModelConfig, Tokenizer};
use cdpo_sample::{LocalSampler, Request, SampleParams, Sampler as _};
use cdpo_train::{Job, Policy, TrainEvent, TrainSet};

use crate::interrupt;
use crate::lock::Lock;
use crate::messages;
use crate::outcome::Interrupted;
use crate::progress::ProgressLine;
use curve::Look;
use fresh::Fresh;
use recipe::Recipe;

/// Carries out the recipe at `path`, changed by `sets`. Returns the model's folder.
pub(crate) fn run(path: &Path, sets: &[String]) -> anyhow::Result<PathBuf> {
    let recipe = recipe::read(path, sets)?;
    if recipe.run.threads > 0 {
        rayon::ThreadPoolBuilder::new()
            .num_threads(recipe.run.threads)
            .build_global()?;
    }
    let dir = recipe.run.dir.join(&recipe.run.name);
    let _lock = Lock::take(&dir)?;
    let out = dir.join("model");
    std::fs::create_dir_all(&out)?;
    vocabulary::write(&out)?;
    let tokenizer = Tokenizer::from_file(&out.join("tokenizer.json"))?;
    let config = recipe.model.config(&tokenizer)?;
    let start = Start {
        recipe: &recipe,
        config: &config,
    };
    let model = start.model()?;
    messages::say(format_args!(
        "model   {} parameters, vocabulary {}, {} threads",
        model.arena()?.data.len(),
        config.vocab_size,
        rayon::current_num_threads()
    ));
    let examples = TrainSet::Sft(corpus(&recipe, &tokenizer)?);
    let job = Job {
        policy: Policy::Model(Box::new(model)),
        model_id: &format!("{:?} {:?} seed {}", config, recipe.model, recipe.run.seed),
        reference: &[],
        examples: &examples,
        prefix_ids: &[],
        settings: &recipe.train,
        dir: &dir,
        reference_cache: None,
    };
    let mut looks = Looks {
        start,
        tokenizer: &tokenizer,
        held_out: wordmath::problems(recipe.corpus.seed, Split::Test, recipe.eval.questions),
        curve: curve::read(&dir)?,
        dir: &dir,
        out: &out,
    };
    let mut speed = Speed::default();
    let mut failure = None;
    let report = cdpo_train::run(
        job,
        &mut |event| match observe(&event, &mut looks, &mut speed) {
            Ok(()) => interrupt::flow(),
            Err(e) => {
                failure = Some(e);
                ControlFlow::Break(())
            }
        },
    )?;
    drop(speed);
    if let Some(e) = failure {
        return Err(e);
    }
    if !report.finished {
        return Err(Interrupted.into());
    }
    let (steps, tokens) = (report.steps, report.tokens);
    if !looks.reach(steps)
        && let Some(model) = report.policy.into_model()
    {
        looks.look(steps, &model.arena()?)?;
    }
    messages::say(format_args!(
        "done: {steps} steps, {:.1} M tokens",
        tokens as f64 / 1e6
    ));
    Ok(out)
}

/// What a model starts from.
#[derive(Clone, Copy)]
struct Start<'a> {
    recipe: &'a Recipe,
    config: &'a ModelConfig,
}

impl Start<'_> {
    fn model(&self) -> anyhow::Result<Model> {
        let source = Fresh {
            key: Key::new(self.recipe.run.seed).with_str("initial values"),
            std: self.recipe.model.init_std,
            layers: self.config.layers,
        };
        Ok(Model::load(self.config, &source, &Device::Cpu)?)
    }
}

/// The model at each checkpoint: saved, and tried on held-out questions.
struct Looks<'a> {
    start: Start<'a>,
    tokenizer: &'a Tokenizer,
    held_out: Vec<Problem>,
    curve: Vec<Look>,
    dir: &'a Path,
    out: &'a Path,
}

impl Looks<'_> {
    fn look(&mut self, step: u64, params: &Arena) -> anyhow::Result<()> {
        let mut model = self.start.model()?;
        model.set(params)?;
        model.save_as(self.out, DType::BF16)?;
        let max_new_tokens = self.start.recipe.eval.max_new_tokens;
        let correct = accuracy(model, self.tokenizer, &self.held_out, max_new_tokens)?;
        let questions = self.held_out.len();
        messages::say(format_args!(
            "step {step}: {correct} of {questions} held-out questions right, greedily"
        ));
        self.curve.push(Look {
            step,
            questions,
            correct,
            accuracy: correct as f64 / questions.max(1) as f64,
        });
        curve::write(self.dir, &self.curve)
    }

    fn look_at(&mut self, step: u64, checkpoint: &Path) -> anyhow::Result<()> {
        let mut params = self.start.model()?.arena()?;
        cdpo_train::read_parameters(checkpoint, &mut params)?;
        self.look(step, &params)
    }

    /// Whether the model has been looked at after `step` steps.
    fn reach(&self, step: u64) -> bool {
        self.curve.last().is_some_and(|look| look.step >= step)
    }
}

/// How fast this sitting is.
#[derive(Default)]
struct Speed {
    bar: Option<ProgressLine>,
    /// When the first step was done, and the tokens by then.
    begun: Option<(Instant, u64)>,
}

fn observe(event: &TrainEvent<'_>, looks: &mut Looks<'_>, speed: &mut Speed) -> anyhow::Result<()> {
    match *event {
        TrainEvent::Warning(text) => {
            messages::warn(text);
            Ok(())
        }
        TrainEvent::Started {
            examples,
            done,
            total_steps,
            warmup_steps,
        } => {
            messages::say(format_args!(
                "pretrain: {examples} examples, {total_steps} steps, {warmup_steps} of them warm-up; {done} done before"
            ));
            speed.bar = Some(ProgressLine::new("pretrain", done, total_steps));
            looks.curve.retain(|look| look.step <= done);
            // Killed after a checkpoint and before the look at it.
            if done > 0 && !looks.reach(done) {
                let path = looks.dir.join(format!("checkpoints/step-{done:08}"));
                looks.look_at(done, &path)
            } else {
                Ok(())
            }
        }
        TrainEvent::Step(m) => {
            let (since, before) = *speed.begun.get_or_insert((Instant::now(), m.tokens));
            let rate = (m.tokens - before) as f64 / since.elapsed().as_secs_f64();
            if let Some(bar) = &mut speed.bar {
                bar.at(m.step, || {
                    format!(
                        "loss {:.4}, {:.1} M tokens, {rate:.0} a second",
                        m.loss,
                        m.tokens as f64 / 1e6
                    )
                });
            }
            Ok(())
        }
        TrainEvent::Checkpoint { step, path } => looks.look_at(step, path),
        _ => Ok(()),
    }
}

/// The corpus as prompts and responses.
fn corpus(recipe: &Recipe, tokenizer: &Tokenizer) -> anyhow::Result<Vec<SftExample>> {
    let framing = Framing::gsm8k();
    let eos = end(tokenizer)?;
    (0..recipe.corpus.examples)
        .map(|index| {
            let worked = wordmath::worked(recipe.corpus.seed, index);
            let mut response_ids = tokenizer.encode(&worked.response)?;
            response_ids.push(eos);
            Ok(SftExample {
                problem_id: format!("corpus/{index}"),
                sample: 0,
                prompt_ids: tokenizer.encode(&framing.prompt(&worked.question))?,
                response_ids,
                // The texts are not read in training, and there are many.
                prompt: String::new(),
                response: String::new(),
                terminated: true,
            })
        })
        .collect()
}

fn end(tokenizer: &Tokenizer) -> anyhow::Result<u32> {
    let eos = tokenizer.eos().first().copied();
    eos.context("the tokenizer names no end-of-sequence token")
}

/// How many of the questions the model answers rightly, greedily.
pub(crate) fn accuracy(
    mut model: Model,
    tokenizer: &Tokenizer,
    problems: &[Problem],
    max_new_tokens: usize,
) -> anyhow::Result<usize> {
    model.pack(false)?;
    let framing = Framing::gsm8k();
    let requests = problems
        .iter()
        .map(|p| {
            Ok(Request {
                problem_id: p.id.clone(),
                prefix_ids: Vec::new(),
                prompt_ids: tokenizer.encode(&framing.prompt(&p.question))?,
                samples: vec![0],
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let gold = |id: &str| problems.iter().find(|p| p.id == id);
    let grader = Grader::new(GradeOptions::default());
    let mut correct = 0;
    let mut sampler = LocalSampler::new(&model, tokenizer)
        .with_max_batch(128)
        .with_max_cache_tokens(1 << 16);
    let params = SampleParams::greedy(max_new_tokens);
    let flow = sampler.sample(
        &requests,
        &params,
        &mut |request, _, completion| {
            if let Some(p) = gold(&request.problem_id)
                && grader.grade(&completion.text, &p.answer).outcome == Outcome::Correct
            {
                correct += 1;
            }
            interrupt::flow()
        },
        &mut |_| interrupt::flow(),
    )?;
    if flow.is_break() {
        return Err(Interrupted.into());
    }
    Ok(correct)
}
