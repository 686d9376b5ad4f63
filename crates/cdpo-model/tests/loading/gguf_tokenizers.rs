//! Tokenizers of GGUF files that are no named byte-level BPE: SentencePiece's pieces and scores, and files from before pre-tokenizers
//! were named.

use cdpo_model::Tokenizer;
use cdpo_model::source::{ModelSource, open};

use crate::writer::{File, Value, tiny};
use crate::{assert_says, fixture, message};

fn tokenizer(file: &File) -> cdpo_model::Result<Tokenizer> {
    let saved = file.save();
    open(&ModelSource::Path(saved.path().to_path_buf())).map(|checkpoint| checkpoint.tokenizer)
}

/// A model of one layer with these tokens.
fn with_tokens(arch: &str, tokens: &[String], kinds: Vec<i32>) -> File {
    let mut file = tiny(arch);
    let rows = tokens.len();
    file.tensors.retain(|t| t.name != "token_embd.weight");
    let values: Vec<f32> = (0..rows * 16).map(|i| (i % 7) as f32).collect();
    file.tensor_f32("token_embd.weight", &[rows, 16], &values);
    file.set("tokenizer.ggml.tokens", Value::Texts(tokens.to_vec()));
    file.set("tokenizer.ggml.token_type", Value::Ints(kinds));
    file
}

/// The vocabulary of the fixture `legacy` as llama.cpp's converter writes SentencePiece's: pieces, types, and scores that fall with the
/// order in which the pieces were learnt.
fn sentencepiece() -> File {
    let text = std::fs::read_to_string(fixture("tokenizers/legacy/tokenizer.json"));
    let json: serde_json::Value = serde_json::from_str(&text.expect("there")).expect("JSON");
    let vocab = json["model"]["vocab"].as_object().expect("a vocabulary");
    let mut tokens = vec![String::new(); vocab.len()];
    for (token, id) in vocab {
        tokens[id.as_u64().expect("an id") as usize].clone_from(token);
    }
    let kind = |token: &String| match token.as_str() {
        "<unk>" => 2,
        "<s>" | "</s>" => 3,
        byte if byte.starts_with("<0x") => 6,
        _ => 1,
    };
    let mut file = with_tokens("llama", &tokens, tokens.iter().map(kind).collect());
    file.set("tokenizer.ggml.model", Value::Text("llama".into()));
    file.unset("tokenizer.ggml.pre");
    file.unset("tokenizer.ggml.merges");
    file.set(
        "tokenizer.ggml.scores",
        Value::Floats((0..tokens.len()).map(|id| -(id as f32)).collect()),
    );
    file.set("tokenizer.ggml.bos_token_id", Value::U32(1));
    file.set("tokenizer.ggml.eos_token_id", Value::U32(2));
    file
}

#[test]
fn sentencepieces_ids_are_those_of_the_models_tokenizer_json() {
    let built = tokenizer(&sentencepiece()).expect("builds");
    let own = Tokenizer::from_file(&fixture("tokenizers/legacy/tokenizer.json")).expect("reads");
    let text = std::fs::read_to_string(fixture("tokenizers/legacy/cases.json")).expect("there");
    let cases: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let cases = cases.as_array().expect("a list");
    assert!(cases.len() > 10);
    for case in cases {
        let text = |name: &str| case[name].as_str().expect("a text").to_owned();
        let ids =
            |name: &str| -> Vec<u32> { serde_json::from_value(case[name].clone()).expect("ids") };
        let (prompt, response) = (text("prompt"), text("response"));
        // transformers' ids.
        assert_eq!(
            built.encode(&prompt).expect("encodes"),
            ids("prompt_ids"),
            "{prompt:?}"
        );
        let joint = format!("{prompt}{response}");
        assert_eq!(
            built.encode(&joint).expect("encodes"),
            ids("joint_ids"),
            "{joint:?}"
        );
        for &last in &ids("prompt_ids") {
            let after = built.encode_after(last, &response).expect("encodes");
            assert_eq!(
                after,
                own.encode_after(last, &response).expect("encodes"),
                "{response:?}"
            );
        }
        for id in ids("joint_ids") {
            assert_eq!(
                built.token_bytes(id).expect("bytes"),
                own.token_bytes(id).expect("bytes")
            );
        }
        let joint = ids("joint_ids");
        assert_eq!(
            built.decode(&joint).expect("decodes"),
            own.decode(&joint).expect("decodes")
        );
    }
    for text in ["<unk> has", "a <unk>b <s> 12"] {
        let own = own.encode(text).expect("encodes");
        assert_eq!(built.encode(text).expect("encodes"), own, "{text:?}");
    }
    assert!(built.marks_first_word());
    assert_eq!((built.bos(), built.eos()), (Some(1), &[2][..]));
    // llama.cpp puts BOS before a text of such a model unless the file says otherwise.
    assert_eq!(built.adds_bos(), Some(true));
    let mut silent = sentencepiece();
    silent.set("tokenizer.ggml.add_bos_token", Value::Flag(false));
    assert_eq!(tokenizer(&silent).expect("builds").adds_bos(), Some(false));
}

