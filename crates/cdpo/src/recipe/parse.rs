//! Reading a recipe: text, then `--set`, then sections, then ranges; every fault is kept to the end.

use std::collections::BTreeMap;
use std::path::Path;

use cdpo_critical::ContrastSettings;
use cdpo_model::LoraConfig;
use cdpo_train::{Method, TrainSettings, loss_settings, loss_settings_of};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{CeSection, Recipe, TrainSection, check, keys};
use crate::outcome::Usage;
use crate::paths;

/// The keys whose values are paths.
const PATHS: [&str; 7] = [
    "run.dir",
    "model.path",
    "data.train",
    "data.test",
    "data.pairs",
    "prompt.exemplars",
    "prompt.template",
];

/// Reads the recipe at `path` and changes it by `sets` (`a.b=value`).
pub(crate) fn read(path: &Path, sets: &[String]) -> anyhow::Result<Recipe> {
    from_text(&text(path)?, &stem(path), sets)
}

/// As [`read`], for a recipe of which nothing is run: `instead` changes the recipe's table before it is read.
pub(crate) fn read_changed(
    path: &Path,
    sets: &[String],
    instead: impl FnOnce(&mut Table),
) -> anyhow::Result<Recipe> {
    let text = text(path)?;
    // What is no TOML is reported by the reader.
    let changed = text.parse::<Table>().map(|mut table| {
        instead(&mut table);
        table.to_string()
    });
    from_text(&changed.unwrap_or(text), &stem(path), sets)
}

fn text(path: &Path) -> Result<String, Usage> {
    std::fs::read_to_string(path).map_err(|e| {
        Usage(format!(
            "the recipe {} cannot be read: {e}; `recipes/` has some to start from",
            path.display()
        ))
    })
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
    stem.unwrap_or_else(|| "run".to_owned())
}

/// As [`read`], from text; `name` names the run unless the recipe does.
pub(crate) fn from_text(text: &str, name: &str, sets: &[String]) -> anyhow::Result<Recipe> {
    parse(text, name, sets).map_err(|faults| {
        let count = match faults.len() {
            1 => "a fault".to_owned(),
            n => format!("{n} faults"),
        };
        let list = faults.join("\n  ");
        Usage(format!("the recipe {name} has {count}:\n  {list}")).into()
    })
}

pub(super) fn parse(text: &str, name: &str, sets: &[String]) -> Result<Recipe, Vec<String>> {
    let mut table: Table = text
        .parse()
        .map_err(|e: toml::de::Error| vec![e.to_string()])?;
    let mut faults = Vec::new();
    for set in sets {
        if let Err(fault) = apply(&mut table, set) {
            faults.push(fault);
        }
    }
    paths::expand(&mut table, &PATHS, &mut faults);
    keys::take_unknown(&mut table, &mut faults);
    without_effect(&table, sets, &mut faults);
    let mut recipe = sections(table, &mut faults);
    if recipe.run.name.is_empty() {
        name.clone_into(&mut recipe.run.name);
    }
    recipe.sample.seed.get_or_insert(recipe.run.seed);
    let most = recipe.sample.max_new_tokens;
    recipe.eval.max_new_tokens.get_or_insert(most);
    check::check(&recipe, &mut faults);
    if faults.is_empty() {
        Ok(recipe)
    } else {
        Err(faults)
    }
}

