//! `adapter_config.json`, key by key: each is computed, known to change no number of a saved adapter, or refused by name.
//!
//! Goes in: the file's text. Comes out: [`Settings`], which say of a module's name whether and how it is adapted, by PEFT's rules.
//! The keys are those of peft 0.21's `LoraConfig`; one that is not among them is refused unless its value says nothing.

use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::pattern::Pattern;
use super::targets::{Modules, Targets};
use crate::adapter::LoraConfig;
use crate::config::fields::Fields;
use crate::config::keys::{says_nothing, shown};
use crate::error::{Error, Result};

/// Keys that name things, or that only training or the start of training reads.
const HARMLESS: &[&str] = &[
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "eva_config",
    "inference_mode",
    "loftq_config",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
];

/// Keys that are computed; each is read where its meaning is.
const READ: &[&str] = &[
    "alpha_pattern",
    "bias",
    "exclude_modules",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "modules_to_save",
    "peft_type",
    "r",
    "rank_pattern",
    "target_modules",
    "task_type",
    "use_rslora",
];

/// Starts after which the base's weights are as they were: saved `A` and `B` say all. The others (`pissa`, `pissa_niter_N`,
/// `olora`, `corda`, `loftq`, `lora_ga`) take their start out of the base's weights, and the file holds no such weights.
const HARMLESS_STARTS: &[&str] = &["gaussian", "eva", "orthogonal", "mica"];

/// What a saved adapter is.
#[derive(Debug)]
pub(super) struct Settings {
    /// Rank, alpha, dropout and scaling of every module without a pattern of its own; its targets are set by the caller.
    pub(super) lora: LoraConfig,
    pub(super) targets: Targets,
    /// `modules_to_save`.
    pub(super) saved: Vec<String>,
    /// In the file's order, which decides.
    ranks: Vec<(Pattern, f64)>,
    alphas: Vec<(Pattern, f64)>,
}

impl Settings {
    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// All that is missing, malformed or not supported, together.
    pub(super) fn read(text: &str, path: &Path) -> Result<Self> {
        let value: Value = serde_json::from_str(text)
            .map_err(|e| Error::file(path, format!("not valid JSON: {e}")))?;
        let Value::Object(map) = value else {
            return Err(Error::file(path, "expected a JSON object"));
        };
        let mut keys = Fields {
            map: &map,
            faults: Vec::new(),
        };
        keys.refuse_what_is_not_computed();
        let lora = LoraConfig {
            rank: keys.rank(),
            alpha: keys.required("lora_alpha"),
            dropout: keys.number("lora_dropout", 0.0),
            target_modules: Vec::new(),
            rslora: keys.flag("use_rslora", false),
        };
        let saved = keys.names("modules_to_save");
        let targets = keys.targets(&saved);
        let ordered = keys.ordered(text);
        let mut ranks = keys.patterns("rank_pattern", ordered.rank_pattern);
        let alphas = keys.patterns("alpha_pattern", ordered.alpha_pattern);
        if let Some((_, bad)) = ranks.iter().find(|(_, r)| !is_rank(*r)) {
            keys.faults.push(format!(
                "rank_pattern gives the rank {bad}, expected a whole number of at least 1"
            ));
            ranks.clear();
        }
        if !alphas.iter().all(|(_, a)| a.is_finite() && *a > 0.0) {
            keys.faults
                .push("alpha_pattern has a value that is not positive".into());
        }
        if keys.faults.is_empty() {
            Ok(Self {
                lora,
                targets,
                saved,
                ranks,
                alphas,
            })
        } else {
            Err(Error::file(path, keys.faults.join("; ")))
        }
    }

    /// Rank and alpha at the module `name`: those of the first pattern that matches the end of the name.
    ///
    /// # Errors
    /// If a pattern takes too long, for the message.
    pub(super) fn at(&self, name: &str) -> Result<(usize, f64), String> {
        let first = |patterns: &[(Pattern, f64)]| -> Result<Option<f64>, String> {
            for (pattern, value) in patterns {
                if pattern.matches(name)? {
                    return Ok(Some(*value));
                }
            }
            Ok(None)
        };
        Ok((
            first(&self.ranks)?.map_or(self.lora.rank, |rank| rank as usize),
            first(&self.alphas)?.unwrap_or(self.lora.alpha),
        ))
    }
}

/// Whether a number can be a rank: whole, positive, and small enough for products of sizes.
fn is_rank(number: f64) -> bool {
    number.fract() == 0.0 && (1.0..=1e6).contains(&number)
}

