//! The one list of a model's tensors: generated from the configuration, read by whoever loads, saves, counts or trains them.
//!
//! Goes in: a [`ModelConfig`]. Comes out: every tensor's place in the model, name and shape, in one of two orders, that of a
//! checkpoint's files ([`tensors`]) and that of a parameter arena ([`parameters`]).

use crate::block::description::{BlockDescription, Part};
use crate::config::ModelConfig;
use crate::projection::{Norm, Projection};

mod loader;

pub(crate) use loader::Loader;

/// Where in the model a tensor belongs. The number is the block's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The embedding `[V, H]`.
    Embedding,
    /// The gain of a block's norm.
    Norm(usize, Norm),
    /// The matrix of a linear layer.
    Weight(usize, Projection),
    /// The bias of a linear layer.
    Bias(usize, Projection),
    /// The gain of the norm before the head.
    FinalNorm,
    /// A head `[V, H]` that is not the embedding.
    Head,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorSpec {
    /// Where it belongs.
    pub(crate) place: Place,
    /// Its Hugging Face name.
    pub(crate) name: String,
    /// Row-major shape.
    pub(crate) shape: Vec<usize>,
}

impl TensorSpec {
    /// How many values it has.
    pub(crate) fn elements(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }
}

/// Every tensor of a model of this configuration, in the order of a checkpoint's files; a tied head is none.
pub(crate) fn tensors(config: &ModelConfig) -> Vec<TensorSpec> {
    let (vocab, hidden) = (config.vocab_size, config.hidden_size);
    let block = BlockDescription::of(config);
    let mut all = Vec::new();
    let mut add = |place: Place, shape: Vec<usize>| {
        all.push(TensorSpec {
            place,
            name: place.hf_name(),
            shape,
        });
    };
    add(Place::Embedding, vec![vocab, hidden]);
    for layer in 0..config.layers {
        for part in &block.parts {
            match part {
                Part::Norm(norm, len) => add(Place::Norm(layer, *norm), vec![*len]),
                Part::Linear(linear) => {
                    let (out, inner) = linear.shape;
                    add(Place::Weight(layer, linear.projection), vec![out, inner]);
                    if linear.bias {
                        add(Place::Bias(layer, linear.projection), vec![out]);
                    }
                }
            }
        }
    }
    add(Place::FinalNorm, vec![hidden]);
    if !config.tie_embeddings {
        add(Place::Head, vec![vocab, hidden]);
    }
    all
}

/// The same tensors in the order of a parameter arena. Checkpoints of a training hold arenas, and sums over all parameters
/// have its order: it stays as it is.
pub(crate) fn parameters(config: &ModelConfig) -> Vec<TensorSpec> {
    let mut all = tensors(config);
    all.sort_by_key(|tensor| match tensor.place {
        Place::Embedding => (0, 0),
        Place::Norm(layer, Norm::Input) => (1 + layer, 0),
        Place::Weight(layer, _) => (1 + layer, 1),
        Place::Bias(layer, _) => (1 + layer, 2),
        Place::Norm(layer, Norm::PostAttention) => (1 + layer, 3),
        Place::FinalNorm => (usize::MAX, 0),
        Place::Head => (usize::MAX, 1),
    });
    all
}

impl Place {
    /// The tensor's Hugging Face name.
    pub(crate) fn hf_name(self) -> String {
        match self {
            Self::Embedding => "model.embed_tokens.weight".into(),
            Self::Norm(layer, norm) => format!("model.layers.{layer}.{}.weight", norm.hf_name()),
            Self::Weight(layer, projection) => format!("{}.weight", projection.module(layer)),
            Self::Bias(layer, projection) => format!("{}.bias", projection.module(layer)),
            Self::FinalNorm => "model.norm.weight".into(),
            Self::Head => "lm_head.weight".into(),
        }
    }

    /// Hugging Face's name of the module that has the tensor.
    pub(crate) fn module(self) -> String {
        let name = self.hf_name();
        name.rsplit_once('.')
            .map_or_else(|| name.clone(), |(module, _)| module.to_owned())
    }

    /// GGUF's name of the tensor.
    pub(crate) fn gguf_name(self) -> String {
        match self {
            Self::Embedding => "token_embd.weight".into(),
            Self::Norm(layer, norm) => format!("blk.{layer}.{}.weight", norm.gguf_name()),
            Self::Weight(layer, p) => format!("blk.{layer}.{}.weight", p.gguf_name()),
            Self::Bias(layer, p) => format!("blk.{layer}.{}.bias", p.gguf_name()),
            Self::FinalNorm => "output_norm.weight".into(),
            Self::Head => "output.weight".into(),
        }
    }