/// One `--set`: the value is TOML, or else the bare text.
pub(crate) fn apply(table: &mut Table, set: &str) -> Result<(), String> {
    let Some((key, text)) = set.split_once('=') else {
        return Err(format!("--set {set}: KEY=VALUE is expected"));
    };
    let value = match format!("v = {text}").parse::<Table>() {
        Ok(mut parsed) if parsed.len() == 1 => parsed.remove("v"),
        _ => None,
    };
    let value = value.unwrap_or_else(|| Value::String(text.to_owned()));
    let mut names: Vec<&str> = key.trim().split('.').collect();
    let last = names.pop().unwrap_or_default();
    let mut at = table;
    for name in names {
        let inner = at.entry(name).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = inner else {
            return Err(format!("--set {set}: {name} is not a section"));
        };
        at = inner;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

fn section<T: DeserializeOwned + Default>(
    value: Option<Value>,
    name: &str,
    faults: &mut Vec<String>,
) -> T {
    let Some(value) = value else {
        return T::default();
    };
    value.try_into().unwrap_or_else(|e: toml::de::Error| {
        faults.push(format!(
            "{name}: {}",
            e.to_string().trim().replace('\n', " ")
        ));
        T::default()
    })
}

/// A change of `train.KEY` reaches no method if each has the key in its own section, as in a resolved recipe: a fault.
fn without_effect(table: &Table, sets: &[String], faults: &mut Vec<String>) {
    let names = table.get("methods").and_then(Value::as_array);
    let methods: Vec<Method> = names.map_or_else(default_methods, |names| {
        let name = |value: &Value| value.as_str()?.parse().ok();
        names.iter().filter_map(name).collect()
    });
    let train = table.get("train").and_then(Value::as_table);
    let own = |method: &Method| train?.get(method.name())?.as_table();
    let keys = sets.iter().filter_map(|set| set.split_once('='));
    for key in keys.filter_map(|(key, _)| key.trim().strip_prefix("train.")) {
        let common = loss_settings().all(|known| known != key);
        let takers: Vec<&Method> = methods
            .iter()
            .filter(|method| common || loss_settings_of(**method).contains(&key))
            .collect();
        let all = takers
            .iter()
            .all(|method| own(method).is_some_and(|own| own.contains_key(key)));
        if key.contains('.') || takers.is_empty() || !all {
            continue;
        }
        let instead: Vec<String> = takers
            .iter()
            .map(|method| format!("train.{}.{key}", method.name()))
            .collect();
        faults.push(format!(
            "--set train.{key}: every method has it in its own section; set {}",
            instead.join(", ")
        ));
    }
}

fn default_methods() -> Vec<Method> {
    vec![Method::DPO, Method::CDPO]
}

fn sections(mut table: Table, faults: &mut Vec<String>) -> Recipe {
    let mut take = |name: &str| table.remove(name);
    let run: super::RunSection = section(take("run"), "run", faults);
    let methods = match take("methods") {
        None => default_methods(),
        given => section(given, "methods", faults),
    };
    Recipe {
        model: section(take("model").map(bos_as_text), "model", faults),
        data: section(take("data"), "data", faults),
        prompt: section(take("prompt"), "prompt", faults),
        sample: section(take("sample"), "sample", faults),
        grade: section(take("grade"), "grade", faults),
        select: section(take("select"), "select", faults),
        ce: ce(table_of(take("ce")), run.seed, faults),
        train: train(table_of(take("train")), &methods, run.seed, faults),
        rollout: section(take("rollout"), "rollout", faults),
        eval: section(take("eval"), "eval", faults),
        methods,
        run,
        given_adapter: None,
        shard: None,
    }
}

fn table_of(value: Option<Value>) -> Table {
    match value {
        Some(Value::Table(table)) => table,
        _ => Table::new(),
    }
}

/// `bos = true` is as good as `bos = "true"`.
fn bos_as_text(mut model: Value) -> Value {
    if let Some(bos) = model.as_table_mut().and_then(|t| t.get_mut("bos"))
        && let Some(yes) = bos.as_bool()
    {
        *bos = Value::String(yes.to_string());
    }
    model
}

fn ce(mut table: Table, seed: u64, faults: &mut Vec<String>) -> CeSection {
    // Left-out keys take the contrastive models' values, not the preference methods'.
    let mut lora = Table::try_from(ce_lora()).unwrap_or_default();
    lora.extend(table_of(table.remove("lora")));
    let lora = section(Some(Value::Table(lora)), "ce.lora", faults);
    let settings = table_of(table.remove("train"));
    let contrast: ContrastSettings = section(Some(Value::Table(table)), "ce", faults);
    if let Err(e) = contrast.validate() {
        faults.push(format!("ce: {e}"));
    }
    CeSection {
        ce_beta: contrast.ce_beta,
        max_tokens: contrast.max_tokens,
        lora,
        train: training(settings, Method::SFT, seed, "ce.train", faults),
    }
}

/// The paper's LoRA of the contrastive models.
fn ce_lora() -> LoraConfig {
    LoraConfig {
        rank: 8,
        alpha: 16.0,
        dropout: 0.1,
        target_modules: ["gate_proj", "up_proj", "down_proj"]
            .map(str::to_owned)
            .to_vec(),
        rslora: false,
    }
}

fn train(
    mut table: Table,
    methods: &[Method],
    seed: u64,
    faults: &mut Vec<String>,
) -> TrainSection {
    let lora = section(table.remove("lora"), "train.lora", faults);
    let few_shot = section(table.remove("few_shot"), "train.few_shot", faults);
    let mut own: BTreeMap<&str, Table> = BTreeMap::new();
    for method in Method::all() {
        own.insert(method.name(), table_of(table.remove(method.name())));
    }
    let mut settings = BTreeMap::new();
    let starts = methods.iter().any(|method| method.starts_from_sft());
    let start = (starts && !methods.contains(&Method::SFT)).then_some(Method::SFT);
    for method in methods.iter().copied().chain(start) {
        let mut whole = table.clone();
        // What this method's loss does not have is meant for the other methods.
        let own_settings = loss_settings_of(method);
        whole.retain(|name, _| {
            own_settings.contains(&name) || loss_settings().all(|known| known != name)
        });
        whole.extend(own.remove(method.name()).unwrap_or_default());
        let label = format!("train.{}", method.name());
        let checked = training(whole, method, seed, &label, faults);
        settings.insert(method.name().to_owned(), checked);
    }
    TrainSection {
        few_shot,
        lora,
        methods: settings,
    }
}

/// Settings of one training, completed and checked.
fn training(
    table: Table,
    method: Method,
    seed: u64,
    label: &str,
    faults: &mut Vec<String>,
) -> TrainSettings {
    let mut settings: TrainSettings = section(Some(Value::Table(table)), label, faults);
    settings.method = method;
    settings.seed.get_or_insert(seed);
    match settings.validate() {
        Ok(checked) => checked.resolved(),
        Err(found) => {
            faults.extend(found.0.into_iter().map(|fault| format!("{label}: {fault}")));
            settings
        }
    }
}
