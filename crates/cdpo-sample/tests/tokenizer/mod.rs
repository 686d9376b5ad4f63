//! A tokenizer of bytes.

use std::collections::BTreeMap;

use cdpo_model::Tokenizer;

/// The end token; 256 is the start token.
pub(crate) const EOS: u32 = 257;

/// What else a stub's model draws.
#[allow(dead_code)]
pub(crate) const LINE_FEED: u32 = 10;
#[allow(dead_code)]
pub(crate) fn letter(n: usize) -> u32 {
    u32::from(b'a') + n as u32
}

#[allow(dead_code)]
pub(crate) fn character(id: u32) -> Option<char> {
    (id < 128).then(|| char::from(id as u8))
}

/// One token a byte, spelled as GPT-2 does, and two special tokens.
pub(crate) fn tokenizer() -> Tokenizer {
    with_post_processor(&serde_json::Value::Null)
}

/// The same, whose files say that the start token stands before a text.
#[allow(dead_code)]
pub(crate) fn tokenizer_that_adds_bos() -> Tokenizer {
    with_post_processor(&serde_json::json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [256], "tokens": ["<s>"]}},
    }))
}

fn with_post_processor(post_processor: &serde_json::Value) -> Tokenizer {
    let mut next = 256u32;
    let vocabulary: BTreeMap<String, u32> = (0..256u32)
        .map(|byte| {
            let printable = matches!(byte, 33..=126 | 161..=172 | 174..=255);
            let spelled = if printable {
                byte
            } else {
                {
                    next += 1;
                    next - 1
                }
            };
            (char::from_u32(spelled).unwrap().to_string(), byte)
        })
        .collect();
    let special = |id: u32, content: &str| {
        serde_json::json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false})
    };
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": post_processor,
        "added_tokens": [special(256, "<s>"), special(257, "</s>")],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": []},
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, json.to_string()).unwrap();
    Tokenizer::from_file(&path).unwrap()
}
