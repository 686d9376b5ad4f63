//! The `/completion` of llama.cpp's server, with the prompt as ids, `return_tokens` and `n_probs`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Ask, Models, Protocol, ServerIdentity, check_logps, check_read};
use crate::server::client::Client;
use crate::server::fault::Fault;

pub(super) struct LlamaCpp;

#[derive(Deserialize)]
struct Props {
    build_info: Option<String>,
    model_path: Option<String>,
    default_generation_settings: Option<Slot>,
}

#[derive(Deserialize)]
struct Slot {
    n_ctx: Option<usize>,
}

#[derive(Deserialize)]
struct Answered {
    tokens: Option<Vec<u32>>,
    tokens_evaluated: Option<usize>,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    completion_probabilities: Vec<Drawn>,
}

#[derive(Deserialize)]
struct Drawn {
    id: u32,
    logprob: Option<f32>,
}

impl Protocol for LlamaCpp {
    fn identity(&self, client: &Client, model: &str) -> Result<ServerIdentity, Fault> {
        let listed = Models::ask(client)?.named(model)?;
        let props: Props = client.get("/props")?;
        Ok(ServerIdentity {
            kind: "llama_cpp".into(),
            version: props.build_info,
            model: model.to_owned(),
            root: props.model_path.or(listed.root),
            // It calls a response cut when one token is left.
            max_tokens: props
                .default_generation_settings
                .and_then(|slot| slot.n_ctx)
                .map(|n| n.saturating_sub(1)),
            vocabulary: listed.meta.and_then(|meta| meta.n_vocab),
            ..ServerIdentity::default()
        })
    }

    fn request(&self, ask: &Ask<'_>) -> (&'static str, Value) {
        let params = &ask.common.params;
        // All ones asks for a seed of the server's own.
        let seed = ((ask.seed >> 32) as u32).min(u32::MAX - 1);
        let body = json!({
            "prompt": ask.prompt,
            "stream": false,
            "return_tokens": true,
            "n_probs": 1,
            "post_sampling_probs": false,
            "n_predict": ask.most,
            "cache_prompt": true,
            "seed": seed,
            // In the order in which a token is drawn here.
            "samplers": ["temperature", "top_k", "top_p"],
            "temperature": params.temperature,
            "dynatemp_range": 0.0,
            "top_k": params.top_k.unwrap_or(0),
            "top_p": params.top_p,
            "min_p": 0.0,
            "min_keep": 0,
            "typical_p": 1.0,
            "top_n_sigma": -1.0,
            "xtc_probability": 0.0,
            "mirostat": 0,
            "repeat_penalty": 1.0,
            "repeat_last_n": 0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "dry_multiplier": 0.0,
            "logit_bias": [],
            "ignore_eos": false,
            "stop": params.stop,
            "lora": [],
        });
        ("/completion", body)
    }

    fn answer(&self, client: &Client, ask: &Ask<'_>, bytes: &[u8]) -> Result<Answer, Fault> {
        let answer: Answered = client.parse(bytes)?;
        check_read(answer.tokens_evaluated, ask)?;
        if answer.truncated {
            return Err(Fault::Refused(
                "it cut the prompt or the response to its context: start it with a larger -c (which its -np slots share)".into(),
            ));
        }
        let Some(ids) = answer.tokens else {
            return Err(Fault::Refused(
                "the answer has no tokens although return_tokens was asked for: a later llama.cpp is needed".into(),
            ));
        };
        // They leave out the tokens of a stop string, and those that end within a character: none is known from there on.
        let drawn = answer.completion_probabilities.iter().zip(&ids);
        let logps: Vec<f32> = drawn
            .map_while(|(drawn, id)| drawn.logprob.filter(|_| drawn.id == *id))
            .collect();
        check_logps(&ids[..logps.len()], &logps)?;
        Ok(Answer {
            ids: Some(ids),
            logps,
            ..Answer::default()
        })
    }
}
