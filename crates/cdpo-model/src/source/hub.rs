//! Models by hub name: the files of a repository, downloaded once into a cache that is laid out as Python's.
//!
//! Goes in: repository, revision, endpoint, token and cache folder, all explicit. Comes out: a local folder, or one
//! GGUF file, with the other parts beside it if it is split. Small files are fetched before the weights, so weights in the cache mean that
//! what is required is there too. A complete cached model is used without asking the network, unless it lacks a file that its
//! repository may have: that is asked for once, and without an answer the model is used as it is.

use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::gguf::part_names;
use super::safetensors::{INDEX, SINGLE, indexed_files};
use crate::error::{Error, Result};

/// What to fetch, and how.
pub(super) struct Request<'a> {
    pub(super) repo: &'a str,
    pub(super) revision: &'a str,
    pub(super) endpoint: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) cache: &'a Path,
    pub(super) offline: bool,
}

/// How far one file's download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Download<'a> {
    /// The file's name in the repository.
    pub file: &'a str,
    /// Bytes that are here, those of an earlier, interrupted download included.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];
const OPTIONAL: [&str; 5] = [
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
];

/// The folder with the model's files, or the GGUF file that `repo` names after a colon; of a split one, all parts are fetched.
///
/// # Errors
/// A malformed name, files missing from the cache when offline, an unreachable hub, a refusal, missing files.
pub(super) fn fetch(
    request: &Request<'_>,
    observer: &mut dyn FnMut(Download<'_>),
) -> Result<PathBuf> {
    let Place { name, file } = Place::of(request.repo)?;
    let repo = repo(name, request);
    let cached = Cache::new(request.cache.to_path_buf()).repo(repo.clone());
    let label = format!("{name}@{}", request.revision);
    if let Some(path) = complete(&cached, file)? {
        if file.is_none() && !request.offline {
            fetch_optional(request, name, label, &path, observer)?;
        }
        return Ok(path);
    }
    let wanted = file.unwrap_or("its configuration, tokenizer and weights");
    let remote = Remote::of(request, name, repo, wanted)?;
    let listed = remote.files()?;
    let has = |name: &str| listed.iter().any(|f| f == name);
    if let Some(file) = file {
        let parts = parts_of(file);
        if let Some(absent) = parts.iter().find(|part| !has(part)) {
            return Err(remote.lacks(absent, &listed));
        }
        let (mut folder, mut named) = (None, PathBuf::new());
        for part in &parts {
            let path = remote.download_into(&mut folder, part, observer)?;
            if part == file {
                named = path;
            }
        }
        return Ok(named);
    }
    let mut folder = None;
    remote.small_files(&listed, &mut folder, observer)?;
    let weights = if has(SINGLE) {
        vec![SINGLE.to_string()]
    } else if has(INDEX) {
        indexed_files(&remote.download(INDEX, observer)?)?
    } else {
        return Err(remote.lacks(SINGLE, &listed));
    };
    for name in weights {
        remote.download_into(&mut folder, &name, observer)?;
    }
    let folder = folder.unwrap_or_default();
    for name in OPTIONAL.into_iter().filter(|name| !has(name)) {
        mark_absent(&folder, name);
    }
    Ok(folder)
}

/// The file, or all parts of it if it is named like one part.
fn parts_of(file: &str) -> Vec<String> {
    part_names(file).unwrap_or_else(|| vec![file.to_owned()])
}

/// Fetches the optional files that a complete model in the cache lacks and that nobody has asked for yet: another program, or an earlier
/// version of this one, may have filled the cache. They are those of the commit in the cache, wherever the revision has gone since. If the
/// hub does not answer, the model is used without them.
///
/// # Errors
/// A file that the repository has and that cannot be downloaded.
fn fetch_optional(
    request: &Request<'_>,
    name: &str,
    label: String,
    snapshot: &Path,
    observer: &mut dyn FnMut(Download<'_>),
) -> Result<()> {
    let asked = |file: &str| {
        snapshot.join(file).exists() || absent_mark(snapshot, file).is_some_and(|at| at.exists())
    };
    let unknown: Vec<&str> = OPTIONAL.into_iter().filter(|file| !asked(file)).collect();
    let commit = snapshot.file_name().and_then(|name| name.to_str());
    let (Some(commit), false) = (commit, unknown.is_empty()) else {
        return Ok(());
    };
    let repo = Repo::with_revision(name.to_owned(), RepoType::Model, commit.to_owned());
    let api = connect(request)?.repo(repo);
    let remote = Remote { api, label };
    let Ok(listed) = remote.files() else {
        return Ok(());
    };
    for file in unknown {
        if listed.iter().any(|name| name == file) {
            remote.download(file, observer)?;
        } else {
            mark_absent(snapshot, file);
        }
    }
    Ok(())
}

/// Where Python's `huggingface_hub` notes, by an empty file, that a commit does not have a file.
fn absent_mark(snapshot: &Path, file: &str) -> Option<PathBuf> {
    let (commit, repo) = (snapshot.file_name()?, snapshot.parent()?.parent()?);
    Some(repo.join(".no_exist").join(commit).join(file))
}

/// Notes that a commit does not have a file; without the note it is asked for again.
fn mark_absent(snapshot: &Path, file: &str) {
    if let Some(at) = absent_mark(snapshot, file)
        && let Some(folder) = at.parent()
        && std::fs::create_dir_all(folder).is_ok()
    {
        let _ = std::fs::write(at, "");
    }
}

/// As [`fetch`], but of a folder's files the small ones alone: configuration and tokenizer.
///
/// # Errors
/// As [`fetch`]; also a GGUF file that is not in the cache: its configuration stands in the file itself.
pub(super) fn fetch_outline(
    request: &Request<'_>,
    observer: &mut dyn FnMut(Download<'_>),
) -> Result<PathBuf> {
    let Place { name, file } = Place::of(request.repo)?;
    let repo = repo(name, request);
    let cached = Cache::new(request.cache.to_path_buf()).repo(repo.clone());
    if let Some(path) = complete(&cached, file)? {
        return Ok(path);
    }
    if let Some(file) = file {
        return Err(Error::Hub(format!(
            "{name}: {file} is not in the cache {}, and its configuration stands in the file itself; fetch it, or name the \
             config.json of the same model",
            request.cache.display()
        )));
    }
    let [config, tokenizer] = REQUIRED.map(|name| cached.get(name));
    if let (Some(config), Some(_)) = (config, tokenizer) {
        return Ok(config.parent().unwrap_or(&config).to_path_buf());
    }
    let remote = Remote::of(request, name, repo, "its configuration and tokenizer")?;
    let listed = remote.files()?;
    let mut folder = None;
    remote.small_files(&listed, &mut folder, observer)?;
    Ok(folder.unwrap_or_default())
}

fn repo(name: &str, request: &Request<'_>) -> Repo {
    let revision = request.revision.to_string();
    Repo::with_revision(name.to_string(), RepoType::Model, revision)
}

/// A repository, or one file of it.
struct Place<'r> {
    name: &'r str,
    file: Option<&'r str>,
}

impl<'r> Place<'r> {
    /// Reads `owner/name` or `owner/name:file.gguf`.
    fn of(repo: &'r str) -> Result<Self> {
        let (name, file) = match repo.split_once(':') {
            Some((name, file)) => (name, Some(file)),
            None => (repo, None),
        };
        check_name(name, file)?;
        Ok(Self { name, file })
    }
}

/// The cached model if nothing of it is missing.
fn complete(cached: &CacheRepo, file: Option<&str>) -> Result<Option<PathBuf>> {
    if let Some(file) = file {
        let whole = parts_of(file).iter().all(|part| cached.get(part).is_some());
        return Ok(cached.get(file).filter(|_| whole));
    }
    if REQUIRED.into_iter().any(|name| cached.get(name).is_none()) {
        return Ok(None);
    }
    let weights = if cached.get(SINGLE).is_some() {
        Vec::new()
    } else if let Some(index) = cached.get(INDEX) {
        indexed_files(&index)?
    } else {
        return Ok(None);
    };
    if weights.iter().any(|name| cached.get(name).is_none()) {
        return Ok(None);
    }
    Ok(cached
        .get(REQUIRED[0])
        .and_then(|path| path.parent().map(Path::to_path_buf)))
}

/// The name becomes part of paths and addresses, so only what the hub itself allows passes.
fn check_name(name: &str, file: Option<&str>) -> Result<()> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let name_ok = name.split('/').count() <= 2 && name.split('/').all(plain);
    let file_ok = file.is_none_or(|file| file.split('/').all(plain));
    if name_ok && file_ok {
        return Ok(());
    }
    let shown = file.map_or_else(|| name.to_string(), |file| format!("{name}:{file}"));
    Err(Error::Hub(format!(
        "`{shown}` is no hub name; expected `owner/name` or `owner/name:file.gguf`"
    )))
}

fn connect(request: &Request<'_>) -> Result<Api> {
    // From an explicit cache: the builder's other constructors read the environment.
    let mut builder = ApiBuilder::from_cache(Cache::new(request.cache.to_path_buf()))
        .with_token(request.token.map(str::to_string))
        .with_retries(3)
        .with_progress(false);
    if let Some(endpoint) = request.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_string());
    }
    builder
        .build()
        .map_err(|e| Error::Hub(format!("the client could not be set up: {e}")))
}

