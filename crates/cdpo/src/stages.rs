//! The stages: one file makes one stage's value, or the values of stages that differ in one word; this is their list.

mod adapter_check;
mod agreement;
mod apart;
pub(crate) mod contrastive;
mod conventions;
mod drawing;
pub(crate) mod eval;
pub(crate) mod eval_given;
pub(crate) mod eval_samples;
pub(crate) mod expected;
pub(crate) mod finetune;
pub(crate) mod generate;
mod given_pairs;
pub(crate) mod grade;
mod grading;
mod parts;
pub(crate) mod problems;
mod reuse;
pub(crate) mod rollout_score;
pub(crate) mod rollouts;
pub(crate) mod sample;
pub(crate) mod score;
pub(crate) mod select;
mod serving;
pub(crate) mod table;
pub(crate) mod train;
pub(crate) mod warm_up;

use crate::recipe::Recipe;
use crate::stage::Stage;

/// Every stage of a recipe, in the order in which they are done.
pub(crate) fn all(recipe: &Recipe) -> Vec<Stage> {
    let select = if recipe.data.pairs.is_some() {
        given_pairs::stage
    } else {
        select::stage
    };
    let mut all = vec![problems::stage(recipe), sample::stage(recipe)];
    all.extend(agreement::stage(recipe));
    all.extend([
        grade::stage(recipe),
        select(recipe),
        contrastive::positive(recipe),
        contrastive::negative(recipe),
        score::stage(recipe),
        rollout_score::stage(recipe),
    ]);
    all.extend(train::stages(recipe));
    all.extend(eval::stages(recipe));
    all.extend(eval_samples::stages(recipe));
    all.extend(eval_given::stage(recipe));
    all.extend(sample::part(recipe));
    all.push(table::stage(recipe));
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::recipe::from_text;

    /// Answers of a whole model are what they were; an adapter's were once those of a merged one.
    #[test]
    fn answers_are_anew_where_an_adapter_gives_them() {
        let version = |parameters: &str, stage: &str| {
            let text = format!(
                "methods = [\"sft\"]\n[model]\npath = \"model\"\n[data]\ntrain = \"a\"\ntest = \"b\"\n[train]\nparameters = \
                 \"{parameters}\"\n[eval]\nsamples = 2\n"
            );
            let recipe = from_text(&text, "test", &[]).unwrap();
            let all = super::all(&recipe);
            all.iter().find(|s| s.id.name == stage).unwrap().version
        };
        for stage in ["eval-", "sampled-"] {
            let of = |parameters, name| version(parameters, &format!("{stage}{name}"));
            assert_eq!((of("lora", "base"), of("all", "base")), (1, 1));
            assert_eq!((of("lora", "sft"), of("all", "sft")), (2, 1));
        }
    }
}
