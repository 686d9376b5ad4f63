use serde_json::json;

use super::*;

fn stage(temperature: f64, train: &str) -> StageKey {
    StageKey {
        name: "samples".into(),
        version: 1,
        inputs: BTreeMap::from([("train".to_string(), hash_bytes(train.as_bytes()))]),
        settings: json!({ "sample": { "temperature": temperature, "n": 8 }, "seed": 1 }),
    }
}

fn fresh(run: &Path, stage: &StageKey) -> (StageDir, Reason) {
    match StageDir::open(run, stage).unwrap() {
        StageState::Fresh(dir, reason) => (dir, reason),
        other => panic!("a fresh stage is expected, found {other:?}"),
    }
}

fn finish(run: &Path, stage: &StageKey, content: &str) -> Manifest {
    let (dir, _) = fresh(run, stage);
    std::fs::write(dir.path("samples.jsonl"), content).unwrap();
    std::fs::create_dir_all(dir.path("adapter/deep")).unwrap();
    std::fs::write(dir.path("adapter/deep/weights"), "w").unwrap();
    dir.finish(&["samples.jsonl", "adapter"], json!({ "rows": 1 }))
        .unwrap()
}

#[test]
fn a_finished_stage_is_reused_while_inputs_settings_and_files_are_the_same() {
    let run = tempfile::tempdir().unwrap();
    let s = stage(0.5, "questions");
    assert_eq!(s.plan(run.path()).unwrap(), StagePlan::Fresh(Reason::New));
    let manifest = finish(run.path(), &s, "{}\n");
    assert_eq!(manifest.status, Status::Done);
    assert_eq!(
        manifest.outputs,
        BTreeMap::from([
            ("adapter/deep/weights".to_string(), hash_bytes(b"w")),
            ("samples.jsonl".to_string(), hash_bytes(b"{}\n")),
        ])
    );
    for _ in 0..2 {
        match StageDir::open(run.path(), &s).unwrap() {
            StageState::Done(found) => assert_eq!(found, manifest),
            other => panic!("{other:?}"),
        }
    }
    assert!(!run.path().join(SUPERSEDED).exists());
}

#[test]
fn a_stage_that_was_begun_and_not_finished_resumes_with_its_files() {
    let run = tempfile::tempdir().unwrap();
    let s = stage(0.5, "questions");
    let (dir, reason) = fresh(run.path(), &s);
    assert_eq!(reason, Reason::New);
    std::fs::write(dir.path("samples.jsonl"), "half").unwrap();
    drop(dir);
    assert!(matches!(s.plan(run.path()).unwrap(), StagePlan::Resume(_)));
    let StageState::Resume(dir) = StageDir::open(run.path(), &s).unwrap() else {
        panic!("a stage to resume is expected");
    };
    assert_eq!(
        std::fs::read_to_string(dir.path("samples.jsonl")).unwrap(),
        "half"
    );
    let manifest = dir.finish(&["samples.jsonl"], json!(null)).unwrap();
    assert_eq!(manifest.clock.sittings, 2);
}

#[test]
fn a_changed_setting_or_input_puts_the_old_stage_aside_and_says_what_changed() {
    let run = tempfile::tempdir().unwrap();
    finish(run.path(), &stage(0.5, "questions"), "old");
    let (dir, reason) = fresh(run.path(), &stage(0.7, "other questions"));
    assert_eq!(
        reason.to_string(),
        "changed: input train has other content; sample.temperature 0.5 -> 0.7"
    );
    assert!(
        !dir.path("samples.jsonl").exists(),
        "nothing of another key stays"
    );
    let aside = run.path().join("superseded/samples/samples.jsonl");
    assert_eq!(std::fs::read_to_string(&aside).unwrap(), "old");

    std::fs::write(dir.path("samples.jsonl"), "newer").unwrap();
    drop(dir);
    let mut raised = stage(0.7, "other questions");
    raised.version = 2;
    let (_, reason) = fresh(run.path(), &raised);
    assert_eq!(reason, Reason::Changed(vec!["version 1 -> 2".into()]));
    assert_eq!(
        std::fs::read_to_string(&aside).unwrap(),
        "newer",
        "the place aside holds the last one"
    );
}

#[test]
fn planning_touches_nothing() {
    let run = tempfile::tempdir().unwrap();
    finish(run.path(), &stage(0.5, "questions"), "old");
    let plan = stage(0.7, "questions").plan(run.path()).unwrap();
    assert_eq!(
        plan,
        StagePlan::Fresh(Reason::Changed(vec![
            "sample.temperature 0.5 -> 0.7".into()
        ]))
    );
    assert!(matches!(
        stage(0.5, "questions").plan(run.path()).unwrap(),
        StagePlan::Done(_)
    ));
    assert_eq!(std::fs::read_dir(run.path()).unwrap().count(), 1);
}

#[test]
fn a_finished_stage_whose_files_changed_is_done_again() {
    let run = tempfile::tempdir().unwrap();
    let s = stage(0.5, "questions");
    finish(run.path(), &s, "old");
    std::fs::write(run.path().join("samples/samples.jsonl"), "edited").unwrap();
    std::fs::remove_file(run.path().join("samples/adapter/deep/weights")).unwrap();
    let (_, reason) = fresh(run.path(), &s);
    assert_eq!(
        reason,
        Reason::Damaged(vec![
            "adapter/deep/weights is missing".into(),
            "samples.jsonl has other content".into()
        ])
    );
    let aside = run.path().join("superseded/samples/samples.jsonl");
    assert_eq!(std::fs::read_to_string(aside).unwrap(), "edited");
}

