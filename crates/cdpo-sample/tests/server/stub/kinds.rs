//! The stub's answers, in the words of each kind of server and with its ways.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::http::Asked;
use super::{State, logp, token};
use crate::tokenizer::{EOS, character};

/// Why a server ended a response.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Eos,
    Stop,
    Length,
    Own,
}

/// What was drawn: ids with the end token and the stop string's tokens.
struct Drawn {
    ids: Vec<u32>,
    text: String,
    end: End,
}

fn numbers(value: &Value) -> Vec<u32> {
    let numbers = value.as_array().map_or(&[][..], Vec::as_slice);
    numbers.iter().map(|n| n.as_u64().unwrap() as u32).collect()
}

fn text_of(ids: &[u32]) -> String {
    ids.iter().filter_map(|&id| character(id)).collect()
}

impl State {
    /// The answer to a request.
    pub(super) fn reply(&self, asked: &Asked) -> (&'static str, Value) {
        let root = self.root.lock().unwrap().clone();
        let body = &asked.body;
        let answer = match asked.path.as_str() {
            "/v1/models" => {
                let adapters = self.adapters.lock().unwrap();
                let adapters = adapters
                    .iter()
                    .map(|name| json!({"id": name, "root": name, "max_model_len": null}));
                let base = json!({"id": "base", "root": root, "max_model_len": self.context, "meta": {"n_vocab": 300}});
                let all: Vec<Value> = std::iter::once(base).chain(adapters).collect();
                json!({ "object": "list", "data": all })
            }
            "/version" => json!({"version": "1.2.3"}),
            "/get_server_info" => {
                json!({"version": "0.5", "dtype": "bfloat16", "context_length": null, "model_path": root})
            }
            "/props" => {
                json!({"build_info": "b1", "model_path": root, "default_generation_settings": {"n_ctx": self.context}})
            }
            "/v1/completions" if body["prompt"].is_string() => self.openai(body),
            "/v1/completions" if !self.has(&body["model"]) => {
                return ("404 Not Found", json!("no such model"));
            }
            "/v1/completions" => self.vllm(body),
            "/generate" if !body["lora_path"].is_null() && !self.has(&body["lora_path"]) => {
                return ("400 Bad Request", json!("no such adapter"));
            }
            "/generate" => self.sglang(body),
            "/completion" => self.llama_cpp(body),
            "/v1/load_lora_adapter" | "/load_lora_adapter" => {
                let name = body["lora_name"].as_str().unwrap().to_owned();
                if !self.adapters.lock().unwrap().insert(name) {
                    return ("400 Bad Request", json!("it has already been loaded"));
                }
                json!("Success: LoRA adapter added successfully.")
            }
            "/v1/unload_lora_adapter" | "/unload_lora_adapter" => {
                if !self
                    .adapters
                    .lock()
                    .unwrap()
                    .remove(body["lora_name"].as_str().unwrap())
                {
                    return ("404 Not Found", json!("no such adapter"));
                }
                json!("Success: LoRA adapter removed successfully.")
            }
            _ => return ("404 Not Found", json!("no such path")),
        };
        ("200 OK", answer)
    }

    fn has(&self, model: &Value) -> bool {
        model == "base"
            || self
                .adapters
                .lock()
                .unwrap()
                .contains(model.as_str().unwrap())
    }

    fn draw(&self, prompt: &[u32], seed: &Value, most: &Value, stop: &Value, eos: &[u32]) -> Drawn {
        let seed = seed.as_u64().unwrap();
        let stops = stop.as_array().unwrap();
        let (mut ids, mut end) = (Vec::new(), End::Length);
        while (ids.len() as u64) < most.as_u64().unwrap() {
            let id = token(prompt, seed, &ids);
            ids.push(id);
            let text = text_of(&ids);
            if eos.contains(&id) {
                end = End::Eos;
            } else if stops
                .iter()
                .any(|stop| text.ends_with(stop.as_str().unwrap()))
            {
                end = End::Stop;
            } else if self.own_end == Some(id) {
                end = End::Own;
            } else {
                continue;
            }
            break;
        }
        let text = text_of(&ids);
        Drawn { ids, text, end }
    }

    fn vllm(&self, body: &Value) -> Value {
        let prompt = numbers(&body["prompt"]);
        let eos = numbers(&body["stop_token_ids"]);
        let drawn = self.draw(
            &prompt,
            &body["seed"],
            &body["max_tokens"],
            &body["stop"],
            &eos,
        );
        let logps: Vec<f64> = drawn.ids.iter().map(|&id| logp(id)).collect();
        json!({"choices": [{
            "index": 0,
            "text": drawn.text,
            "finish_reason": if drawn.end == End::Length { "length" } else { "stop" },
            "token_ids": drawn.ids,
            "prompt_token_ids": prompt,
            "logprobs": {"token_logprobs": logps},
        }]})
    }

    fn sglang(&self, body: &Value) -> Value {
        let prompt = numbers(&body["input_ids"]);
        let params = &body["sampling_params"];
        let eos = numbers(&params["stop_token_ids"]);
        let seed = &params["sampling_seed"];
        let mut drawn = self.draw(
            &prompt,
            seed,
            &params["max_new_tokens"],
            &params["stop"],
            &eos,
        );
        if params["no_stop_trim"] != json!(true) && drawn.end == End::Eos {
            drawn.ids.pop();
        }
        let logps: Vec<Value> = drawn
            .ids
            .iter()
            .map(|&id| json!([logp(id), id, null]))
            .collect();
        let reason = if drawn.end == End::Length {
            "length"
        } else {
            "stop"
        };
        json!({
            "text": drawn.text,
            "output_ids": drawn.ids,
            "meta_info": {
                "prompt_tokens": prompt.len(),
                "finish_reason": {"type": reason},
                "output_token_logprobs": logps,
            },
        })
    }

    fn llama_cpp(&self, body: &Value) -> Value {
        let prompt = numbers(&body["prompt"]);
        let drawn = self.draw(
            &prompt,
            &body["seed"],
            &body["n_predict"],
            &body["stop"],
            &[EOS],
        );
        // The probabilities of the stop string's tokens are not given.
        let stop: usize = body["stop"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_str().unwrap().len())
            .max()
            .unwrap_or(0);
        let told = drawn.ids.len() - if drawn.end == End::Stop { stop } else { 0 };
        let logps: Vec<Value> = drawn.ids[..told]
            .iter()
            .map(|&id| json!({"id": id, "logprob": logp(id)}))
            .collect();
        json!({
            "content": drawn.text,
            "tokens": drawn.ids,
            "tokens_evaluated": prompt.len(),
            "truncated": false,
            "completion_probabilities": logps,
        })
    }

    fn openai(&self, body: &Value) -> Value {
        let text = body["prompt"].as_str().unwrap();
        let own = usize::from(self.adds_bos.load(Ordering::SeqCst));
        let read = own + text.replace("<s>", "^").len();
        let prompt: Vec<u32> = text.bytes().map(u32::from).collect();
        let drawn = self.draw(
            &prompt,
            &body["seed"],
            &body["max_tokens"],
            &body["stop"],
            &[EOS],
        );
        let stops = body["stop"].as_array().unwrap();
        let ends = stops
            .iter()
            .filter_map(|stop| drawn.text.find(stop.as_str().unwrap()));
        let end = ends.min().unwrap_or(drawn.text.len());
        json!({"choices": [{
            "index": 0,
            "text": drawn.text[..end],
            "finish_reason": if drawn.end == End::Length { "length" } else { "stop" },
        }], "usage": {"prompt_tokens": read}})
    }
}
