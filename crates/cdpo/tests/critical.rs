//! `cdpo analyze` and `cdpo judge` on rollout records that are written here, so that their answers are known.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use binary::Place;
use cdpo_data::rollout_record::{
    CriticalKind, PositionScore, RolloutCost, RolloutKeys, RolloutRecord,
};
use cdpo_data::{Finish, OnBadRow, Pair, jsonl};
use cdpo_report::{CriticalTokens, Judgement};

/// The rejected responses of the run's scored pairs, each with the token of the lowest score for its critical one.
fn records(place: &Place) -> Vec<RolloutRecord> {
    let path = place.run_dir().join("scored/pairs.jsonl");
    let (pairs, _): (Vec<Pair>, _) = jsonl::read(path, OnBadRow::Fail).unwrap();
    let mut records: Vec<RolloutRecord> = Vec::new();
    for pair in pairs {
        let tokens = pair.rejected_ids.len() - usize::from(pair.rejected_terminated);
        let scores = &pair.rejected_scores.as_ref().unwrap()[..tokens];
        if tokens < 2 || records.iter().any(|r| r.problem_id == pair.problem_id) {
            continue;
        }
        let lowest = (0..tokens).min_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let position = PositionScore {
            successes: 0,
            failures: 64,
            partial: false,
            low: 0.0,
            high: 0.06,
        };
        records.push(RolloutRecord {
            problem_id: pair.problem_id,
            sample: pair.rejected_sample,
            prompt_ids: pair.prompt_ids,
            ids: pair.rejected_ids[..tokens].to_vec(),
            finish: Finish::Eos,
            n: 64,
            keys: RolloutKeys::Common,
            kind: CriticalKind::Both,
            position: Some(lowest.unwrap() + 1),
            positions: vec![position; tokens],
            token_logps: vec![-1.0; tokens],
            entropies: vec![0.5; tokens],
            cost: RolloutCost::default(),
        });
    }
    records
}

fn json<T: serde::de::DeserializeOwned>(place: &Place, path: &str) -> T {
    serde_json::from_str(&place.read(path)).unwrap()
}

#[test]
fn tokens_are_judged_by_the_scores_that_the_run_gave_them() {
    let place = Place::new();
    place.cdpo(&["demo"]).succeeded();
    let run = "demo/runs/tiny";
    place
        .cdpo(&["judge", run])
        .failed(2, &["rollouts.jsonl is not there", "cdpo rollout"]);
    place
        .cdpo(&["judge", "demo"])
        .failed(2, &["is no folder of a run"]);
    let records = records(&place);
    assert!(records.len() >= 3, "{}", records.len());
    std::fs::create_dir_all(place.run_dir().join("rollouts")).unwrap();
    let file = place.run_dir().join("rollouts/rollouts.jsonl");
    jsonl::write_atomic(&file, &records).unwrap();

    let told = place
        .cdpo(&["judge", run, "--ce-beta", "1,0.25"])
        .succeeded();
    assert!(told.stdout.contains("| 1 - s, ce_beta 1 "), "{told:#?}");
    let judgement: Judgement = json(&place, "judge/judge.json");
    let rows = &judgement.table.rows;
    assert_eq!(judgement.table.responses, records.len() as u64);
    assert_eq!(rows[0].signal, "1 - s, ce_beta 1");
    // The critical tokens were made those of the lowest score: the same models give the same scores again.
    assert_eq!(
        (rows[0].top_1.mean, rows[0].reciprocal_rank.mean),
        (1.0, 1.0)
    );
    assert_eq!(rows[0].auc.unwrap().mean, 1.0);
    // Constant numbers rank as a random order does.
    let named = |name: &str| rows.iter().find(|row| row.signal == name).unwrap();
    let random = named("random");
    for constant in ["-log P, base", "entropy, base"] {
        assert_eq!(named(constant).top_3, random.top_3, "{constant}");
    }
    assert_eq!(random.auc.unwrap().mean, 0.5);

    // What was read once is not read again, and another run's models are rows of their own.
    let numbers = place.run_dir().join("judge/numbers");
    let kept = |n: usize| assert_eq!(std::fs::read_dir(&numbers).unwrap().count(), n);
    kept(2);
    let again = place.cdpo(&["judge", run, "--models", run]).succeeded();
    kept(2);
    assert!(
        again.stdout.contains("1 - s, ce_beta 1 (tiny)"),
        "{again:#?}"
    );

    // Without models of its own the other run's are judged alone.
    let aside = place.dir.join("aside");
    std::fs::create_dir(&aside).unwrap();
    std::fs::copy(
        place.run_dir().join("recipe.toml"),
        aside.join("recipe.toml"),
    )
    .unwrap();
    let alone = place.cdpo(&[
        "judge",
        "aside",
        "--models",
        run,
        "--rollouts",
        file.to_str().unwrap(),
    ]);
    let alone = alone.succeeded();
    assert!(alone.stdout.contains("| 1 - s, ce_beta 1 "), "{alone:#?}");
    place
        .cdpo(&["judge", "aside", "--rollouts", file.to_str().unwrap()])
        .failed(2, &["cdpo score"]);

    let told = place.cdpo(&["analyze", run]).succeeded();
    assert!(told.stdout.contains("Word types"), "{told:#?}");
    let analysis: CriticalTokens = json(&place, "analysis/analysis.json");
    assert_eq!(analysis.findings.both, records.len() as u64);
    let ours = &analysis.word_types.rows[2];
    assert_eq!(ours.total, Some(records.len() as u64));
    let all: u64 = records.iter().map(|r| r.ids.len() as u64).sum();
    assert_eq!(analysis.word_types.rows[3].total, Some(all));

    // Models of another base would give numbers that mean nothing.
    let path = place.run_dir().join("positive/manifest.json");
    let mut manifest: serde_json::Value = json(&place, "positive/manifest.json");
    assert!(manifest["inputs"]["model"].is_string());
    manifest["inputs"]["model"] = "another".into();
    std::fs::write(path, manifest.to_string()).unwrap();
    place
        .cdpo(&["judge", run])
        .failed(2, &["another base model"]);
}
