//! Pre-training: a recipe goes in, a small language model of the built-in word problems comes out.
//!
//! The corpus is text from the data set's generator, in the framing that questions are put in; the loss is on the solutions alone,
//! since a question's words are drawn and nothing in it can be foretold. Training is the one loop, on all parameters.

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
use cdpo_model::{Arena, DType, Device, Key, Model, Tokenizer};
use cdpo_sample::{LocalSampler, Request, SampleParams, Sampler as _};
use cdpo_train::{Job, Policy, TrainEvent, TrainSet};
use serde::{Deserialize, Serialize};

use crate::interrupt;
use crate::lock::Lock;
use crate::messages;
use crate::outcome::Interrupted;
use crate::progress::ProgressLine;
use fresh::Fresh;
use recipe::Recipe;

/// Accuracy on held-out questions at a checkpoint, a line of `accuracy.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Look {
    step: u64,
    questions: usize,
    correct: usize,
    accuracy: f64,
}

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
    let start = || -> anyhow::Result<Model> {
        let source = Fresh {
            key: Key::new(recipe.run.seed).with_str("initial values"),
            std: recipe.model.init_std,
            layers: config.layers,
        };
        Ok(Model::load(&config, &source, &Device::Cpu)?)
    };
    let model = start()?;
    messages::say(format_args!(
        "model   {} parameters, vocabulary {}, {} threads",
        model.arena()?.data.len(),
        config.vocab_size,
        rayon::current_num_threads()
    ));
    let examples = TrainSet::Sft(corpus(&recipe, &tokenizer)?);
    let held_out = wordmath::problems(recipe.corpus.seed, Split::Test, recipe.eval.questions);
    let mut curve: Vec<Look> = read_curve(&dir)?;
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
    let look = |step: u64, params: &Arena, curve: &mut Vec<Look>| -> anyhow::Result<()> {
        let mut model = start()?;
        model.set(params)?;
        model.save_as(&out, DType::BF16)?;
        let correct = accuracy(model, &tokenizer, &held_out, recipe.eval.max_new_tokens)?;
        let questions = held_out.len();
        messages::say(format_args!(
            "step {step}: {correct} of {questions} held-out questions right, greedily"
        ));
        curve.push(Look {
            step,
            questions,
            correct,
            accuracy: correct as f64 / questions.max(1) as f64,
        });
        write_curve(&dir, curve)
    };
    let look_at = |step: u64, path: &Path, curve: &mut Vec<Look>| -> anyhow::Result<()> {
        let mut params = start()?.arena()?;
        cdpo_train::read_parameters(path, &mut params)?;
        look(step, &params, curve)
    };
    let mut bar: Option<ProgressLine> = None;
    let mut begun = (Instant::now(), 0);
    let mut failure = None;
    let report = cdpo_train::run(job, &mut |event| {
        let result = match event {
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
                bar = Some(ProgressLine::new("pretrain", done, total_steps));
                curve.retain(|look| look.step <= done);
                // Killed after a checkpoint and before the look at it.
                if done > 0 && curve.last().is_none_or(|look| look.step < done) {
                    let path = dir.join(format!("checkpoints/step-{done:08}"));
                    look_at(done, &path, &mut curve)
                } else {
                    Ok(())
                }
            }
            TrainEvent::Step(m) => {
                if begun.1 == 0 {
                    begun = (Instant::now(), m.tokens);
                }
                let rate = (m.tokens - begun.1) as f64 / begun.0.elapsed().as_secs_f64();
                if let Some(bar) = &mut bar {
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
            TrainEvent::Checkpoint { step, path } => look_at(step, path, &mut curve),
            _ => Ok(()),
        };
        match result {
            Ok(()) => interrupt::flow(),
            Err(e) => {
                failure = Some(e);
                ControlFlow::Break(())
            }
        }
    })?;
    drop(bar);
    if let Some(e) = failure {
        return Err(e);
    }
    if !report.finished {
        return Err(Interrupted.into());
    }
    let (steps, tokens) = (report.steps, report.tokens);
    if curve.last().is_none_or(|look| look.step < steps)
        && let Some(model) = report.policy.into_model()
    {
        look(steps, &model.arena()?, &mut curve)?;
    }
    messages::say(format_args!(
        "done: {steps} steps, {:.1} M tokens",
        tokens as f64 / 1e6
    ));
    Ok(out)
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

const CURVE: &str = "accuracy.jsonl";

fn read_curve(dir: &Path) -> anyhow::Result<Vec<Look>> {
    let path = dir.join(CURVE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path)?;
    text.lines()
        .map(|line| {
            serde_json::from_str(line)
                .with_context(|| format!("{} is damaged; remove it", path.display()))
        })
        .collect()
}

fn write_curve(dir: &Path, curve: &[Look]) -> anyhow::Result<()> {
    let mut text = String::new();
    for a in curve {
        text += &serde_json::to_string(a)?;
        text.push('\n');
    }
    let (path, partial) = (dir.join(CURVE), dir.join(".accuracy.partial"));
    std::fs::write(&partial, text)?;
    Ok(std::fs::rename(&partial, &path)?)
}
