//! What a plan takes for granted: how many questions and pairs, how long they are, each with where the number comes from.

use std::path::Path;

use cdpo_data::problems::{self, ReadOptions};
use cdpo_data::{OnBadRow, Problem, given_pairs};
use cdpo_model::ModelConfig;
use cdpo_model::source::Outline;

use crate::builtin;
use crate::outcome::Usage;
use crate::prompt::Prompt;
use crate::recipe::{FramingName, PromptSection, Recipe, Template};
use crate::vocabulary::Vocabulary;
use crate::workload::{Amounts, Lengths};

/// Lengths that the user gives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) prefix: Option<f64>,
    pub(crate) question: Option<f64>,
    pub(crate) response: Option<f64>,
}

/// The numbers, and how they were come by.
pub(crate) struct Assumptions {
    pub(crate) lengths: Lengths,
    pub(crate) amounts: Amounts,
    how: Vec<String>,
}

impl Assumptions {
    /// What is told of them, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        self.how.clone()
    }
}

/// What is known of a data set without its file: questions to train on and held out, exemplars, and mean tokens of those exemplars,
/// of a question and of a worked solution with its end, by Llama-3's tokenizer.
struct Published {
    train: usize,
    test: usize,
    shots: f64,
    /// Negatives for each question.
    negatives: f64,
    lengths: Lengths,
}

/// GSM8K with 8 exemplars, MATH (its 500 held-out questions) with 4. The paper has 26,131 and 68,391 examples of the contrastive models,
/// at most 7,473 and 7,500 of them positives.
fn published(framing: FramingName) -> Option<Published> {
    let lengths = |prefix, question, response| Lengths {
        prefix,
        question,
        alone: question,
        response,
    };
    match framing {
        FramingName::Gsm8k => Some(Published {
            train: 7473,
            test: 1319,
            shots: 8.0,
            negatives: 2.5,
            lengths: lengths(653.0, 62.0, 79.0),
        }),
        FramingName::Math => Some(Published {
            train: 7500,
            test: 500,
            shots: 4.0,
            negatives: 8.1,
            lengths: lengths(612.0, 77.0, 219.0),
        }),
        FramingName::Custom => None,
    }
}

/// Negatives for each question that the quickstart selects, and so taken where no data set is known.
const NEGATIVES: f64 = 1.6;

/// Questions whose lengths are measured.
const MEASURED: usize = 256;

/// Gathers what a plan takes for granted. Files of questions are read where they are there, and lengths are measured on them where
/// the model has a tokenizer.
///
/// # Errors
/// Files that cannot be used; a data set of which nothing is known.
pub(crate) fn assume(
    recipe: &Recipe,
    outline: Outline,
    wanted: &Wanted,
) -> anyhow::Result<Assumptions> {
    let published = published(recipe.prompt.framing);
    let mut how = Vec::new();
    let data = &recipe.data;
    let test = questions(recipe, &data.test, true)?;
    let test_questions = number(
        "data.test",
        test.as_deref(),
        published
            .as_ref()
            .map(|p| p.test.saturating_sub(recipe.eval.skip)),
        recipe.eval.limit,
    )?;
    let (train, amounts) = if let Some(pairs) = &data.pairs {
        let pairs = given_pairs::count(pairs)?.min(data.train_limit.unwrap_or(usize::MAX)) as f64;
        how.push(format!(
            "{pairs:.0} given pairs, {test_questions:.0} held-out questions"
        ));
        (
            None,
            Amounts {
                train_questions: 0.0,
                test_questions,
                positives: pairs,
                negatives: pairs,
                pairs,
            },
        )
    } else {
        let train = questions(recipe, &data.train, false)?;
        let n = number(
            "data.train",
            train.as_deref(),
            published.as_ref().map(|p| p.train),
            data.train_limit,
        )?;
        let negatives = match &published {
            Some(published) if builtin::name(&data.train).is_none() => published.negatives,
            _ => NEGATIVES,
        };
        how.push(format!(
            "{n:.0} training questions ({}), {test_questions:.0} held-out ones ({}); a pair and a positive for every question at \
             most, {negatives} negatives",
            source(train.is_some()),
            source(test.is_some())
        ));
        let amounts = Amounts {
            train_questions: n,
            test_questions,
            positives: n,
            negatives: negatives * n,
            pairs: n,
        };
        (train, amounts)
    };
    let sample = train.or(test).unwrap_or_default();
    let lengths = lengths(
        recipe,
        outline,
        published.as_ref(),
        &sample,
        wanted,
        &mut how,
    )?;
    Ok(Assumptions {
        lengths,
        amounts,
        how,
    })
}

fn source(read: bool) -> &'static str {
    if read {
        "counted"
    } else {
        "the data set's, whose file is not here"
    }
}

/// The questions of a file that is there, or that the program has.
fn questions(recipe: &Recipe, path: &Path, held_out: bool) -> anyhow::Result<Option<Vec<Problem>>> {
    let (skip, limit) = if held_out {
        (recipe.eval.skip, recipe.eval.limit)
    } else {
        (0, recipe.data.train_limit)
    };
    if let Some(name) = builtin::name(path) {
        return Ok(Some(builtin::problems(name, held_out, skip, limit)?));
    }
    if !path.is_file() {
        return Ok(None);
    }
    let options = ReadOptions {
        format: recipe.data.format,
        columns: recipe.data.columns.clone(),
        limit: limit.map(|n| n.saturating_add(skip)),
        on_bad_row: OnBadRow::Skip,
    };
    let (mut read, _) = problems::read(path, &options)?;
    read.drain(..skip.min(read.len()));
    Ok(Some(read))
}