impl Fields<'_> {
    /// Faults for every key that is not read here and says something, and for settings that change what is computed.
    fn refuse_what_is_not_computed(&mut self) {
        let text = |key: &str| {
            self.get(key)
                .map(|v| v.as_str().map_or(v.to_string(), String::from))
        };
        let mut faults = Vec::new();
        for (key, value) in self.map {
            let known = HARMLESS.contains(&key.as_str()) || READ.contains(&key.as_str());
            if !known && !says_nothing(value) {
                faults.push(format!(
                    "{key} is {}, which is not supported (merge the adapter with PEFT's `merge_and_unload` and use the merged model)",
                    shown(value)
                ));
            }
        }
        match text("peft_type").as_deref() {
            Some("LORA") => {}
            other => faults.push(format!(
                "peft_type is {}, only LORA is supported",
                other.unwrap_or("missing")
            )),
        }
        match text("task_type").as_deref() {
            None | Some("CAUSAL_LM") => {}
            Some(other) => {
                faults.push(format!("task_type is {other}, only CAUSAL_LM is supported"));
            }
        }
        match text("bias").as_deref() {
            None | Some("none") => {}
            Some(other) => faults.push(format!(
                "bias is \"{other}\": trained biases are not supported, only \"none\" is"
            )),
        }
        match self.get("init_lora_weights") {
            None | Some(Value::Bool(_)) => {}
            Some(Value::String(start)) if HARMLESS_STARTS.contains(&start.as_str()) => {}
            Some(other) => faults.push(format!(
                "init_lora_weights is {}: such a start changes the base model's weights too, and they are not in this folder; save the \
                 adapter with PEFT's `save_pretrained(.., path_initial_model_for_weight_conversion=..)`, or merge it there",
                shown(other)
            )),
        }
        self.faults.extend(faults);
    }

    fn rank(&mut self) -> usize {
        let rank = self.required("r");
        if !is_rank(rank) {
            self.faults.push(format!(
                "r is {rank}, expected a whole number of at least 1"
            ));
        }
        rank as usize
    }

    /// A list of names, or none.
    fn names(&mut self, key: &str) -> Vec<String> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => list
                .iter()
                .filter_map(|v| v.as_str().map(String::from))
                .collect(),
            Some(other) => {
                let fault = format!("{key} is {}, expected a list of names", shown(other));
                self.faults.push(fault);
                Vec::new()
            }
        }
    }

    /// A regular expression, or a list of names.
    fn modules(&mut self, key: &str) -> Modules {
        let Some(Value::String(text)) = self.get(key) else {
            return Modules::Names(self.names(key));
        };
        if key == "target_modules" && text.eq_ignore_ascii_case("all-linear") {
            return Modules::AllLinear;
        }
        let text = text.clone();
        match Pattern::new(&text) {
            Ok(pattern) => Modules::Matching(pattern),
            Err(reason) => {
                self.faults
                    .push(format!("the pattern of {key}, `{text}`, {reason}"));
                Modules::Names(Vec::new())
            }
        }
    }

    fn targets(&mut self, saved: &[String]) -> Targets {
        if self.get("target_modules").is_none() {
            self.faults.push("target_modules is missing".into());
        }
        let chosen = self.modules("target_modules");
        let excluded = self.modules("exclude_modules");
        let layers = match self.get("layers_to_transform") {
            None => None,
            Some(Value::Array(list)) if list.is_empty() => None,
            Some(value) => {
                let one = std::slice::from_ref(value);
                let list = value.as_array().map_or(one, Vec::as_slice);
                let indexes: Option<Vec<u64>> = list.iter().map(Value::as_u64).collect();
                if indexes.is_none() {
                    let fault = format!(
                        "layers_to_transform is {}, expected layer numbers",
                        shown(value)
                    );
                    self.faults.push(fault);
                }
                indexes
            }
        };
        if layers.is_some() && !matches!(chosen, Modules::Names(_)) {
            self.faults
                .push("layers_to_transform goes with a list of target_modules alone".into());
        }
        let list_of = match self.get("layers_pattern") {
            Some(Value::String(one)) if !one.is_empty() => vec![one.clone()],
            Some(Value::String(_)) => Vec::new(),
            _ => self.names("layers_pattern"),
        };
        let mut layer_lists = Vec::new();
        for text in list_of {
            match Pattern::of_last_parts(&text) {
                Ok(pattern) => layer_lists.push(pattern),
                Err(reason) => self
                    .faults
                    .push(format!("the pattern of layers_pattern, `{text}`, {reason}")),
            }
        }
        let mut kept_whole = Vec::new();
        for text in saved {
            match Pattern::of_last_parts(text) {
                Ok(pattern) => kept_whole.push(pattern),
                Err(reason) => self
                    .faults
                    .push(format!("the name in modules_to_save, `{text}`, {reason}")),
            }
        }
        Targets {
            chosen,
            excluded,
            kept_whole,
            layers,
            layer_lists,
        }
    }

    /// The two keys whose order counts, which the map does not keep.
    fn ordered(&mut self, text: &str) -> PatternKeys {
        for key in ["rank_pattern", "alpha_pattern"] {
            if let Some(other) = self.get(key)
                && !other
                    .as_object()
                    .is_some_and(|map| map.values().all(Value::is_number))
            {
                let fault = format!("{key} is {}, expected names with numbers", shown(other));
                self.faults.push(fault);
                return PatternKeys::default();
            }
        }
        serde_json::from_str(text).unwrap_or_else(|e| {
            self.faults
                .push(format!("rank_pattern or alpha_pattern cannot be read: {e}"));
            PatternKeys::default()
        })
    }

    /// The patterns of `key` with their values.
    fn patterns(&mut self, key: &str, ordered: Option<InOrder>) -> Vec<(Pattern, f64)> {
        let mut patterns = Vec::new();
        for (name, value) in ordered.unwrap_or_default().0 {
            match Pattern::of_last_parts(&name) {
                Ok(pattern) => patterns.push((pattern, value)),
                Err(reason) => self
                    .faults
                    .push(format!("the pattern of {key}, `{name}`, {reason}")),
            }
        }
        patterns
    }
}

/// The two keys whose order in the file counts.
#[derive(Debug, Default, serde::Deserialize)]
struct PatternKeys {
    rank_pattern: Option<InOrder>,
    alpha_pattern: Option<InOrder>,
}

/// An object's entries as they stand in the file.
#[derive(Debug, Default)]
struct InOrder(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = InOrder;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<InOrder, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(InOrder(all))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
