//! What is read of a model whose weights need not be there.

use cdpo_model::source::{ModelSource, open, open_outline};

use crate::{assert_says, folder, message};

fn path(path: impl Into<std::path::PathBuf>) -> ModelSource {
    ModelSource::Path(path.into())
}

#[test]
fn an_outline_is_the_models_own_without_its_weights() {
    let whole = folder("llama");
    let expected = open(&path(whole.path())).expect("opens");
    let found = open_outline(&path(whole.path()), &mut |_| {}).expect("outlined");
    assert_eq!(found.config, expected.config);
    let bytes = std::fs::metadata(whole.path().join("model.safetensors")).expect("there");
    assert_eq!(found.stored_bytes, Some(bytes.len()));

    std::fs::remove_file(whole.path().join("model.safetensors")).expect("removed");
    let found = open_outline(&path(whole.path()), &mut |_| {}).expect("no weights");
    assert_eq!(found.config, expected.config);
    assert_eq!(found.stored_bytes, None);
    let ids = found.tokenizer.map(|t| t.content_id());
    assert_eq!(ids, Some(expected.tokenizer.content_id()));

    std::fs::remove_file(whole.path().join("tokenizer.json")).expect("removed");
    let found = open_outline(&path(whole.path()), &mut |_| {}).expect("no tokenizer");
    assert!(found.tokenizer.is_none());
    assert_eq!(found.config.layers, expected.config.layers);
    let file = whole.path().join("config.json");
    let found = open_outline(&path(&file), &mut |_| {}).expect("a file");
    assert_eq!(found.config.layers, expected.config.layers);

    std::fs::remove_file(&file).expect("removed");
    let told = message(open_outline(&path(whole.path()), &mut |_| {}));
    assert_says(&told, &["no config.json"]);
}
