//! `cdpo plan`: what a recipe will take.

use cdpo_model::ModelCost;
use cdpo_model::source::open_outline;
use toml::{Table, Value};

use anyhow::Context as _;

use crate::args::PlanArgs;
use crate::messages::out;
use crate::plan::{self, Hardware, Wanted};
use crate::{execute, hub, recipe};

/// A file of questions that the recipe does not name.
const UNNAMED: &str = "(not named)";

/// Carries `cdpo plan` out.
pub(super) fn plan(args: &PlanArgs) -> anyhow::Result<()> {
    let recipe = recipe::read_changed(&args.recipe, &args.sets, |table| complete(table, args))?;
    execute::threads(&recipe);
    let source = hub::source(&recipe.model)?;
    let outline = || {
        open_outline(&source, &mut hub::downloads())
            .context("the model's configuration cannot be read")
    };
    let wanted = Wanted {
        prefix: args.exemplar_tokens,
        question: args.prompt_tokens,
        response: args.response_tokens,
    };
    let model = outline()?;
    let hardware = Hardware::read(
        &args.hardware,
        ModelCost::of(&model.config).largest_linear(),
    )?;
    let assumed = plan::assume(&recipe, outline()?, &wanted)?;
    let table = plan::of(&recipe, &model, &assumed, &hardware)?;
    if args.json {
        out!("{}", table.json()?.trim_end());
    } else {
        out!("{}", table.plain().trim_end());
    }
    Ok(())
}

/// Puts the configuration in the place of the recipe's model, and a name in the place of questions that it leaves open.
fn complete(table: &mut Table, args: &PlanArgs) {
    let section = |table: &mut Table, name: &str, change: &mut dyn FnMut(&mut Table)| {
        let section = table
            .entry(name)
            .or_insert_with(|| Value::Table(Table::new()));
        if let Some(section) = section.as_table_mut() {
            change(section);
        }
    };
    if let Some(config) = &args.config {
        section(table, "model", &mut |model| {
            model.remove("hub");
            model.remove("revision");
            let path = config.to_string_lossy().into_owned();
            model.insert("path".into(), Value::String(path));
        });
    }
    section(table, "data", &mut |data| {
        let mut name = |key: &str| {
            data.entry(key)
                .or_insert_with(|| Value::String(UNNAMED.into()));
        };
        name("test");
        if !data.contains_key("pairs") {
            data.entry("train")
                .or_insert_with(|| Value::String(UNNAMED.into()));
        }
    });
}
