//! Models by hub name, against a stub of the hub on the loopback interface.

mod stub;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cdpo_model::source::{Checkpoint, ModelSource, open, open_observed, open_outline};

use crate::{assert_says, fixture, folder, message};
use stub::{COMMIT, Hub};

fn files_of(folder: &Path) -> HashMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .expect("there")
        .flatten()
        .map(|e| {
            (
                e.file_name().into_string().expect("plain"),
                std::fs::read(e.path()).expect("read"),
            )
        })
        .collect()
}

/// A hub name with every setting explicit.
struct Named {
    source: ModelSource,
    cache: tempfile::TempDir,
}

fn named(hub: &Hub, repo: &str, token: Option<&str>) -> Named {
    let cache = tempfile::tempdir().expect("a cache");
    let source = ModelSource::Hub {
        repo: repo.into(),
        revision: "v1".into(),
        endpoint: Some(hub.address.clone()),
        token: token.map(str::to_string),
        cache: cache.path().to_path_buf(),
        offline: false,
    };
    Named { source, cache }
}

fn changed(source: &ModelSource, to_endpoint: Option<&str>, to_offline: bool) -> ModelSource {
    match source.clone() {
        ModelSource::Hub {
            repo,
            revision,
            endpoint,
            token,
            cache,
            ..
        } => ModelSource::Hub {
            repo,
            revision,
            endpoint: to_endpoint.map(str::to_string).or(endpoint),
            token,
            cache,
            offline: to_offline,
        },
        other => other,
    }
}

fn same_model(a: &Checkpoint, b: &Checkpoint) {
    assert_eq!(a.config, b.config);
    assert_eq!(a.content_id, b.content_id);
    assert_eq!(a.tokenizer.content_id(), b.tokenizer.content_id());
}

#[test]
fn a_model_is_downloaded_once_and_then_used_without_the_network() {
    for weights in ["llama", "llama-tied"] {
        let local = folder(weights);
        let expected = open(&ModelSource::Path(local.path().to_path_buf())).expect("opens");
        let hub = Hub::serve(files_of(local.path()), None, 0);
        let named = named(&hub, "owner/name", None);
        let mut last = HashMap::new();
        let found = open_observed(&named.source, &mut |d| {
            last.insert(d.file.to_string(), (d.done, d.total));
        })
        .expect("downloads");
        same_model(&found, &expected);
        assert_eq!(found.origin, "owner/name@v1");
        assert!(
            last.len() >= 4 && last.values().all(|(done, total)| done == total),
            "{last:?}"
        );
        // The fixture's further files are not part of the model.
        assert!(
            hub.seen().iter().all(|r| !r.contains("reference")),
            "{:?}",
            hub.seen()
        );

        let requests = hub.seen().len();
        same_model(&open(&named.source).expect("from the cache"), &expected);
        same_model(
            &open(&changed(&named.source, None, true)).expect("offline"),
            &expected,
        );
        same_model(
            &open(&changed(&named.source, Some("http://127.0.0.1:9"), false)).expect("unreachable"),
            &expected,
        );
        assert_eq!(hub.seen().len(), requests, "the cache is complete");
        // Python's layout, so that both share one cache.
        let snapshot = named
            .cache
            .path()
            .join(format!("models--owner--name/snapshots/{COMMIT}"));
        assert!(snapshot.join("config.json").exists());
    }
}

