//! What the program brings along: a small base model and the word problems that it was made on.
//!
//! A path `builtin:NAME` in a recipe goes in; the model's files or the problems come out.

use std::path::Path;

use cdpo_data::Problem;
use cdpo_data::wordmath::{self, Split};
use cdpo_model::source::Embedded;

use crate::outcome::Usage;

/// The built-in base model: about a million parameters, made by `recipes/wordmath-base.toml`.
static WORDMATH_1M: Embedded = Embedded {
    name: "builtin:wordmath-1m",
    config: include_str!("../embedded/wordmath-1m/config.json"),
    tokenizer: include_str!("../embedded/wordmath-1m/tokenizer.json"),
    tokenizer_config: include_str!("../embedded/wordmath-1m/tokenizer_config.json"),
    weights: include_bytes!("../embedded/wordmath-1m/model.safetensors"),
};

/// Seed of the problems that recipes ask for. The base model's corpus has another one.
const SEED: u64 = 0;

/// Training questions, unless `data.train_limit` says.
const TRAIN: usize = 1000;

/// Held-out questions, unless `eval.limit` says.
const TEST: usize = 500;

/// The whole name, if a path is one of something built in.
pub(crate) fn name(path: &Path) -> Option<&str> {
    path.to_str().filter(|path| path.starts_with("builtin:"))
}

/// The model of that name.
pub(crate) fn model(name: &str) -> Result<&'static Embedded, Usage> {
    if name == WORDMATH_1M.name {
        Ok(&WORDMATH_1M)
    } else {
        let known = WORDMATH_1M.name;
        Err(Usage(format!(
            "there is no built-in model {name:?}; there is {known}"
        )))
    }
}

/// Whether there are questions of that name.
pub(crate) fn questions(name: &str) -> Result<(), Usage> {
    if name == wordmath::NAME {
        Ok(())
    } else {
        let known = wordmath::NAME;
        Err(Usage(format!(
            "there are no built-in questions {name:?}; there are {known}"
        )))
    }
}

/// The first `limit` questions of that name after `skip`.
pub(crate) fn problems(
    name: &str,
    held_out: bool,
    skip: usize,
    limit: Option<usize>,
) -> Result<Vec<Problem>, Usage> {
    questions(name)?;
    let (split, most) = if held_out {
        (Split::Test, limit.unwrap_or(TEST))
    } else {
        (Split::Train, limit.unwrap_or(TRAIN))
    };
    Ok(wordmath::problems(SEED, split, skip.saturating_add(most)).split_off(skip))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use cdpo_model::source::{ModelSource, open};
    use cdpo_model::{Device, Model};

    use crate::pretrain;

    #[test]
    fn the_built_in_model_is_the_folder_it_was_made_from() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("embedded/wordmath-1m");
        let file = open(&ModelSource::Path(folder)).unwrap();
        let built_in = open(&ModelSource::Embedded(WORDMATH_1M)).unwrap();
        assert_eq!(built_in.content_id, file.content_id);
        assert_eq!(built_in.tokenizer.content_id(), file.tokenizer.content_id());
        assert_eq!(built_in.config, file.config);
    }

    /// The weights in the program are the ones that the documentation speaks of.
    #[test]
    fn the_built_in_weights_are_the_documented_ones() {
        let built_in = open(&ModelSource::Embedded(WORDMATH_1M)).unwrap();
        assert_eq!(built_in.content_id, "95bb80f32f2d450d09e50d079fea0356");
    }

    /// 200 of the held-out questions that recipes get: 54 % is what the corpus teaches, and 4 standard errors are 14 points.
    #[test]
    fn the_built_in_model_answers_about_half_of_the_questions() {
        let built_in = open(&ModelSource::Embedded(WORDMATH_1M)).unwrap();
        let weights = built_in.weights.as_ref();
        let model = Model::load(&built_in.config, weights, &Device::Cpu).unwrap();
        let held_out = problems(wordmath::NAME, true, 0, Some(200)).unwrap();
        let right = pretrain::accuracy(model, &built_in.tokenizer, &held_out, 120).unwrap();
        assert!((80..=136).contains(&right), "{right} of 200");
    }

    #[test]
    fn other_names_are_told_what_there_is() {
        let error = model("builtin:wordmath-7b").unwrap_err().to_string();
        assert!(error.contains("builtin:wordmath-1m"), "{error}");
        let error = problems("builtin:gsm8k", true, 0, None).unwrap_err();
        assert!(error.to_string().contains("builtin:wordmath"), "{error}");
        assert_eq!(name(Path::new("wordmath")), None);
    }
}