#[test]
fn a_folder_without_a_readable_manifest_is_put_aside() {
    let run = tempfile::tempdir().unwrap();
    let s = stage(0.5, "questions");
    std::fs::create_dir(run.path().join("samples")).unwrap();
    std::fs::write(run.path().join("samples/notes.txt"), "mine").unwrap();
    let (dir, reason) = fresh(run.path(), &s);
    assert_eq!(
        reason,
        Reason::Unknown("the folder has files but no manifest".into())
    );
    assert!(run.path().join("superseded/samples/notes.txt").exists());
    std::fs::write(dir.path(MANIFEST), "{").unwrap();
    drop(dir);
    let (_, reason) = fresh(run.path(), &s);
    assert!(
        reason
            .to_string()
            .starts_with("the manifest cannot be read"),
        "{reason}"
    );
}

#[test]
fn a_resumed_manifest_equals_the_uninterrupted_one_but_for_the_clock() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let s = stage(0.5, "questions");
    let uninterrupted = finish(a.path(), &s, "rows");
    drop(fresh(b.path(), &s));
    let StageState::Resume(dir) = StageDir::open(b.path(), &s).unwrap() else {
        panic!("a stage to resume is expected");
    };
    std::fs::write(dir.path("samples.jsonl"), "rows").unwrap();
    std::fs::create_dir_all(dir.path("adapter/deep")).unwrap();
    std::fs::write(dir.path("adapter/deep/weights"), "w").unwrap();
    let resumed = dir
        .finish(&["samples.jsonl", "adapter"], json!({ "rows": 1 }))
        .unwrap();
    assert_ne!(resumed, uninterrupted);
    let timeless = |manifest: &Manifest| {
        let mut value = json!(manifest);
        value.as_object_mut().unwrap().remove("clock").unwrap();
        value
    };
    assert_eq!(timeless(&resumed), timeless(&uninterrupted));
}

#[test]
fn time_adds_up_over_sittings() {
    let run = tempfile::tempdir().unwrap();
    let s = stage(0.5, "questions");
    let (mut dir, _) = fresh(run.path(), &s);
    dir.manifest.clock.seconds = 0.0;
    dir.before = 100.0;
    dir.keep_time().unwrap();
    drop(dir);
    let StageState::Resume(dir) = StageDir::open(run.path(), &s).unwrap() else {
        panic!("a stage to resume is expected");
    };
    assert!((100.0..160.0).contains(&dir.seconds()), "{}", dir.seconds());
}

#[test]
fn the_key_depends_on_every_part_and_not_on_the_order_of_settings() {
    let s = stage(0.5, "questions");
    let mut others = vec![stage(0.6, "questions"), stage(0.5, "other")];
    others.push(StageKey {
        name: "eval".into(),
        ..s.clone()
    });
    others.push(StageKey {
        version: 2,
        ..s.clone()
    });
    let mut renamed = s.clone();
    renamed.inputs = BTreeMap::from([("test".to_string(), hash_bytes(b"questions"))]);
    others.push(renamed);
    for other in &others {
        assert_ne!(other.key(), s.key());
    }
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        hash_json(&parsed(r#"{"a":1,"b":[{"c":2,"d":3}]}"#)),
        hash_json(&parsed(r#"{"b":[{"d":3,"c":2}],"a":1}"#))
    );
    assert_ne!(
        hash_json(&parsed(r#"{"a":1}"#)),
        hash_json(&parsed(r#"{"a":"1"}"#))
    );
    assert_eq!(s.key().len(), 64);
}

#[test]
fn hashes_are_blake3_of_the_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, "").unwrap();
    // The published BLAKE3 hash of no bytes.
    let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(hash_file(&path).unwrap(), empty);
    let before = hash_folder(dir.path()).unwrap();
    std::fs::rename(&path, dir.path().join("g")).unwrap();
    assert_ne!(
        hash_folder(dir.path()).unwrap(),
        before,
        "a folder's hash knows the names"
    );
}

#[test]
fn an_output_that_is_missing_is_an_error_and_the_stage_stays_unfinished() {
    let run = tempfile::tempdir().unwrap();
    let s = stage(0.5, "questions");
    let (dir, _) = fresh(run.path(), &s);
    let error = dir
        .finish(&["samples.jsonl"], json!(null))
        .unwrap_err()
        .to_string();
    assert!(error.contains("samples.jsonl: cannot read"), "{error}");
    assert!(matches!(s.plan(run.path()).unwrap(), StagePlan::Resume(_)));
}

#[test]
fn a_run_folder_that_cannot_be_made_is_a_clear_error() {
    let run = tempfile::tempdir().unwrap();
    let file = run.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = StageDir::open(&file, &stage(0.5, "questions")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let mut odd = stage(0.5, "questions");
    odd.name = "../up".into();
    assert!(
        StageDir::open(run.path(), &odd)
            .unwrap_err()
            .to_string()
            .contains("stage name \"../up\"")
    );
}

/// `/dev/full` refuses every write with "no space left on device".
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_while_finishing_is_a_clear_error_and_the_stage_can_be_resumed() {
    let run = tempfile::tempdir().unwrap();
    let s = stage(0.5, "questions");
    let (dir, _) = fresh(run.path(), &s);
    std::fs::write(dir.path("samples.jsonl"), "rows").unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path(".manifest.json.tmp")).unwrap();
    let error = dir
        .finish(&["samples.jsonl"], json!(null))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("manifest.json: cannot write") && error.contains("free some space"),
        "{error}"
    );
    assert!(matches!(s.plan(run.path()).unwrap(), StagePlan::Resume(_)));
}