#[test]
fn a_file_that_a_filled_cache_lacks_is_asked_for_once() {
    let local = folder("llama");
    let mut files = files_of(local.path());
    files.insert("chat_template.jinja".into(), b"{{ messages }}".to_vec());
    let hub = Hub::serve(files, None, 0);
    let named = named(&hub, "owner/name", None);
    open(&named.source).expect("downloads");
    let repo = named.cache.path().join("models--owner--name");
    let template = repo.join(format!("snapshots/{COMMIT}/chat_template.jinja"));
    // As another program may have left it: without the template, and without a word of what the repository does not have.
    std::fs::remove_file(&template).expect("there");
    std::fs::remove_dir_all(repo.join(".no_exist")).expect("there");
    let before = hub.seen().len();
    open(&changed(&named.source, None, true)).expect("offline");
    assert_eq!(hub.seen().len(), before);
    let unreachable = changed(&named.source, Some("http://127.0.0.1:9"), false);
    open(&unreachable).expect("without an answer, as it is");
    assert!(!template.exists());
    open(&named.source).expect("fetches what is missing");
    assert!(template.exists());
    let asked = &hub.seen()[before..];
    assert!(
        asked
            .iter()
            .all(|r| r.contains("chat_template.jinja") || r.contains("/api/")),
        "{asked:?}"
    );
    let absent = repo.join(format!(".no_exist/{COMMIT}/added_tokens.json"));
    assert!(absent.exists());
    let after = hub.seen().len();
    open(&named.source).expect("from the cache");
    assert_eq!(hub.seen().len(), after, "what is absent is known");
}

#[test]
fn an_interrupted_download_goes_on_where_it_broke_off() {
    let local = folder("llama");
    let expected = open(&ModelSource::Path(local.path().to_path_buf())).expect("opens");
    let hub = Hub::serve(files_of(local.path()), None, 1);
    let named = named(&hub, "owner/name", None);
    same_model(&open(&named.source).expect("retries"), &expected);
    let resumed = hub
        .seen()
        .iter()
        .any(|r| r.contains("bytes=") && !r.contains("bytes=0-"));
    assert!(resumed, "{:?}", hub.seen());
}

#[test]
fn the_token_is_sent_and_never_shown() {
    let local = folder("llama");
    let hub = Hub::serve(files_of(local.path()), Some("secret-token"), 0);
    assert!(open(&named(&hub, "owner/name", Some("secret-token")).source).is_ok());
    let said = message(open(&named(&hub, "owner/name", Some("wrong-token")).source));
    assert_says(&said, &["owner/name@v1", "401", "token"]);
    assert!(!said.contains("wrong-token"), "{said}");
    assert_says(
        &message(open(&named(&hub, "owner/name", None).source)),
        &["private or gated"],
    );
}

#[test]
fn offline_with_an_incomplete_cache_is_an_error_without_a_request() {
    let local = folder("llama");
    let hub = Hub::serve(files_of(local.path()), None, 0);
    let named = named(&hub, "owner/name", None);
    let offline = changed(&named.source, None, true);
    assert_says(
        &message(open(&offline)),
        &[
            "owner/name@v1",
            "offline",
            &named.cache.path().display().to_string(),
        ],
    );
    assert!(hub.seen().is_empty());
    open(&named.source).expect("downloads");
    let snapshot = named
        .cache
        .path()
        .join(format!("models--owner--name/snapshots/{COMMIT}"));
    std::fs::remove_file(snapshot.join("model.safetensors")).expect("there");
    assert_says(&message(open(&offline)), &["not in the cache"]);
}

#[test]
fn one_gguf_file_of_a_repository_can_be_named() {
    let path: PathBuf = fixture("gguf/tiny-qwen2.gguf");
    let expected = open(&ModelSource::Path(path.clone())).expect("opens");
    let files = HashMap::from([(
        "tiny.gguf".to_string(),
        std::fs::read(&path).expect("there"),
    )]);
    let hub = Hub::serve(files, None, 0);
    let source = named(&hub, "owner/name:tiny.gguf", None);
    same_model(&open(&source.source).expect("downloads"), &expected);
    same_model(
        &open(&changed(&source.source, None, true)).expect("offline"),
        &expected,
    );
    assert_says(
        &message(open(&named(&hub, "owner/name", None).source)),
        &["config.json", "tiny.gguf"],
    );
    assert_says(
        &message(open(&named(&hub, "owner/name:other.gguf", None).source)),
        &["other.gguf", "tiny.gguf"],
    );
}