fn number(
    key: &str,
    read: Option<&[Problem]>,
    published: Option<usize>,
    limit: Option<usize>,
) -> anyhow::Result<f64> {
    let n = match (read, published, limit) {
        (Some(read), ..) => read.len(),
        (None, Some(published), limit) => published.min(limit.unwrap_or(usize::MAX)),
        (None, None, Some(limit)) => limit,
        (None, None, None) => {
            return Err(Usage(format!(
                "{key}: the file is not here, and how many questions it has is not known of a custom framing; name the file, or set \
                 {}",
                if key == "data.test" { "eval.limit" } else { "data.train_limit" }
            ))
            .into());
        }
    };
    Ok(n as f64)
}

/// Mean lengths: the user's, else measured, else the data set's.
fn lengths(
    recipe: &Recipe,
    outline: Outline,
    published: Option<&Published>,
    sample: &[Problem],
    wanted: &Wanted,
    how: &mut Vec<String>,
) -> anyhow::Result<Lengths> {
    let config = outline.config;
    let measured = match outline.tokenizer {
        Some(tokenizer) => {
            let mut vocabulary =
                Vocabulary::resolve(tokenizer, &config, &outline.origin, recipe.model.bos)?;
            Some(measure(recipe, &mut vocabulary, sample)?)
        }
        None => None,
    };
    // What a template writes around a question is not known without its tokenizer.
    let chat = recipe.prompt.template != Template::None;
    let prefix = (
        wanted.prefix,
        measured.map(|m| m.prefix),
        if bare(&recipe.prompt) {
            Some(0.0)
        } else {
            published.filter(|_| !chat).map(|p| {
                let shots = recipe.prompt.shots.map_or(p.shots, |n| n as f64);
                p.lengths.prefix * shots / p.shots
            })
        },
    );
    let question = (
        wanted.question,
        measured.and_then(|m| m.question),
        published.filter(|_| !chat).map(|p| p.lengths.question),
    );
    let response = (
        wanted.response,
        measured.and_then(|m| m.response),
        published.map(|p| p.lengths.response),
    );
    let mut told = Vec::new();
    let mut choose =
        |name: &str,
         flag: &str,
         (given, measured, known): (Option<f64>, Option<f64>, Option<f64>)| {
            let (value, by) = match (given, measured, known) {
                (Some(n), ..) => (n, "given"),
                (None, Some(n), _) => (n, "measured"),
                (None, None, Some(n)) => (n, "by Llama-3's tokenizer"),
                (None, None, None) => {
                    return Err(Usage(format!(
                        "the length of {name} is not known: there is no tokenizer with questions and solutions to measure it on; give {flag}"
                    )));
                }
            };
            told.push(format!("{name} {value:.0} ({by})"));
            Ok(value)
        };
    let most = recipe.sample.max_new_tokens as f64;
    let prefix = choose("exemplars", "--exemplar-tokens", prefix)?;
    let question = choose("question", "--prompt-tokens", question)?;
    let lengths = Lengths {
        prefix,
        question,
        alone: question
            + match measured {
                Some(measured) => measured.opening,
                None if bare(&recipe.prompt) => prefix,
                None => 0.0,
            },
        response: choose("response", "--response-tokens", response)?.min(most),
    };
    how.push(format!("mean tokens: {}", told.join(", ")));
    check(&config, &lengths)?;
    Ok(lengths)
}

/// A sequence must fit the model's context.
fn check(config: &ModelConfig, lengths: &Lengths) -> Result<(), Usage> {
    let whole = lengths.prefix + lengths.question + lengths.response;
    if whole > config.max_positions as f64 {
        return Err(Usage(format!(
            "exemplars, question and response have {whole:.0} tokens, but the model's context is {}",
            config.max_positions
        )));
    }
    Ok(())
}

/// Whether no exemplars stand before a question. A chat has none of the framing's own unless it asks for them.
fn bare(section: &PromptSection) -> bool {
    let own = section.template == Template::None && section.framing != FramingName::Custom;
    match section.shots {
        Some(shots) => shots == 0,
        None => section.exemplars.is_none() && !own,
    }
}

/// Mean tokens by the model's tokenizer.
#[derive(Clone, Copy)]
struct Measured {
    /// Exemplars with BOS.
    prefix: f64,
    /// A question after them.
    question: Option<f64>,
    /// What a question without them has more.
    opening: f64,
    /// A worked solution with its end.
    response: Option<f64>,
}

fn measure(
    recipe: &Recipe,
    vocabulary: &mut Vocabulary,
    sample: &[Problem],
) -> anyhow::Result<Measured> {
    let prompt = Prompt::new(&recipe.prompt, vocabulary, recipe.model.bos)?;
    let vocabulary = &*vocabulary;
    // A turn's answer begins without a space, as a given solution does there.
    let gap = if prompt.template().is_some() { "" } else { " " };
    let (mut questions, mut openings, mut solutions) = (Vec::new(), Vec::new(), Vec::new());
    for problem in sample.iter().take(MEASURED) {
        let question = prompt.question_ids(vocabulary, problem)?.len() as f64;
        let (_, alone) = prompt.alone(vocabulary, &problem.question)?;
        questions.push(question);
        openings.push(alone.len() as f64 - question);
        if let Some(solution) = &problem.solution {
            let response = prompt.response(vocabulary, problem, &format!("{gap}{solution}"))?;
            solutions.push(response.ids.len() as f64 + 1.0);
        }
    }
    let mean = |all: &[f64]| (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64);
    Ok(Measured {
        prefix: prompt.prefix_ids.len() as f64,
        question: mean(&questions),
        opening: mean(&openings).unwrap_or(prompt.opening),
        response: mean(&solutions),
    })
}
