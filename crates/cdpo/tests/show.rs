//! A finished run's report and what the terminal shows of it.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use binary::Place;

#[test]
fn a_finished_run_has_a_report_and_shows_its_table_and_its_trajectories() {
    let place = Place::new();
    let ran = place.cdpo(&["demo"]).succeeded();
    let run = place.run_dir();
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(ran.stderr.contains("report.html"), "{}", ran.stderr);
    assert!(page.contains("<title>tiny · cdpo report</title>"));
    let text = std::fs::read_to_string(run.join("report.json")).unwrap();
    let data: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pairs = std::fs::read_to_string(run.join("scored/pairs.jsonl")).unwrap();
    assert_eq!(data["scored"], pairs.lines().count());
    // Every wrong response of the page is its file's, token by token.
    for (view, line) in data["trajectories"]
        .as_array()
        .unwrap()
        .iter()
        .zip(pairs.lines())
    {
        let pair: serde_json::Value = serde_json::from_str(line).unwrap();
        let tokens = view["tokens"].as_array().unwrap();
        let content = tokens.len() - usize::from(view["terminated"].as_bool().unwrap());
        let text: String = tokens[..content]
            .iter()
            .map(|n| {
                data["texts"][n.as_u64().unwrap() as usize]
                    .as_str()
                    .unwrap()
            })
            .collect();
        assert_eq!(text, pair["rejected"].as_str().unwrap());
        assert_eq!(view["alternatives"][0].as_array().unwrap().len(), 3);
        assert!(view["ranks"][0].as_u64().unwrap() >= 1);
    }

    let path = run.to_string_lossy().into_owned();
    let table = place.cdpo(&["show", &path]).succeeded().stdout;
    assert!(table.starts_with("method  questions"), "{table}");
    let list = place.cdpo(&["show", &path, "--list"]).succeeded().stdout;
    let id = list
        .lines()
        .nth(2)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let shown = |color: &str| {
        let args = ["show", &path, "--trajectory", id, "--color", color];
        place.cdpo(&args).succeeded().stdout
    };
    let plain = shown("auto");
    assert!(plain.starts_with(id) && plain.contains(">>"), "{plain}");
    assert!(!plain.contains('\x1b'), "no terminal, no colour");
    assert_eq!(shown("never"), plain);
    assert!(shown("always").contains("\x1b[48;"));

    place
        .cdpo(&["show", &path, "--trajectory", "nowhere#1"])
        .failed(2, &["no scored response is named nowhere#1", "--list"]);
    place
        .cdpo(&["show", "nowhere"])
        .failed(2, &["nowhere is no folder"]);

    // The report can be written again from the run alone.
    std::fs::remove_file(run.join("report.html")).unwrap();
    std::fs::remove_file(run.join("report.json")).unwrap();
    place
        .cdpo(&["show", &path, "--list"])
        .failed(2, &["cdpo report"]);
    let again = place.cdpo(&["report", &path]).succeeded().stdout;
    assert!(again.trim_end().ends_with("report.html"), "{again}");
    assert_eq!(
        std::fs::read_to_string(run.join("report.html")).unwrap(),
        page
    );
}