#[test]
fn all_parts_of_a_split_gguf_file_are_fetched() {
    let dir = tempfile::tempdir().expect("a folder");
    let paths = crate::gguf::split(dir.path());
    let expected = open(&ModelSource::Path(paths[0].clone())).expect("opens");
    let names = ["tiny-00001-of-00003.gguf", "tiny-00003-of-00003.gguf"];
    for name in names {
        let hub = Hub::serve(files_of(dir.path()), None, 0);
        let source = named(&hub, &format!("owner/name:{name}"), None);
        same_model(&open(&source.source).expect("downloads"), &expected);
        let offline = changed(&source.source, None, true);
        same_model(&open(&offline).expect("offline"), &expected);
        let snapshot = format!("models--owner--name/snapshots/{COMMIT}/tiny-00002-of-00003.gguf");
        std::fs::remove_file(source.cache.path().join(snapshot)).expect("there");
        assert_says(&message(open(&offline)), &["not in the cache", "offline"]);
    }
    let mut files = files_of(dir.path());
    files.remove("tiny-00002-of-00003.gguf");
    let hub = Hub::serve(files, None, 0);
    let source = named(&hub, &format!("owner/name:{}", names[0]), None);
    assert_says(
        &message(open(&source.source)),
        &["there is no tiny-00002-of-00003.gguf", names[1]],
    );
}

#[test]
fn what_a_repository_lacks_is_named() {
    let local = folder("llama");
    for (file, parts) in [
        (
            "model.safetensors",
            ["model.safetensors", "only safetensors"],
        ),
        ("tokenizer.json", ["tokenizer.json", "config.json"]),
    ] {
        let mut files = files_of(local.path());
        files.remove(file);
        let hub = Hub::serve(files, None, 0);
        assert_says(
            &message(open(&named(&hub, "owner/name", None).source)),
            &parts,
        );
    }
    let hub = Hub::serve(HashMap::new(), None, 0);
    assert_says(
        &message(open(&named(&hub, "owner/other", None).source)),
        &["404", "name and the revision"],
    );
}

#[test]
fn malformed_names_are_refused_before_any_path_or_request() {
    let hub = Hub::serve(HashMap::new(), None, 0);
    for name in [
        "",
        "a/b/c",
        "../x",
        "owner/..",
        "owner/name:../x.gguf",
        "owner/na me",
        "owner//",
        "owner/name:",
    ] {
        assert_says(
            &message(open(&named(&hub, name, None).source)),
            &["owner/name"],
        );
    }
    assert!(hub.seen().is_empty());
}

#[test]
fn an_unreachable_hub_says_so() {
    let hub = Hub::serve(HashMap::new(), None, 0);
    let named = named(&hub, "owner/name", None);
    // Port 9 (discard) is closed on the loopback interface.
    let source = changed(&named.source, Some("http://127.0.0.1:9/"), false);
    assert_says(
        &message(open(&source)),
        &["owner/name@v1", "check the network and the endpoint"],
    );
}

#[test]
fn an_outline_takes_the_small_files_alone() {
    let local = folder("llama");
    let expected = open(&ModelSource::Path(local.path().to_path_buf())).expect("opens");
    let hub = Hub::serve(files_of(local.path()), None, 0);
    let named = named(&hub, "owner/name", None);
    let found = open_outline(&named.source, &mut |_| {}).expect("outlined");
    assert_eq!(found.config, expected.config);
    assert_eq!(found.stored_bytes, None);
    let seen = hub.seen();
    assert!(
        seen.iter().all(|request| !request.contains("safetensors")),
        "{seen:?}"
    );
    let offline = changed(&named.source, None, true);
    let again = open_outline(&offline, &mut |_| {}).expect("from the cache");
    assert_eq!(again.config, expected.config);
    // The cache has no weights: it is no whole model.
    let told = message(open(&offline));
    assert_says(&told, &["weights", "offline"]);

    let file = self::named(&hub, "owner/name:small.gguf", None);
    let told = message(open_outline(&file.source, &mut |_| {}));
    assert_says(&told, &["small.gguf", "config.json of the same model"]);
}
