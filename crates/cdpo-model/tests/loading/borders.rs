//! Prompt and response encoded apart: joined, their ids are the joint text's but for a token over the border.

use cdpo_model::Tokenizer;
use serde_json::{Value, json};

use crate::real::{gguf, real, texts};
use crate::{assert_says, fixture, message};

const MARKING: [&str; 4] = ["legacy", "first", "always", "prefix"];

fn marking(name: &str) -> Tokenizer {
    let path = fixture(&format!("tokenizers/{name}/tokenizer.json"));
    Tokenizer::from_file(&path).expect("reads")
}

fn cases(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(fixture(&format!("tokenizers/{name}/cases.json")));
    serde_json::from_str(&text.expect("there")).expect("JSON")
}

fn bytes(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<u8> {
    ids.iter()
        .flat_map(|&id| tokenizer.token_bytes(id).expect("bytes"))
        .collect()
}

/// Whether a token of `joint` has bytes on both sides of the place `border`.
fn spanned(tokenizer: &Tokenizer, joint: &[u32], border: usize) -> bool {
    let mut at = 0;
    joint.iter().any(|&id| {
        let from = at;
        at += tokenizer.token_bytes(id).expect("bytes").len();
        from < border && border < at
    })
}

/// Encodes the two apart and asserts that the ids are the joint text's, or that a token of it reaches over the border (or the blanks at it
/// are cut by what follows) and the ids differ in the words at the border alone. Gives whether they differ.
fn merged(tokenizer: &Tokenizer, prompt: &str, response: &str) -> bool {
    let text = format!("{prompt}{response}");
    let joint = tokenizer.encode(&text).expect("encodes");
    let before = tokenizer.encode(prompt).expect("encodes");
    let last = *before.last().expect("a prompt");
    let after = tokenizer.encode_after(last, response).expect("encodes");
    let apart = [before.as_slice(), &after].concat();
    assert_eq!(
        bytes(tokenizer, &apart),
        bytes(tokenizer, &joint),
        "{prompt:?} {response:?}"
    );
    if apart == joint {
        return false;
    }
    let border = bytes(tokenizer, &before).len();
    let same = joint.iter().zip(&apart).take_while(|(a, b)| a == b).count();
    let end = joint
        .iter()
        .rev()
        .zip(apart.iter().rev())
        .take_while(|(a, b)| a == b)
        .count()
        .min(joint.len().min(apart.len()) - same);
    let other = bytes(tokenizer, &joint[same..joint.len() - end]);
    let other = String::from_utf8_lossy(&other).into_owned();
    let from = bytes(tokenizer, &joint[..same]).len();
    assert!(
        from <= border && border <= from + other.len(),
        "{prompt:?} {response:?}: {other:?}"
    );
    // GPT-2's pattern leaves the last of some blanks to the word behind them.
    assert!(
        spanned(tokenizer, &joint, border) || other.trim().is_empty(),
        "{prompt:?} {response:?}: {apart:?} {joint:?}"
    );
    assert!(
        !other.trim().contains(char::is_whitespace),
        "more than a word differs: {prompt:?} {response:?}: {other:?}"
    );
    true
}

#[test]
fn a_tokenizer_that_marks_words_gives_the_reference_ids_apart() {
    for name in MARKING {
        let tokenizer = marking(name);
        assert!(tokenizer.marks_first_word());
        let mut differ = Vec::new();
        for case in cases(name) {
            let text = |key: &str| case[key].as_str().expect("text").to_owned();
            let ids =
                |key: &str| -> Vec<u32> { serde_json::from_value(case[key].clone()).expect("ids") };
            let (prompt, response) = (text("prompt"), text("response"));
            assert_eq!(
                tokenizer.encode(&prompt).expect("encodes"),
                ids("prompt_ids")
            );
            let joint = tokenizer.encode(&format!("{prompt}{response}"));
            assert_eq!(joint.expect("encodes"), ids("joint_ids"), "{name}");
            if merged(&tokenizer, &prompt, &response) {
                differ.push(format!("{prompt}|{response}"));
            }
        }
        // `Answer: It` and `s 12`: only where `Its` could be one word may a token reach over it.
        let allowed = [
            "12|34",
            "a | b",
            "Question: Ada has 3 apples.\nAnswer: It|s 12",
        ];
        assert!(
            differ.iter().all(|d| allowed.contains(&d.as_str())),
            "{name}: {differ:?}"
        );
    }
}

#[test]
fn a_response_has_no_mark_that_the_joint_text_has_not() {
    for name in MARKING {
        let tokenizer = marking(name);
        let prompt = tokenizer.encode("How many").expect("encodes");
        let last = *prompt.last().expect("ids");
        let after = |text: &str| tokenizer.encode_after(last, text).expect("encodes");
        assert_eq!(
            bytes(&tokenizer, &after("Ada has 3")),
            b"Ada has 3",
            "{name}"
        );
        assert_eq!(
            bytes(&tokenizer, &after(" Ada has 3")),
            b" Ada has 3",
            "{name}"
        );
        assert_eq!(bytes(&tokenizer, &after("\n\nAda")), b"\n\nAda", "{name}");
        assert_ne!(
            after("Ada"),
            tokenizer.encode("Ada").expect("encodes"),
            "{name}"
        );
        let joined = [prompt.clone(), after(" Ada has 3")].concat();
        assert_eq!(
            tokenizer.decode(&joined).expect("decodes").trim_start(),
            "How many Ada has 3"
        );
    }
}

#[test]
fn behind_a_special_token_the_mark_is_as_in_the_joint_text() {
    for (name, marked) in [
        ("legacy", true),
        ("first", false),
        ("always", true),
        ("prefix", true),
    ] {
        let tokenizer = marking(name);
        let end = tokenizer.id_of("</s>").expect("there");
        let after = tokenizer.encode_after(end, "Ada").expect("encodes");
        let joint = tokenizer.encode("How</s>Ada").expect("encodes");
        assert!(joint.ends_with(&after), "{name}: {joint:?} {after:?}");
        assert_eq!(
            bytes(&tokenizer, &after).starts_with(b" "),
            marked,
            "{name}"
        );
    }
}

#[test]
fn questions_and_solutions_have_the_joint_texts_ids() {
    let Some(texts) = texts() else { return };
    let mut tokenizers: Vec<(String, Tokenizer)> = MARKING
        .iter()
        .map(|name| ((*name).to_owned(), marking(name)))
        .collect();
    for name in ["tokenizer-llama3", "tokenizer-qwen2_5"] {
        let Some(path) = real("CDPO_TEST_MODELS", name) else {
            return;
        };
        let tokenizer = Tokenizer::from_file(&path.join("tokenizer.json")).expect("reads");
        tokenizers.push((name.to_owned(), tokenizer));
    }
    for name in [
        "smollm2-135m-instruct-q4_1.gguf",
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    ] {
        let Some(checkpoint) = gguf(name) else { return };
        tokenizers.push((name.to_owned(), checkpoint.tokenizer));
    }
    for (name, tokenizer) in tokenizers {
        // Every 20th row as it is framed, and cut anywhere: within words, numbers and blanks.
        let (mut framed, mut cut) = (0, 0);
        for pair in texts.chunks_exact(2).step_by(20) {
            let (question, solution) = (&pair[0].1, &pair[1].1);
            framed += usize::from(merged(
                &tokenizer,
                &format!("Question: {question}\nAnswer:"),
                &format!(" {solution}"),
            ));
            let half = (solution.len() / 2..=solution.len())
                .find(|&at| solution.is_char_boundary(at))
                .expect("its end");
            let (head, tail) = solution.split_at(half);
            if !head.is_empty() {
                cut += usize::from(merged(&tokenizer, head, tail));
            }
        }
        assert_eq!(framed, 0, "{name}");
        assert!(cut > 0, "{name}: the cuts test nothing");
    }
}

#[test]
fn a_tokenizer_whose_ids_are_not_the_text_is_refused_by_the_step() {
    let text = std::fs::read_to_string(fixture("tokenizers/legacy/tokenizer.json")).expect("there");
    let refused = |path: &[&str], value: Value, says: &str| {
        let mut file: Value = serde_json::from_str(&text).expect("JSON");
        let mut at = &mut file;
        for key in path {
            at = &mut at[*key];
        }
        *at = value;
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("tokenizer.json");
        std::fs::write(&path, file.to_string()).expect("written");
        assert_says(
            &message(Tokenizer::from_file(&path)),
            &["tokenizer.json", says, "not supported"],
        );
    };
    refused(
        &["normalizer"],
        json!({"type": "Lowercase"}),
        "the normaliser Lowercase",
    );
    refused(
        &["normalizer"],
        json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Strip", "strip_left": true, "strip_right": true}]}),
        "the normaliser Strip",
    );
    refused(
        &["pre_tokenizer"],
        json!({"type": "Whitespace"}),
        "the pre-tokenizer Whitespace",
    );
    refused(
        &["pre_tokenizer"],
        json!({"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": false}),
        "the pre-tokenizer Split removes",
    );
    refused(
        &["pre_tokenizer"],
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}),
        "two steps put a mark",
    );
    refused(&["decoder"], Value::Null, "there is no decoder");
    refused(
        &["decoder"],
        json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        "the decoder WordPiece",
    );
    refused(&["model", "dropout"], json!(0.1), "model.dropout");
    refused(
        &["model", "end_of_word_suffix"],
        json!("</w>"),
        "end_of_word_suffix",
    );
}
