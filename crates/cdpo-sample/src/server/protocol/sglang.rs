//! SGLang's `/generate`, with `input_ids` and `return_logprob`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Adapter, Answer, Ask, Models, Protocol, ServerIdentity, check_logps, check_read};
use crate::server::client::Client;
use crate::server::fault::Fault;

pub(super) struct Sglang;

#[derive(Deserialize)]
struct Info {
    version: Option<String>,
    dtype: Option<String>,
    context_length: Option<usize>,
    model_path: Option<String>,
}

#[derive(Deserialize)]
struct Generated {
    output_ids: Option<Vec<u32>>,
    meta_info: MetaInfo,
}

#[derive(Deserialize)]
struct MetaInfo {
    prompt_tokens: Option<usize>,
    #[serde(default)]
    output_token_logprobs: Vec<(Option<f32>, u32, Option<Value>)>,
    finish_reason: Option<Value>,
}

impl Protocol for Sglang {
    fn identity(&self, client: &Client, model: &str) -> Result<ServerIdentity, Fault> {
        let listed = Models::ask(client)?.named(model)?;
        let info: Option<Info> = client.get("/get_server_info").ok();
        let info = info.unwrap_or(Info {
            version: None,
            dtype: None,
            context_length: None,
            model_path: None,
        });
        Ok(ServerIdentity {
            kind: "sglang".into(),
            version: info.version,
            model: model.to_owned(),
            root: info.model_path.or(listed.root),
            max_tokens: listed.max_model_len.or(info.context_length),
            dtype: info.dtype,
            ..ServerIdentity::default()
        })
    }

    fn request(&self, ask: &Ask<'_>) -> (&'static str, Value) {
        let params = &ask.common.params;
        let mut body = json!({
            "input_ids": ask.prompt,
            "stream": false,
            "return_logprob": true,
            "logprob_start_len": -1,
            "top_logprobs_num": 0,
            "return_text_in_logprobs": false,
            "sampling_params": {
                "n": 1,
                "max_new_tokens": ask.most,
                "min_new_tokens": 0,
                "temperature": params.temperature,
                "top_p": params.top_p,
                "top_k": params.top_k.map_or(-1, |k| k as i64),
                "min_p": 0.0,
                "repetition_penalty": 1.0,
                "presence_penalty": 0.0,
                "frequency_penalty": 0.0,
                "stop": params.stop,
                "stop_token_ids": ask.common.eos,
                "ignore_eos": false,
                "skip_special_tokens": false,
                "spaces_between_special_tokens": false,
                "no_stop_trim": true,
                "sampling_seed": ask.seed >> 33,
            },
        });
        // The base is asked for by no name; an adapter by its own.
        if let Some(name) = &ask.common.adapter {
            body["lora_path"] = json!(name);
        }
        ("/generate", body)
    }

    fn answer(&self, client: &Client, ask: &Ask<'_>, bytes: &[u8]) -> Result<Answer, Fault> {
        let Generated {
            output_ids,
            meta_info,
        } = client.parse(bytes)?;
        let reason = meta_info.finish_reason.unwrap_or_default();
        if reason.get("type").is_some_and(|kind| kind == "abort") {
            return Err(Fault::Wrong(format!("it gave up: {reason}")));
        }
        check_read(meta_info.prompt_tokens, ask)?;
        let drawn = meta_info.output_token_logprobs;
        let logged: Vec<u32> = drawn.iter().map(|(_, id, _)| *id).collect();
        let Some(ids) = output_ids else {
            return Err(Fault::Refused(
                "the answer has no output_ids: SGLang 0.4.4 or later is needed".into(),
            ));
        };
        if ids != logged {
            return Err(Fault::Wrong(format!(
                "{} output_ids that are not the {} tokens of its log-probabilities",
                ids.len(),
                logged.len()
            )));
        }
        let logps: Option<Vec<f32>> = drawn.into_iter().map(|(logp, ..)| logp).collect();
        let logps = logps.ok_or_else(|| Fault::Wrong("a token without log-probability".into()))?;
        check_logps(&ids, &logps)?;
        Ok(Answer {
            ids: Some(ids),
            logps,
            ..Answer::default()
        })
    }

    fn load(&self, client: &Client, adapter: &Adapter) -> Result<(), Fault> {
        let body = json!({ "lora_name": adapter.name, "lora_path": adapter.path });
        match client.post("/load_lora_adapter", &body) {
            Ok(_) => Ok(()),
            Err(Fault::Refused(reason)) if reason.contains("already") => Ok(()),
            Err(Fault::Refused(reason) | Fault::Unknown(reason)) => Err(Fault::Refused(format!(
                "{reason}; start it with --enable-lora, --max-lora-rank and --lora-target-modules all; the folder {} must be on its \
                 machine, too",
                adapter.path
            ))),
            Err(fault) => Err(fault),
        }
    }

    fn unload(&self, client: &Client, adapter: &Adapter) -> Result<(), Fault> {
        let body = json!({ "lora_name": adapter.name });
        client
            .post_briefly("/unload_lora_adapter", &body)
            .map(|_| ())
    }
}