#[test]
fn a_file_that_says_so_puts_no_mark_before_a_text() {
    let mut file = sentencepiece();
    file.set("tokenizer.ggml.add_space_prefix", Value::Flag(false));
    let (plain, marked) = (
        tokenizer(&file).expect("builds"),
        tokenizer(&sentencepiece()).expect("builds"),
    );
    assert!(!plain.marks_first_word());
    assert_eq!(
        plain.encode(" has").expect("encodes"),
        marked.encode("has").expect("encodes")
    );
    assert_ne!(
        plain.encode("has").expect("encodes"),
        marked.encode("has").expect("encodes")
    );
    assert_ne!(plain.content_id(), marked.content_id());
}

#[test]
fn a_bos_that_is_put_before_a_text_must_be_named() {
    let mut file = sentencepiece();
    file.unset("tokenizer.ggml.bos_token_id");
    assert_says(&message(tokenizer(&file)), &["bos_token_id"]);
    file.set("tokenizer.ggml.add_bos_token", Value::Flag(false));
    assert!(tokenizer(&file).is_ok());
}

#[test]
fn pieces_without_scores_are_refused_by_name() {
    let mut file = sentencepiece();
    file.unset("tokenizer.ggml.scores");
    assert_says(&message(tokenizer(&file)), &["tokenizer.ggml.scores"]);
    file.set("tokenizer.ggml.scores", Value::Floats(vec![0.0; 3]));
    assert_says(&message(tokenizer(&file)), &["3 scores", "damaged"]);
}

#[test]
fn a_file_without_a_pre_tokenizer_is_read_where_its_tokens_leave_no_doubt() {
    let tokens = |special: [&str; 2]| -> Vec<String> {
        let texts = [special[0], special[1], "a", "b", "Ġ", "ab", "1", "11"];
        texts.map(str::to_owned).to_vec()
    };
    let kinds = vec![3, 3, 1, 1, 1, 1, 1, 1];
    for (arch, special, pre) in [
        ("qwen2", ["<|im_start|>", "<|endoftext|>"], "qwen2"),
        ("llama", ["<|begin_of_text|>", "<|eot_id|>"], "llama-bpe"),
    ] {
        let mut named = with_tokens(arch, &tokens(special), kinds.clone());
        let merges = ["a b", "1 1"].map(str::to_owned).to_vec();
        named.set("tokenizer.ggml.merges", Value::Texts(merges));
        named.set("tokenizer.ggml.pre", Value::Text(pre.into()));
        if arch == "qwen2" {
            for name in ["attn_q.bias", "attn_k.bias", "attn_v.bias"] {
                named.tensor_f32(&format!("blk.0.{name}"), &[16], &[0.0; 16]);
            }
        }
        let mut unnamed = named.clone();
        unnamed.unset("tokenizer.ggml.pre");
        let (named, unnamed) = (
            tokenizer(&named).expect("builds"),
            tokenizer(&unnamed).expect("builds"),
        );
        let text = "ab 11";
        assert_eq!(
            unnamed.encode(text).expect("encodes"),
            named.encode(text).expect("encodes")
        );
        assert_eq!(unnamed.content_id(), named.content_id());
        assert!(named.notes().is_empty());
        assert_says(&unnamed.notes()[0], &["tokenizer.ggml.pre", pre]);
    }
    // Of any other, nothing is guessed.
    let mut other = with_tokens("llama", &tokens(["<s>", "</s>"]), kinds);
    other.unset("tokenizer.ggml.pre");
    assert_says(
        &message(tokenizer(&other)),
        &["tokenizer.ggml.pre", "Hugging Face"],
    );
}
