//! Responses that servers draw: the sampler made ready, and the record of what the servers are.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cdpo_data::artifact::{StageDir, hash_folder};
use cdpo_data::{Trajectory, jsonl};
use cdpo_sample::server::{ServerIdentity, ServerStatus, Watch};
use cdpo_sample::{SampleParams, SampleProgress, ServerSampler, ServerSettings};
use serde_json::{Value, json};

use super::drawing::Drawing;
use crate::messages;
use crate::outcome::Usage;
use crate::run::Run;

/// What the servers said that they are, over all sittings of a stage.
const SERVERS: &str = "servers.json";

/// The sampler on a recipe's servers, with the key that the environment holds.
pub(super) fn sampler<'r>(
    run: &'r Run,
    settings: &ServerSettings,
) -> anyhow::Result<ServerSampler<'r>> {
    let positions = run.base.config.max_positions;
    let sampler = ServerSampler::new(settings.clone(), &run.vocabulary.tokenizer, positions)?
        .with_eos(run.vocabulary.stops.clone());
    let Some(name) = &settings.api_key_env else {
        return Ok(sampler);
    };
    let key = std::env::var(name).map_err(|_| {
        Usage(format!(
            "api_key_env names the environment variable {name}, which is not set (or is no text)"
        ))
    })?;
    Ok(sampler.with_key(&key)?)
}

/// What an adapter is called on a server, by its content; and its folder as the server has to see it.
pub(super) fn served(folder: &Path) -> anyhow::Result<(String, PathBuf)> {
    let folder = std::fs::canonicalize(folder)
        .with_context(|| format!("the adapter {} is not there", folder.display()))?;
    Ok((format!("cdpo-{}", &hash_folder(&folder)?[..16]), folder))
}

/// Draws what is wanted from servers, with the adapter in a folder or without one.
pub(super) fn draw(
    run: &Run,
    settings: &ServerSettings,
    adapter: Option<&Path>,
    drawing: &mut Drawing<'_>,
) -> anyhow::Result<()> {
    let mut sampler = sampler(run, settings)?;
    if let Some(folder) = adapter {
        let (name, folder) = served(folder)?;
        sampler = sampler.with_adapter(&name, &folder)?;
    }
    let params = SampleParams {
        logps: settings.kind.gives_ids(),
        ..drawing.params.clone()
    };
    let watch = sampler.watch();
    // Written before the first response: what is written says who drew it, even if the process is killed.
    let kept = RefCell::new(Ok(()));
    let folder = drawing.folder().to_owned();
    let mut sampler = sampler.on_met(|said| {
        let written = keep(&folder, said);
        let mut kept = kept.borrow_mut();
        if kept.is_ok() {
            *kept = written;
        }
    });
    let drawn = drawing.from(&mut sampler, &params, &|progress| note(progress, &watch));
    for (url, reason) in sampler.release() {
        messages::warn(format_args!("{url} still has the adapter: {reason}"));
    }
    drop(sampler);
    drawn.and(kept.into_inner())
}

/// How the servers do: tokens a second of all, and of each.
fn note(progress: &SampleProgress, watch: &Watch) -> String {
    let each = |server: &ServerStatus| {
        let host = server.url.split("://").last().unwrap_or_default();
        if server.away.is_some() {
            return format!("{host} away");
        }
        let rate = server.tokens as f64 / progress.seconds.max(1e-9);
        format!("{host} {rate:.0} ({})", server.active)
    };
    let servers: Vec<String> = watch.servers().iter().map(each).collect();
    format!(
        "{:.0} tokens/s: {}",
        progress.tokens_per_second(),
        servers.join(", ")
    )
}

/// Adds to the record of what the servers are.
fn keep(folder: &Path, said: &[ServerIdentity]) -> anyhow::Result<()> {
    let mut known = known(folder)?;
    let new: Vec<&ServerIdentity> = said.iter().filter(|one| !known.contains(one)).collect();
    if !known.is_empty() && !new.is_empty() {
        messages::warn(format_args!(
            "the servers are not what they were when the first responses were drawn: {} now, {} then",
            json!(new),
            json!(known)
        ));
    }
    known.extend(new.into_iter().cloned());
    Ok(jsonl::write_json(folder.join(SERVERS), &known)?)
}

fn known(folder: &Path) -> anyhow::Result<Vec<ServerIdentity>> {
    let path = folder.join(SERVERS);
    match std::fs::read(&path) {
        Ok(text) => Ok(serde_json::from_slice(&text)
            .with_context(|| format!("{} is not as it was written", path.display()))?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e).with_context(|| path.display().to_string()),
    }
}

/// What a stage's record says of the servers, and of responses whose text was encoded anew.
pub(super) fn account(run: &Run, dir: &StageDir, have: &[Trajectory]) -> anyhow::Result<Value> {
    let mut account = json!({ "are": known(dir.dir())? });
    let mut changed = 0;
    let encoded: Vec<&Trajectory> = have.iter().filter(|one| one.reencoded).collect();
    for one in &encoded {
        // By bytes: decoding drops the blank before a text's first word.
        let mut bytes = Vec::new();
        for &id in &one.ids {
            bytes.extend(run.vocabulary.tokenizer.token_bytes(id)?);
        }
        changed += usize::from(bytes != one.text.as_bytes());
    }
    if !encoded.is_empty() {
        messages::warn(format_args!(
            "{} responses came as text and were encoded anew: their ids need not be those that were drawn; {changed} decode to another text",
            encoded.len()
        ));
        account["encoded_anew"] = json!({ "responses": encoded.len(), "changed": changed });
    }
    Ok(account)
}