/// One repository on the hub.
struct Remote {
    api: ApiRepo,
    label: String,
}

impl Remote {
    /// The repository on the network; `wanted` is what is not in the cache.
    fn of(request: &Request<'_>, name: &str, repo: Repo, wanted: &str) -> Result<Self> {
        let label = format!("{name}@{}", request.revision);
        if request.offline {
            return Err(Error::Hub(format!(
                "{label}: {wanted} are not in the cache {} and the network may not be used (offline); run once online",
                request.cache.display()
            )));
        }
        Ok(Self {
            api: connect(request)?.repo(repo),
            label,
        })
    }

    /// Downloads configuration, tokenizer and what stands beside them into one folder.
    fn small_files(
        &self,
        listed: &[String],
        folder: &mut Option<PathBuf>,
        observer: &mut dyn FnMut(Download<'_>),
    ) -> Result<()> {
        let has = |name: &str| listed.iter().any(|f| f == name);
        if let Some(absent) = REQUIRED.into_iter().find(|name| !has(name)) {
            return Err(self.lacks(absent, listed));
        }
        let mut small = Vec::from(REQUIRED);
        small.extend(OPTIONAL.into_iter().filter(|name| has(name)));
        for name in small {
            self.download_into(folder, name, observer)?;
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<String>> {
        let info = self.api.info().map_err(|e| {
            let reason = e.to_string();
            let hint = if reason.contains("401") || reason.contains("403") {
                "the model is private or gated, or does not exist: give a token with access to it"
            } else if reason.contains("404") {
                "check the model's name and the revision"
            } else {
                "check the network and the endpoint, or go offline with a filled cache"
            };
            Error::Hub(format!("{}: {reason}; {hint}", self.label))
        })?;
        Ok(info
            .siblings
            .into_iter()
            .map(|file| file.rfilename)
            .collect())
    }

    fn download(&self, file: &str, observer: &mut dyn FnMut(Download<'_>)) -> Result<PathBuf> {
        let progress = Observed {
            observer,
            file: String::new(),
            done: 0,
            total: 0,
        };
        self.api
            .download_with_progress(file, progress)
            .map_err(|e| {
                Error::Hub(format!(
                    "{}: downloading {file}: {e}; run again to go on",
                    self.label
                ))
            })
    }

    /// Downloads a file that belongs into the folder of those before it.
    fn download_into(
        &self,
        folder: &mut Option<PathBuf>,
        file: &str,
        observer: &mut dyn FnMut(Download<'_>),
    ) -> Result<PathBuf> {
        let path = self.download(file, observer)?;
        let mut at = path.as_path();
        for _ in file.split('/') {
            at = at.parent().unwrap_or(at);
        }
        if folder.get_or_insert_with(|| at.to_owned()) != at {
            return Err(Error::Hub(format!(
                "{}: the revision moved to another commit during the download; run again",
                self.label
            )));
        }
        Ok(path)
    }

    fn lacks(&self, file: &str, listed: &[String]) -> Error {
        let gguf: Vec<&str> = listed
            .iter()
            .map(String::as_str)
            .filter(|f| Path::new(f).extension().is_some_and(|e| e == "gguf"))
            .collect();
        let hint = if !gguf.is_empty() {
            format!(
                "it has GGUF files: name one as `owner/name:file.gguf` ({})",
                gguf.join(", ")
            )
        } else if file == SINGLE {
            "only safetensors weights are supported".into()
        } else {
            format!("it has {}", listed.join(", "))
        };
        Error::Hub(format!(
            "{}: there is no {file} in this repository; {hint}",
            self.label
        ))
    }
}

/// Passes the client's progress on to the observer.
struct Observed<'a> {
    observer: &'a mut dyn FnMut(Download<'_>),
    file: String,
    done: u64,
    total: u64,
}

impl hf_hub::api::Progress for Observed<'_> {
    fn init(&mut self, size: usize, filename: &str) {
        self.total = size as u64;
        self.done = 0;
        self.file = filename.to_string();
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.observer)(Download {
            file: &self.file,
            done: self.done,
            total: self.total,
        });
    }

    fn finish(&mut self) {}
}
