//! A model small enough to write down, and questions for it: for a first run in seconds, and for tests.
//!
//! The model is a table of which character follows which, put into the embedding and the head of a two-layer LLaMA whose
//! blocks hold small random weights: enough for adapters to learn on, too little to change the table much. After `A:` it
//! draws a digit from 1 to 5, each about as likely as the others; the questions' answers are such digits.

use std::path::Path;

use cdpo_data::{Problem, jsonl};
use cdpo_model::source::TensorSource;
use cdpo_model::{Device, Key, Model, ModelConfig};
use serde_json::json;

const CHARACTERS: &str = "0123456789+-*=?:.,\n QAabcdefghijklmnopqrstuvwxyz";
const EOS: &str = "<|end|>";
const HIDDEN: usize = 64;

/// Writes `DIR/model`, `DIR/train.jsonl` and `DIR/test.jsonl`.
pub(crate) fn write(dir: &Path) -> anyhow::Result<()> {
    let model_dir = dir.join("model");
    std::fs::create_dir_all(&model_dir)?;
    let vocabulary = Vocabulary::new();
    jsonl::write_json(model_dir.join("tokenizer.json"), &vocabulary.tokenizer())?;
    jsonl::write_json(
        model_dir.join("tokenizer_config.json"),
        &json!({ "eos_token": EOS, "add_bos_token": false }),
    )?;
    let config = vocabulary.config().to_string();
    let config = ModelConfig::from_hf_json(&config, "the demonstration model")?;
    let model = Model::load(&config, &Written { vocabulary }, &Device::Cpu)?;
    model.save(&model_dir)?;
    let (test, train): (Vec<_>, Vec<_>) = questions()
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 3 == 2);
    for (file, problems) in [("train.jsonl", train), ("test.jsonl", test)] {
        let problems = problems.into_iter().map(|(_, problem)| problem).collect();
        jsonl::write_sorted(dir.join(file), problems)?;
    }
    Ok(())
}

/// Sums and differences of digits whose answer is 1 to 5.
fn questions() -> Vec<Problem> {
    let mut problems = Vec::new();
    for a in 0..=9_i32 {
        for b in 0..=9_i32 {
            for (sign, answer) in [('+', a + b), ('-', a - b)] {
                if (1..=5).contains(&answer) {
                    problems.push(Problem {
                        id: format!("demo/{}", problems.len()),
                        question: format!("{a}{sign}{b}?"),
                        answer: answer.to_string(),
                        solution: None,
                        subject: None,
                        level: None,
                    });
                }
            }
        }
    }
    problems
}

struct Vocabulary {
    characters: Vec<char>,
}

impl Vocabulary {
    fn new() -> Self {
        Self {
            characters: CHARACTERS.chars().collect(),
        }
    }

    fn len(&self) -> usize {
        self.characters.len() + 1
    }

    fn eos(&self) -> usize {
        self.characters.len()
    }

    /// A byte-level tokenizer without merges: a token a character.
    fn tokenizer(&self) -> serde_json::Value {
        let spelt = |c: char| match c {
            ' ' => 'Ġ',
            '\n' => 'Ċ',
            c => c,
        };
        let mut vocab = serde_json::Map::new();
        for (id, &c) in self.characters.iter().enumerate() {
            vocab.insert(spelt(c).to_string(), json!(id));
        }
        vocab.insert(EOS.to_owned(), json!(self.eos()));
        let bytes = json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
        });
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": [{
                "id": self.eos(), "content": EOS, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            }],
            "normalizer": null,
            "pre_tokenizer": bytes,
            "post_processor": null,
            "decoder": bytes,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocab, "merges": [],
            },
        })
    }

    fn config(&self) -> serde_json::Value {
        json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": self.len(),
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "tie_word_embeddings": false,
            "max_position_embeddings": 128,
            "eos_token_id": self.eos(),
        })
    }

    /// The logit of `next` after `last`.
    fn logit(&self, last: usize, next: usize) -> f32 {
        let at = |id: usize| self.characters.get(id).copied();
        let digit = |c: char| ('1'..='5').contains(&c);
        match (at(last), at(next)) {
            (Some(':' | ' '), Some(c)) if digit(c) => 0.0,
            (Some(' '), Some(' ')) => -3.0,
            (Some('.'), Some('\n')) => -1.0,
            (Some(':'), Some(' ')) | (Some('0'..='9'), Some('.')) => 2.0,
            (Some('0'..='9' | '.'), None) => 1.0,
            (Some('0'..='9'), Some(c)) if digit(c) => -2.0,
            (Some('0'..='9'), Some('\n')) => 0.0,
            _ => -10.0,
        }
    }
}

/// The weights, as a model's file would give them.
struct Written {
    vocabulary: Vocabulary,
}

impl TensorSource for Written {
    fn contains(&self, _: &str) -> bool {
        true
    }

    fn read(&self, name: &str, shape: &[usize]) -> cdpo_model::Result<Vec<f32>> {
        let columns = shape.last().copied().unwrap_or(1);
        let count: usize = shape.iter().product();
        let key = Key::new(1).with_str(name);
        let noise = |i: usize| (key.with(i as u64).unit() as f32 - 0.5) * 0.1;
        // A token's state is its own axis; the last norm makes it sqrt(HIDDEN) long.
        let scale = (HIDDEN as f32).sqrt();
        Ok((0..count)
            .map(|i| match (name, i / columns, i % columns) {
                _ if name.ends_with("norm.weight") => 1.0,
                ("model.embed_tokens.weight", row, column) => f32::from(u8::from(row == column)),
                ("lm_head.weight", next, last) if last < self.vocabulary.len() => {
                    self.vocabulary.logit(last, next) / scale
                }
                _ => noise(i),
            })
            .collect())
    }
}
