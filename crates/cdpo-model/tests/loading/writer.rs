//! A small writer of GGUF files, and a tiny model to change and write.

use std::io::Write;

/// A metadata value to write.
#[derive(Clone)]
pub(crate) enum Value {
    U32(u32),
    F32(f32),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Ints(Vec<i32>),
    Floats(Vec<f32>),
}

/// A tensor to write: row-major shape, GGML type number, bytes.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: u32,
    pub(crate) data: Vec<u8>,
}

/// A GGUF file to write.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) version: u32,
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) tensors: Vec<Tensor>,
}

impl File {
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.metadata.retain(|(k, _)| k != key);
        self.metadata.push((key.to_string(), value));
    }

    pub(crate) fn unset(&mut self, key: &str) {
        self.metadata.retain(|(k, _)| k != key);
    }

    pub(crate) fn tensor_f32(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensors.push(Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            kind: 0,
            data,
        });
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let text = |out: &mut Vec<u8>, text: &str| {
            out.extend((text.len() as u64).to_le_bytes());
            out.extend(text.as_bytes());
        };
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        let mut alignment = 32;
        for (key, value) in &self.metadata {
            text(&mut out, key);
            match value {
                Value::U32(x) => {
                    if key == "general.alignment" {
                        alignment = *x as usize;
                    }
                    out.extend(4u32.to_le_bytes());
                    out.extend(x.to_le_bytes());
                }
                Value::F32(x) => {
                    out.extend(6u32.to_le_bytes());
                    out.extend(x.to_le_bytes());
                }
                Value::Flag(x) => {
                    out.extend(7u32.to_le_bytes());
                    out.push(u8::from(*x));
                }
                Value::Text(x) => {
                    out.extend(8u32.to_le_bytes());
                    text(&mut out, x);
                }
                Value::Texts(list) => {
                    out.extend(9u32.to_le_bytes());
                    out.extend(8u32.to_le_bytes());
                    out.extend((list.len() as u64).to_le_bytes());
                    for x in list {
                        text(&mut out, x);
                    }
                }
                Value::Floats(list) => {
                    out.extend(9u32.to_le_bytes());
                    out.extend(6u32.to_le_bytes());
                    out.extend((list.len() as u64).to_le_bytes());
                    for x in list {
                        out.extend(x.to_le_bytes());
                    }
                }
                Value::Ints(list) => {
                    out.extend(9u32.to_le_bytes());
                    out.extend(5u32.to_le_bytes());
                    out.extend((list.len() as u64).to_le_bytes());
                    for x in list {
                        out.extend(x.to_le_bytes());
                    }
                }
            }
        }
        let mut offset = 0usize;
        for tensor in &self.tensors {
            text(&mut out, &tensor.name);
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            tensor
                .shape
                .iter()
                .rev()
                .for_each(|d| out.extend((*d as u64).to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset = (offset + tensor.data.len()).next_multiple_of(alignment);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(alignment), 0);
            out.extend(&tensor.data);
        }
        out
    }

    pub(crate) fn save(&self) -> tempfile::NamedTempFile {
        saved(&self.bytes())
    }
}

pub(crate) fn saved(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("written");
    file
}

/// A model of one layer: 16 wide, four heads of four, eight tokens, all F32.
pub(crate) fn tiny(arch: &str) -> File {
    let mut file = File {
        version: 3,
        metadata: Vec::new(),
        tensors: Vec::new(),
    };
    file.set("general.architecture", Value::Text(arch.into()));
    for (key, value) in [
        ("context_length", 64),
        ("embedding_length", 16),
        ("block_count", 1),
        ("feed_forward_length", 8),
        ("attention.head_count", 4),
    ] {
        file.set(&format!("{arch}.{key}"), Value::U32(value));
    }
    file.set(
        &format!("{arch}.attention.layer_norm_rms_epsilon"),
        Value::F32(1e-6),
    );
    let texts = |list: &[&str]| Value::Texts(list.iter().map(ToString::to_string).collect());
    file.set("tokenizer.ggml.model", Value::Text("gpt2".into()));
    file.set("tokenizer.ggml.pre", Value::Text("gpt-2".into()));
    file.set(
        "tokenizer.ggml.tokens",
        texts(&["<s>", "</s>", "a", "b", "Ġ", "ab", "aab", "aaa"]),
    );
    file.set(
        "tokenizer.ggml.token_type",
        Value::Ints(vec![3, 3, 1, 1, 1, 1, 1, 5]),
    );
    file.set("tokenizer.ggml.merges", texts(&["a b", "a ab"]));
    file.set("tokenizer.ggml.bos_token_id", Value::U32(0));
    file.set("tokenizer.ggml.eos_token_id", Value::U32(1));
    let mut add = |name: &str, shape: &[usize]| {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|i: usize| (i % 7) as f32 - 2.5)
            .collect();
        file.tensor_f32(name, shape, &values);
    };
    add("token_embd.weight", &[8, 16]);
    add("output_norm.weight", &[16]);
    for (name, shape) in [
        ("attn_norm.weight", &[16][..]),
        ("ffn_norm.weight", &[16]),
        ("attn_q.weight", &[16, 16]),
        ("attn_k.weight", &[16, 16]),
        ("attn_v.weight", &[16, 16]),
        ("attn_output.weight", &[16, 16]),
        ("ffn_gate.weight", &[8, 16]),
        ("ffn_up.weight", &[8, 16]),
        ("ffn_down.weight", &[16, 8]),
    ] {
        add(&format!("blk.0.{name}"), shape);
    }
    file
}
