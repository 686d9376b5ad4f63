//! vLLM's `/v1/completions`, with the prompt as ids and `return_token_ids`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Adapter, Answer, Ask, Models, Protocol, ServerIdentity, check_logps};
use crate::server::client::Client;
use crate::server::fault::Fault;

pub(super) struct Vllm;

#[derive(Deserialize)]
struct Version {
    version: Option<String>,
}

#[derive(Deserialize)]
struct Completion {
    choices: [Choice; 1],
}

#[derive(Deserialize)]
struct Choice {
    token_ids: Option<Vec<u32>>,
    prompt_token_ids: Option<Vec<u32>>,
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct Logprobs {
    token_logprobs: Vec<Option<f32>>,
}

impl Protocol for Vllm {
    fn identity(&self, client: &Client, model: &str) -> Result<ServerIdentity, Fault> {
        let listed = Models::ask(client)?.named(model)?;
        let version: Option<Version> = client.get("/version").ok();
        Ok(ServerIdentity {
            kind: "vllm".into(),
            version: version.and_then(|v| v.version),
            model: model.to_owned(),
            root: listed.root,
            max_tokens: listed.max_model_len,
            ..ServerIdentity::default()
        })
    }

    fn request(&self, ask: &Ask<'_>) -> (&'static str, Value) {
        let params = &ask.common.params;
        let body = json!({
            "model": ask.common.adapter.as_ref().unwrap_or(&ask.common.model),
            "prompt": ask.prompt,
            "add_special_tokens": false,
            "n": 1,
            "stream": false,
            "echo": false,
            "max_tokens": ask.most,
            "min_tokens": 0,
            "seed": ask.seed >> 1,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "top_k": params.top_k.unwrap_or(0),
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop": params.stop,
            // The recipe's end tokens alone end a response, and no others that the model's files name to the server.
            "ignore_eos": true,
            "stop_token_ids": ask.common.eos,
            "skip_special_tokens": false,
            "spaces_between_special_tokens": false,
            "include_stop_str_in_output": true,
            "logprobs": 0,
            "return_token_ids": true,
        });
        ("/v1/completions", body)
    }

    fn answer(&self, client: &Client, ask: &Ask<'_>, bytes: &[u8]) -> Result<Answer, Fault> {
        let Completion { choices: [choice] } = client.parse(bytes)?;
        let (Some(ids), Some(prompt)) = (choice.token_ids, choice.prompt_token_ids) else {
            return Err(Fault::Refused(
                "the answer has no token_ids although return_token_ids was asked for: vLLM 0.10.2 or later is needed".into(),
            ));
        };
        if prompt != ask.prompt {
            return Err(Fault::Refused(
                "the prompt ids that came back are not those sent: it changes the prompt".into(),
            ));
        }
        let Some(logprobs) = choice.logprobs else {
            return Err(Fault::Wrong("an answer without log-probabilities".into()));
        };
        let logps: Option<Vec<f32>> = logprobs.token_logprobs.into_iter().collect();
        let logps = logps.ok_or_else(|| Fault::Wrong("a token without log-probability".into()))?;
        check_logps(&ids, &logps)?;
        Ok(Answer {
            ids: Some(ids),
            logps,
            ..Answer::default()
        })
    }

    fn load(&self, client: &Client, adapter: &Adapter) -> Result<(), Fault> {
        if Models::ask(client)?.named(&adapter.name).is_ok() {
            return Ok(());
        }
        let body = json!({ "lora_name": adapter.name, "lora_path": adapter.path });
        match client.post("/v1/load_lora_adapter", &body) {
            Ok(_) => Ok(()),
            Err(Fault::Refused(reason)) if reason.contains("already") => Ok(()),
            Err(Fault::Unknown(reason)) => Err(Fault::Refused(format!(
                "{reason}; start it with --enable-lora, a sufficient --max-lora-rank and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1; the folder \
                 {} must be on its machine, too",
                adapter.path
            ))),
            Err(fault) => Err(fault),
        }
    }

    fn unload(&self, client: &Client, adapter: &Adapter) -> Result<(), Fault> {
        let body = json!({ "lora_name": adapter.name });
        client
            .post_briefly("/v1/unload_lora_adapter", &body)
            .map(|_| ())
    }
}
