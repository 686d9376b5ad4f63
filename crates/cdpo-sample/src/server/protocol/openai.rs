//! OpenAI's `/v1/completions`: text in, text out.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Ask, Models, Protocol, ServerIdentity, check_read};
use crate::server::client::Client;
use crate::server::fault::Fault;

pub(super) struct Openai;

#[derive(Deserialize)]
struct Completion {
    choices: [Choice; 1],
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<usize>,
}

#[derive(Deserialize)]
struct Choice {
    text: String,
    finish_reason: Option<String>,
}

impl Protocol for Openai {
    fn identity(&self, client: &Client, model: &str) -> Result<ServerIdentity, Fault> {
        let listed = Models::ask(client)?.named(model)?;
        Ok(ServerIdentity {
            kind: "openai".into(),
            model: model.to_owned(),
            root: listed.root,
            max_tokens: listed.max_model_len,
            ..ServerIdentity::default()
        })
    }

    fn request(&self, ask: &Ask<'_>) -> (&'static str, Value) {
        let params = &ask.common.params;
        let mut body = json!({
            "model": ask.common.model,
            "prompt": ask.text,
            "n": 1,
            "stream": false,
            "echo": false,
            "max_tokens": ask.most,
            "seed": ask.seed >> 33,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop": params.stop,
        });
        // No field of OpenAI's: sent only where it says something.
        if let Some(k) = params.top_k {
            body["top_k"] = json!(k);
        }
        ("/v1/completions", body)
    }

    fn answer(&self, client: &Client, ask: &Ask<'_>, bytes: &[u8]) -> Result<Answer, Fault> {
        let Completion {
            choices: [choice],
            usage,
        } = client.parse(bytes)?;
        check_read(usage.and_then(|usage| usage.prompt_tokens), ask)?;
        let cut = match choice.finish_reason.as_deref() {
            Some("length") => true,
            Some("stop") => false,
            other => {
                return Err(Fault::Wrong(format!(
                    "the response ended for {other:?}, which is neither \"stop\" nor \"length\""
                )));
            }
        };
        Ok(Answer {
            text: choice.text,
            cut,
            ..Answer::default()
        })
    }
}