    /// The place of the tensor with this Hugging Face name; `None` if no model here has one.
    pub(crate) fn of(hf_name: &str) -> Option<Self> {
        let once = [Self::Embedding, Self::FinalNorm, Self::Head];
        if let Some(place) = once.into_iter().find(|place| place.hf_name() == hf_name) {
            return Some(place);
        }
        let (layer, rest) = hf_name.strip_prefix("model.layers.")?.split_once('.')?;
        let layer = layer.parse().ok()?;
        let (module, kind) = rest.rsplit_once('.')?;
        let norms = Norm::ALL.into_iter();
        let linears = Projection::ALL.into_iter();
        match kind {
            "weight" => {
                let norm = norms.map(|n| (n.hf_name(), Self::Norm(layer, n)));
                let linear = linears.map(|p| (p.hf_name(), Self::Weight(layer, p)));
                norm.chain(linear).find(|(name, _)| *name == module)
            }
            "bias" => linears
                .map(|p| (p.hf_name(), Self::Bias(layer, p)))
                .find(|(name, _)| *name == module),
            _ => None,
        }
        .map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_gguf(name: &str) -> Option<String> {
        Place::of(name).map(Place::gguf_name)
    }

    #[test]
    fn names_map_by_module_and_keep_the_layer() {
        assert_eq!(
            to_gguf("model.layers.12.self_attn.k_proj.bias").as_deref(),
            Some("blk.12.attn_k.bias")
        );
        assert_eq!(
            to_gguf("model.layers.0.post_attention_layernorm.weight").as_deref(),
            Some("blk.0.ffn_norm.weight")
        );
        assert_eq!(to_gguf("lm_head.weight").as_deref(), Some("output.weight"));
        for unknown in [
            "model.layers.x.mlp.up_proj.weight",
            "model.layers.0.mlp.up_proj",
            "blk.0.attn_q.weight",
            "",
        ] {
            assert_eq!(to_gguf(unknown), None, "{unknown}");
        }
    }

    fn config(qkv_bias: bool, tie_embeddings: bool) -> ModelConfig {
        let json = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":11,"hidden_size":8,
            "intermediate_size":12,"num_hidden_layers":2,"num_attention_heads":2,"num_key_value_heads":1,
            "rms_norm_eps":1e-5,"rope_theta":10000.0,"max_position_embeddings":32,"eos_token_id":0}"#;
        let mut config = ModelConfig::from_hf_json(json, "test").unwrap();
        (config.qkv_bias, config.tie_embeddings) = (qkv_bias, tie_embeddings);
        config
    }

    #[test]
    fn every_tensor_is_listed_once_and_found_by_its_name() {
        for (qkv_bias, tied, count) in [(false, true, 20), (true, false, 27)] {
            let all = tensors(&config(qkv_bias, tied));
            assert_eq!(all.len(), count);
            for (i, tensor) in all.iter().enumerate() {
                assert_eq!(Place::of(&tensor.name), Some(tensor.place));
                assert!(all[..i].iter().all(|other| other.name != tensor.name));
            }
        }
    }

    /// Files of the block's parts in the order of use; arenas with the matrices, then the biases, between the norms.
    #[test]
    fn files_and_arenas_keep_their_orders() {
        let config = config(true, false);
        let second = |all: Vec<TensorSpec>| -> Vec<String> {
            let names = all.into_iter().map(|tensor| tensor.name);
            names
                .filter_map(|name| Some(name.strip_prefix("model.layers.1.")?.to_owned()))
                .collect()
        };
        let matrices = |names: &[&str]| names.iter().map(|n| format!("{n}.weight")).collect();
        let attention = ["q", "k", "v"].map(|p| format!("self_attn.{p}_proj"));
        let rest: Vec<String> = matrices(&["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]);
        let mut in_files = vec!["input_layernorm.weight".to_owned()];
        for p in &attention {
            in_files.extend([format!("{p}.weight"), format!("{p}.bias")]);
        }
        in_files.push("self_attn.o_proj.weight".into());
        in_files.push("post_attention_layernorm.weight".into());
        in_files.extend(rest.clone());
        assert_eq!(second(tensors(&config)), in_files);

        let mut in_arenas = vec!["input_layernorm.weight".to_owned()];
        in_arenas.extend(attention.iter().map(|p| format!("{p}.weight")));
        in_arenas.push("self_attn.o_proj.weight".into());
        in_arenas.extend(rest);
        in_arenas.extend(attention.iter().map(|p| format!("{p}.bias")));
        in_arenas.push("post_attention_layernorm.weight".into());
        assert_eq!(second(parameters(&config)), in_arenas);

        for all in [tensors(&config), parameters(&config)] {
            let name = |i: usize| all[i].name.as_str();
            assert_eq!(name(0), "model.embed_tokens.weight");
            assert_eq!(name(all.len() - 2), "model.norm.weight");
            assert_eq!(name(all.len() - 1), "lm_head.weight");
        }
    }
}
