//! The stage `selected` where the user has the pairs: what is trained on without sampling.

use std::collections::HashSet;

use anyhow::Context as _;
use cdpo_data::artifact::{StageDir, hash_file};
use cdpo_data::given_pairs::{self, GivenPairs};
use cdpo_data::trl::TextPair;
use cdpo_data::{Pair, SftExample, jsonl};
use serde_json::{Value, json};

use super::select::{self, NEGATIVES, PAIRS, POSITIVES};
use crate::messages;
use crate::recipe::Recipe;
use crate::run::Run;
use crate::stage::{Model, Stage};
use crate::vocabulary::Vocabulary;

pub(super) fn stage(_: &Recipe) -> Stage {
    Stage {
        // 2: an end or a BOS that a text brings is not put a second time.
        version: 2,
        sources: Box::new(|run| {
            let pairs = run.recipe.data.pairs.clone().unwrap_or_default();
            Ok(vec![("pairs".to_owned(), hash_file(pairs)?)])
        }),
        model: Model::Tokenizer,
        files: [POSITIVES, NEGATIVES, PAIRS].map(Into::into).to_vec(),
        ..Stage::new(select::id(), settings, |run, dir| work(run, dir))
    }
}

fn settings(run: &Run) -> Value {
    let mut settings = json!({
        "given": true,
        "limit": run.recipe.data.train_limit,
        "on_bad_row": run.recipe.data.on_bad_row,
        "bos": run.vocabulary.bos,
        "eos": run.vocabulary.eos,
        // They end a text that brings one, and say which end is trained.
        "stops": run.vocabulary.stops,
    });
    if run.prompt.template().is_some() {
        let (name, identity) = run.prompt.identity();
        settings[name] = identity;
    }
    settings
}

/// Reads `data.pairs`; the contrastive models' examples are the pairs' chosen and rejected responses.
fn work(run: &Run, dir: &StageDir) -> anyhow::Result<Value> {
    let path = run.recipe.data.pairs.clone().unwrap_or_default();
    let (given, skipped) =
        given_pairs::read(&path, run.recipe.data.on_bad_row, run.prompt.template())?;
    if skipped.count() > 0 {
        messages::warn(format_args!(
            "{} rows are skipped:\n{skipped}",
            skipped.count()
        ));
    }
    let mut pairs: Vec<Pair> = match given {
        GivenPairs::Encoded(pairs) => {
            if let Some(note) = bos_note(&run.vocabulary, &pairs) {
                messages::warn(note);
            }
            pairs
        }
        GivenPairs::Text(rows) => {
            tell_rendered(run, &rows);
            rows.into_iter()
                .map(|row| encoded(run, row))
                .collect::<anyhow::Result<_>>()
                .with_context(|| path.display().to_string())?
        }
    };
    pairs.truncate(run.recipe.data.train_limit.unwrap_or(usize::MAX));
    let vocabulary = run.base.config.vocab_size;
    for pair in &pairs {
        let ids = [&pair.prompt_ids, &pair.chosen_ids, &pair.rejected_ids];
        if let Some(id) = ids
            .into_iter()
            .flatten()
            .find(|id| **id as usize >= vocabulary)
        {
            anyhow::bail!(
                "{}: pair {} has the token id {id}, but the model's vocabulary has {vocabulary} tokens: its ids are another model's",
                path.display(),
                pair.problem_id
            );
        }
    }
    let positives = examples(&pairs, |pair| {
        let Pair {
            chosen, chosen_ids, ..
        } = pair;
        (
            pair.chosen_sample,
            chosen,
            chosen_ids,
            pair.chosen_terminated,
        )
    });
    let negatives = examples(&pairs, |pair| {
        let Pair {
            rejected,
            rejected_ids,
            ..
        } = pair;
        (
            pair.rejected_sample,
            rejected,
            rejected_ids,
            pair.rejected_terminated,
        )
    });
    let (pairs, positives, negatives) = (
        jsonl::write_sorted(dir.path(PAIRS), pairs)?,
        jsonl::write_sorted(dir.path(POSITIVES), positives)?,
        jsonl::write_sorted(dir.path(NEGATIVES), negatives)?,
    );
    messages::say(format_args!(
        "selected: {} pairs of {}, {} with weights",
        pairs.len(),
        path.display(),
        pairs
            .iter()
            .filter(|p| p.chosen_weights.is_some() || p.rejected_weights.is_some())
            .count()
    ));
    Ok(json!({
        "positives": positives.len(),
        "negatives": negatives.len(),
        "pairs": pairs.len(),
        "skipped_rows": skipped.count(),
    }))
}

