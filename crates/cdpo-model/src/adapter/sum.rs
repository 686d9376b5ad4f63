//! Several adapters as one: what a model fine-tuned in two steps is for whoever loads a single adapter.

use std::sync::Arc;

use super::sites::peft_name;
use super::{Adapter, LoraConfig, check_layout, layout};
use crate::Device;
use crate::arena::Arena;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::inventory::Place;
use crate::projection::Projection;

impl Adapter {
    /// One adapter whose addition is the sum of `parts`' additions: their `A` above each other `[r1 + r2 + .., in]`, their `B` beside
    /// each other `[out, r1 + r2 + ..]`. Where all parts have one scale, no value is changed; else each `B` is scaled to the new
    /// one, 1.
    ///
    /// # Errors
    /// [`Error::Adapter`] without parts, or if one is for another model, has ranks or scales by module, or changes the head or the
    /// embedding.
    pub fn sum(model: &ModelConfig, parts: &[&Self], device: &Device) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::Adapter("a sum of no adapters".into()));
        };
        if parts.iter().any(|part| !part.is_plain()) {
            return Err(Error::Adapter(
                "a sum of adapters is made where each has one rank and alpha and changes linear layers of blocks alone; merge the \
                 first into the model instead"
                    .into(),
            ));
        }
        let rank: usize = parts.iter().map(|part| part.config.rank).sum();
        let scale = first.config.scale();
        let same = parts.iter().all(|part| part.config.scale() == scale);
        let scale = if same { scale } else { 1.0 };
        let mut target_modules = first.config.target_modules.clone();
        for target in parts.iter().flat_map(|part| &part.config.target_modules) {
            if !target_modules.contains(target) {
                target_modules.push(target.clone());
            }
        }
        let config = LoraConfig {
            rank,
            alpha: scale * rank as f64,
            dropout: 0.0,
            target_modules,
            rslora: false,
        };
        for part in parts {
            check_layout(&layout(model, &part.config)?, part.params.layout())?;
        }
        let mut params = Arena::zeros(Arc::new(layout(model, &config)?));
        for layer in 0..model.layers {
            for projection in Projection::ALL {
                let [a, b] = ['A', 'B'].map(|m| peft_name(Place::Weight(layer, projection), m));
                let mut above = 0;
                for part in parts {
                    let own = part.config.rank;
                    let factor = (part.config.scale() / scale) as f32;
                    if let (Some(from), Some(to)) = (part.params.view(&a), params.view_mut(&a)) {
                        let begin = above * (from.len() / own);
                        to[begin..begin + from.len()].copy_from_slice(from);
                    }
                    if let (Some(from), Some(to)) = (part.params.view(&b), params.view_mut(&b)) {
                        for (from, to) in from.chunks(own).zip(to.chunks_mut(rank)) {
                            for (x, y) in from.iter().zip(&mut to[above..]) {
                                *y = factor * x;
                            }
                        }
                    }
                    above += own;
                }
            }
        }
        Self::from_params(model, &config, &params, device)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::block::description::BlockDescription;
    use crate::keyed::Key;

    fn model() -> ModelConfig {
        let json = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":11,"hidden_size":8,
            "intermediate_size":12,"num_hidden_layers":2,"num_attention_heads":2,"num_key_value_heads":1,
            "rms_norm_eps":1e-5,"rope_theta":10000.0,"max_position_embeddings":32,"eos_token_id":0}"#;
        ModelConfig::from_hf_json(json, "test").unwrap()
    }

    fn adapter(rank: usize, alpha: f64, targets: &[&str], seed: u64) -> Adapter {
        let config = LoraConfig {
            rank,
            alpha,
            target_modules: targets.iter().map(|t| (*t).to_owned()).collect(),
            ..LoraConfig::default()
        };
        let mut adapter = Adapter::init(&model(), &config, Key::new(seed), &Device::Cpu).unwrap();
        let mut params = adapter.arena().clone();
        for (i, x) in params.data.iter_mut().enumerate() {
            *x = (Key::new(seed).with(i as u64).unit() - 0.5) as f32;
        }
        adapter.set(&params).unwrap();
        adapter
    }

    /// `scale * B A` of one projection.
    fn addition(adapter: &Adapter, layer: usize, projection: Projection) -> Vec<f64> {
        let block = BlockDescription::of(&model());
        let linear = block.linears().find(|l| l.projection == projection);
        let (out, inner) = linear.unwrap().shape;
        let rank = adapter.config.rank;
        let a = adapter
            .params
            .view(&peft_name(Place::Weight(layer, projection), 'A'));
        let b = adapter
            .params
            .view(&peft_name(Place::Weight(layer, projection), 'B'));
        let mut sum = vec![0.0; out * inner];
        if let (Some(a), Some(b)) = (a, b) {
            for (i, x) in sum.iter_mut().enumerate() {
                let (row, column) = (i / inner, i % inner);
                let product: f64 = (0..rank)
                    .map(|k| f64::from(b[row * rank + k]) * f64::from(a[k * inner + column]))
                    .sum();
                *x = adapter.config.scale() * product;
            }
        }
        sum
    }

    #[test]
    fn the_sums_addition_is_the_sum_of_the_additions() {
        let first = adapter(2, 4.0, &["q_proj", "up_proj"], 1);
        for second in [
            adapter(3, 6.0, &["q_proj", "down_proj"], 2),
            adapter(3, 1.0, &["q_proj", "up_proj"], 3),
        ] {
            let sum = Adapter::sum(&model(), &[&first, &second], &Device::Cpu).unwrap();
            assert_eq!(sum.config.rank, 5);
            for layer in 0..2 {
                for projection in Projection::ALL {
                    let whole = addition(&sum, layer, projection);
                    let one = addition(&first, layer, projection);
                    let other = addition(&second, layer, projection);
                    for i in 0..whole.len() {
                        let expected = one[i] + other[i];
                        assert!((whole[i] - expected).abs() < 1e-6, "{projection:?} {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn parts_of_one_scale_are_kept_bit_for_bit() {
        let (first, second) = (
            adapter(2, 4.0, &["o_proj"], 1),
            adapter(2, 4.0, &["o_proj"], 2),
        );
        let sum = Adapter::sum(&model(), &[&first, &second], &Device::Cpu).unwrap();
        let matrix = |adapter: &Adapter, which| {
            let name = peft_name(Place::Weight(1, Projection::O), which);
            adapter.params.view(&name).unwrap().to_vec()
        };
        let of = |which| [&sum, &first, &second].map(|adapter| matrix(adapter, which));
        let [whole, above, below] = of('A');
        assert_eq!(whole, [above, below].concat());
        let [whole, left, right] = of('B');
        let rows: Vec<f32> = left
            .chunks(2)
            .zip(right.chunks(2))
            .flat_map(|(left, right)| [left, right].concat())
            .collect();
        assert_eq!(whole, rows);
    }

    #[test]
    fn a_part_for_another_model_is_refused() {
        let own = adapter(2, 4.0, &["down_proj"], 1);
        let mut other = model();
        other.intermediate_size = 8;
        let config = own.config.clone();
        let part = Adapter::init(&other, &config, Key::new(2), &Device::Cpu).unwrap();
        let error = Adapter::sum(&model(), &[&own, &part], &Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("down_proj"), "{error}");
        assert!(error.to_string().contains("for another model"), "{error}");
    }
}
