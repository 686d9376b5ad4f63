//! Which modules of a model an adapter stands at, by PEFT's rules.
//!
//! Goes in: what `adapter_config.json` says of targets, and a model. Comes out: the linear layers that are adapted.

use super::pattern::Pattern;
use crate::adapter::sites::{Candidate, candidates};
use crate::config::ModelConfig;
use crate::inventory::Place;
use crate::projection::Norm;

/// How a set of modules is named.
#[derive(Debug)]
pub(super) enum Modules {
    /// Whole names, or their last parts.
    Names(Vec<String>),
    /// A pattern for the whole name.
    Matching(Pattern),
    /// Every linear layer but the head.
    AllLinear,
}

/// Which modules an adapter stands at.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) chosen: Modules,
    pub(super) excluded: Modules,
    /// Modules that are saved whole; none of them is adapted.
    pub(super) kept_whole: Vec<Pattern>,
    /// With a list of last parts: the layers alone that are adapted.
    pub(super) layers: Option<Vec<u64>>,
    /// What the list that layers are counted in may be called; any name if empty.
    pub(super) layer_lists: Vec<Pattern>,
}

/// Whether `name` ends in the parts `last`, and has more in front.
fn ends_in(name: &str, last: &str) -> bool {
    name.strip_suffix(last)
        .is_some_and(|front| front.ends_with('.'))
}

impl Targets {
    /// The linear layers that are adapted, in the arena's order.
    ///
    /// # Errors
    /// A module that is targeted and is no linear layer, or a pattern that takes too long, for the message.
    pub(super) fn places(&self, model: &ModelConfig) -> Result<Vec<Candidate>, String> {
        for name in other_modules(model) {
            if self.has(&name, false)? {
                return Err(format!(
                    "target_modules matches `{name}`, which is no linear layer; only linear layers are supported"
                ));
            }
        }
        let mut found = Vec::new();
        for candidate in candidates(model) {
            if self.has(&candidate.0.module(), true)? {
                found.push(candidate);
            }
        }
        Ok(found)
    }

    fn has(&self, name: &str, linear: bool) -> Result<bool, String> {
        let named = |names: &[String]| names.iter().any(|n| name == n || ends_in(name, n));
        let out = match &self.excluded {
            Modules::Names(names) => named(names),
            Modules::Matching(pattern) => pattern.matches(name)?,
            Modules::AllLinear => false,
        };
        if out || any_matches(&self.kept_whole, name)? {
            return Ok(false);
        }
        match &self.chosen {
            Modules::Matching(pattern) => pattern.matches(name),
            Modules::AllLinear => Ok(linear && name != Place::Head.module()),
            Modules::Names(names) if names.iter().any(|n| n == name) => Ok(true),
            Modules::Names(names) => Ok(named(names) && self.has_layer(name)?),
        }
    }

    /// Whether the layer that `name` lies in is among those to be adapted.
    fn has_layer(&self, name: &str) -> Result<bool, String> {
        let Some(layers) = &self.layers else {
            return Ok(true);
        };
        let parts: Vec<&str> = name.split('.').collect();
        let number = parts[..parts.len() - 1]
            .iter()
            .enumerate()
            .find_map(|(i, part)| Some((i, part.parse::<u64>().ok()?)));
        let Some((i, layer)) = number else {
            return Ok(false);
        };
        let counted = match self.layer_lists.as_slice() {
            [] => i >= 2,
            lists => any_matches(lists, &parts[..i].join("."))?,
        };
        Ok(counted && layers.contains(&layer))
    }
}

fn any_matches(patterns: &[Pattern], name: &str) -> Result<bool, String> {
    for pattern in patterns {
        if pattern.matches(name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The names of all modules of a model that are no linear layers.
fn other_modules(model: &ModelConfig) -> Vec<String> {
    let mut all: Vec<String> = ["model", "model.layers", "model.rotary_emb"]
        .map(String::from)
        .into();
    all.extend([Place::Embedding.module(), Place::FinalNorm.module()]);
    for layer in 0..model.layers {
        let block = format!("model.layers.{layer}");
        all.extend(["self_attn", "mlp", "mlp.act_fn"].map(|part| format!("{block}.{part}")));
        all.extend(Norm::ALL.map(|norm| Place::Norm(layer, norm).module()));
        all.push(block);
    }
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn targets(chosen: Modules) -> Targets {
        Targets {
            chosen,
            excluded: Modules::Names(Vec::new()),
            kept_whole: Vec::new(),
            layers: None,
            layer_lists: Vec::new(),
        }
    }

    #[test]
    fn layers_are_counted_in_a_list_two_names_deep_unless_it_is_named() {
        let all = targets(Modules::Names(vec!["q_proj".into()]));
        let named = |layers, list: Option<&str>| Targets {
            layers,
            layer_lists: list
                .iter()
                .map(|l| Pattern::of_last_parts(l).unwrap())
                .collect(),
            ..targets(Modules::Names(vec!["q_proj".into()]))
        };
        let name = "model.layers.3.self_attn.q_proj";
        assert!(all.has(name, true).unwrap());
        assert!(named(Some(vec![1, 3]), None).has(name, true).unwrap());
        assert!(!named(Some(vec![1, 13]), None).has(name, true).unwrap());
        assert!(
            named(Some(vec![3]), Some("layers"))
                .has(name, true)
                .unwrap()
        );
        assert!(!named(Some(vec![3]), Some("h")).has(name, true).unwrap());
        // One name deep is not enough where the list has no name of its own: peft looks for `.LIST.NUMBER.`.
        assert!(
            !named(Some(vec![3]), None)
                .has("layers.3.q_proj", true)
                .unwrap()
        );
        // A whole name is taken whatever its layer.
        let whole = Targets {
            layers: Some(vec![1]),
            ..targets(Modules::Names(vec![name.into()]))
        };
        assert!(whole.has(name, true).unwrap());
    }
}
