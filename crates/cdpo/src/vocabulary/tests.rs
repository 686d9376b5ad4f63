//! What ends a response, and what a text begins with.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;

/// A committed tokenizer with `<s>` (1) and `</s>` (2).
fn tokenizer() -> Tokenizer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cdpo-model/tests/fixtures");
    Tokenizer::from_file(&folder.join("tokenizers/first/tokenizer.json")).unwrap()
}

/// A model with 64 rows more than the tokenizer has tokens.
fn config(tokens: usize, eos: &str) -> ModelConfig {
    let rows = tokens + 64;
    let text = format!(
        r#"{{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":{rows},"hidden_size":8,"intermediate_size":12,
        "num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"rms_norm_eps":1e-5,"rope_theta":10000.0,
        "max_position_embeddings":32,"eos_token_id":{eos}}}"#
    );
    ModelConfig::from_hf_json(&text, "test").unwrap()
}

#[test]
fn an_end_without_a_token_ends_nothing_and_leaves_the_padding_as_it_is() {
    let tokens = tokenizer().vocab_size();
    let beyond = tokens + 3;
    let config = config(tokens, &format!("[{beyond}, 2]"));
    let (stops, tokenless) = ends(&tokenizer(), &config);
    assert_eq!((stops, tokenless), (vec![2], vec![beyond as u32]));
    let vocabulary = Vocabulary::resolve(tokenizer(), &config, "test", Bos::Auto).unwrap();
    assert_eq!((vocabulary.eos, vocabulary.padding), (2, 64));
    assert_eq!(vocabulary.stops, [2]);
}

#[test]
fn a_text_brings_bos_where_its_first_token_is_that() {
    let with = |bos| Vocabulary::of(tokenizer(), bos, 2, vec![2]);
    for (text, brings) in [
        ("<s>It", true),
        ("It<s>", false),
        ("", false),
        ("<s", false),
    ] {
        assert_eq!(with(Some(1)).brings_bos(text).unwrap(), brings, "{text}");
        assert!(!with(None).brings_bos(text).unwrap());
    }
}
