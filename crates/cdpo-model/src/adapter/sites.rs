//! Where an adapter stands in a model: the linear layers it is added to, each with its rank and scale.
//!
//! Goes in: a model's shapes and settings. Comes out: [`Site`]s in the arena's order, and the arena's layout.

use super::LoraConfig;
use crate::arena::Layout;
use crate::block::description::BlockDescription;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::inventory::Place;
use crate::projection::Projection;

/// A linear layer that an adapter is added to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Site {
    /// A linear layer of a block, or the head.
    pub(crate) place: Place,
    /// `(out, in)`.
    pub(crate) shape: (usize, usize),
    pub(crate) rank: usize,
    pub(crate) alpha: f64,
}

impl Site {
    /// The factor of the update here.
    pub(crate) fn scale(&self, rslora: bool) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if rslora { rank.sqrt() } else { rank }
    }
}

/// The name under which PEFT stores the `A` or `B` at a place.
pub(crate) fn peft_name(place: Place, matrix: char) -> String {
    format!("base_model.model.{}.lora_{matrix}.weight", place.module())
}

/// A linear layer and its `(out, in)`.
pub(crate) type Candidate = (Place, (usize, usize));

/// Every linear layer of a model that a LoRA can stand at, the head last.
pub(crate) fn candidates(model: &ModelConfig) -> Vec<Candidate> {
    let block = BlockDescription::of(model);
    let mut all = Vec::new();
    for layer in 0..model.layers {
        for linear in block.linears() {
            all.push((Place::Weight(layer, linear.projection), linear.shape));
        }
    }
    all.push((Place::Head, (model.vocab_size, model.hidden_size)));
    all
}

/// Where a fresh adapter stands: the targets' linear layers, by layer.
///
/// # Errors
/// Settings out of range, or a target name that matches no linear layer of a block.
pub(crate) fn of_config(model: &ModelConfig, config: &LoraConfig) -> Result<Vec<Site>> {
    config.validate()?;
    for target in &config.target_modules {
        let one = LoraConfig {
            target_modules: vec![target.clone()],
            ..config.clone()
        };
        if !(0..model.layers).any(|l| Projection::ALL.iter().any(|p| one.targets(&p.module(l)))) {
            let known: Vec<&str> = Projection::ALL.iter().map(|p| p.suffix()).collect();
            return Err(Error::Adapter(format!(
                "target module `{target}` matches no linear layer of this model; it has {}",
                known.join(", ")
            )));
        }
    }
    let targeted = |place: &Place| *place != Place::Head && config.targets(&place.module());
    Ok(candidates(model)
        .into_iter()
        .filter(|(place, _)| targeted(place))
        .map(|(place, shape)| Site {
            place,
            shape,
            rank: config.rank,
            alpha: config.alpha,
        })
        .collect())
}

/// Names and shapes of the parameters: `A` `[r, in]`, then `B` `[out, r]`, of each site.
pub(crate) fn layout(sites: &[Site]) -> Layout {
    let mut named = Vec::new();
    for site in sites {
        let (out, inner) = site.shape;
        named.push((peft_name(site.place, 'A'), vec![site.rank, inner]));
        named.push((peft_name(site.place, 'B'), vec![out, site.rank]));
    }
    Layout::new(named)
}
