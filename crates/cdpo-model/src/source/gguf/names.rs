//! Tensor names: Hugging Face's, and GGUF's for the same tensor.

/// The GGUF name of a Hugging Face tensor; `None` if this family of files has none.
pub(super) fn to_gguf(name: &str) -> Option<String> {
    match name {
        "model.embed_tokens.weight" => return Some("token_embd.weight".into()),
        "model.norm.weight" => return Some("output_norm.weight".into()),
        "lm_head.weight" => return Some("output.weight".into()),
        _ => {}
    }
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    layer.parse::<usize>().ok()?;
    let (module, kind) = rest.rsplit_once('.')?;
    let stored = match module {
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" => "ffn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        _ => return None,
    };
    matches!(kind, "weight" | "bias").then(|| format!("blk.{layer}.{stored}.{kind}"))
}

/// The module part of a GGUF block tensor's name: `attn_q` of `blk.3.attn_q.weight`.
pub(super) fn projection(gguf_name: &str) -> Option<&str> {
    gguf_name.strip_prefix("blk.")?.split('.').nth(1)
}

#[cfg(test)]
mod tests {
    use super::{projection, to_gguf};

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
        assert_eq!(projection("blk.3.attn_q.weight"), Some("attn_q"));
        assert_eq!(projection("token_embd.weight"), None);
    }
}