/// Pairs that come as ids keep them; this says how many begin otherwise than this model's sequences do.
fn bos_note(vocabulary: &Vocabulary, pairs: &[Pair]) -> Option<String> {
    let count = |odd: &dyn Fn(&[u32]) -> bool| {
        let odd = pairs.iter().filter(|pair| odd(&pair.prompt_ids)).count();
        (odd > 0).then_some((odd, pairs.len()))
    };
    if let Some(bos) = vocabulary.bos {
        let (odd, all) = count(&|ids| ids.first() != Some(&bos) || ids.get(1) == Some(&bos))?;
        return Some(format!(
            "{odd} of {all} pairs come with prompt_ids that do not begin with BOS ({bos}) once; they are taken as they are"
        ));
    }
    let bos = vocabulary.tokenizer.bos()?;
    let (odd, all) = count(&|ids| ids.first() == Some(&bos))?;
    Some(format!(
        "{odd} of {all} pairs come with prompt_ids that begin with BOS ({bos}), which stands before no other sequence here (model.bos); \
         they are taken as they are"
    ))
}

/// Says what a chat template made of the rows, and what it left as it is.
fn tell_rendered(run: &Run, rows: &[TextPair]) {
    let Some(template) = run.prompt.template() else {
        return;
    };
    let count = |of: fn(&TextPair) -> bool| rows.iter().filter(|row| of(row)).count();
    let (rendered, shortened) = (count(|row| row.rendered), count(|row| row.shortened));
    messages::say(format_args!(
        "selected: {rendered} of {} pairs are messages, rendered by {}{}",
        rows.len(),
        template.name(),
        if rendered < rows.len() {
            "; the others are text, and stand as they are"
        } else {
            ""
        }
    ));
    if shortened > 0 {
        messages::warn(format_args!(
            "the template begins {shortened} responses otherwise than it asks for one; their prompts end where both agree, as TRL's do"
        ));
    }
}

/// A pair of texts as ids; both responses count as ended by themselves.
fn encoded(run: &Run, row: TextPair) -> anyhow::Result<Pair> {
    let vocabulary = &run.vocabulary;
    let (id, prompt) = (row.id.clone(), row.prompt.clone());
    row.encode(
        |text| vocabulary.opening(text).map_err(anyhow::Error::from),
        |prompt_ids, text| {
            let response = vocabulary.response(&prompt, prompt_ids, text)?;
            let mut ids = response.ids;
            ids.push(response.end);
            Ok(ids)
        },
    )
    .with_context(|| format!("pair {id}: a text cannot be encoded"))
}

/// One side of the pairs, each response once.
fn examples<'p>(
    pairs: &'p [Pair],
    side: impl Fn(&'p Pair) -> (u32, &'p String, &'p Vec<u32>, bool),
) -> Vec<SftExample> {
    let mut seen = HashSet::new();
    let mut examples = Vec::new();
    for pair in pairs {
        let (sample, text, ids, terminated) = side(pair);
        if seen.insert((&pair.problem_id, sample)) {
            examples.push(SftExample {
                problem_id: pair.problem_id.clone(),
                sample,
                prompt: pair.prompt.clone(),
                response: text.clone(),
                prompt_ids: pair.prompt_ids.clone(),
                response_ids: ids.clone(),
                terminated,
            });
        }
    }
    examples
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use cdpo_model::Tokenizer;

    use super::*;

    #[test]
    fn ids_that_begin_otherwise_than_this_models_sequences_are_counted() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cdpo-model/tests/fixtures");
        let file = folder.join("tokenizers/first/tokenizer.json");
        let note = |bos: Option<u32>, prompts: &[&[u32]]| {
            let tokenizer = Tokenizer::from_file(&file).unwrap();
            let vocabulary = Vocabulary::of(tokenizer, bos, 2, vec![2]);
            let pairs = prompts.iter().map(|ids| Pair {
                prompt_ids: ids.to_vec(),
                ..Pair::default()
            });
            bos_note(&vocabulary, &pairs.collect::<Vec<_>>())
        };
        assert_eq!(note(Some(1), &[&[1, 7], &[1]]), None);
        let told = note(Some(1), &[&[1, 7], &[7], &[1, 1], &[]]).unwrap();
        assert!(
            told.starts_with("3 of 4") && told.contains("(1) once"),
            "{told}"
        );
        assert_eq!(note(None, &[&[7], &[]]), None);
        let told = note(None, &[&[7], &[1, 7]]).unwrap();
        assert!(
            told.starts_with("1 of 2") && told.contains("model.bos"),
            "{told}"
        );
    }
}
