use cdpo_data::chat::{ChatTemplate, Given};
use cdpo_data::trl::{TextPair, read};
use cdpo_data::{Error, OnBadRow, Record};
use parquet::basic::Compression;

use crate::{parquet_file, text_file};

const ROW: &str = r#"{"prompt": "Sky?", "chosen": " Blue.", "rejected": " Green.", "score": 1}"#;

fn blue(id: &str) -> TextPair {
    TextPair {
        id: id.into(),
        prompt: "Sky?".into(),
        chosen: " Blue.".into(),
        rejected: " Green.".into(),
        rendered: false,
        shortened: false,
        chosen_weights: None,
        rejected_weights: None,
    }
}

#[test]
fn text_columns_are_read_verbatim_from_lines_and_from_parquet() {
    let dir = tempfile::tempdir().unwrap();
    let path = text_file(
        dir.path(),
        "prefs.jsonl",
        &format!(
            "{ROW}\n{}\n",
            ROW.replace("\"score\": 1", "\"id\": \"own\"")
        ),
    );
    let (pairs, skipped) = read(&path, OnBadRow::Fail, None).unwrap();
    assert_eq!(
        (pairs, skipped.count()),
        (vec![blue("prefs/0"), blue("own")], 0)
    );

    let rows = [vec![Some("Sky?"), Some(" Blue."), Some(" Green.")]];
    let path = parquet_file::write(
        dir.path(),
        "p.parquet",
        &["prompt", "chosen", "rejected"],
        &rows,
        Compression::SNAPPY,
    );
    assert_eq!(read(&path, OnBadRow::Fail, None).unwrap().0, [blue("p/0")]);
}

#[test]
fn conversational_rows_are_an_error_under_either_policy_that_names_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let talk = r#"{"prompt": "Sky?", "chosen": [{"role": "assistant", "content": "Blue."}], "rejected": " Green."}"#;
    let path = text_file(dir.path(), "t.jsonl", &format!("{ROW}\n{talk}\n"));
    for policy in [OnBadRow::Fail, OnBadRow::Skip] {
        let error = read(&path, policy, None).unwrap_err();
        assert!(matches!(error, Error::Row { line: 2, .. }));
        let told = error.to_string();
        assert!(
            told.contains("column \"chosen\" is a list of messages")
                && told.contains("chat template"),
            "{told}"
        );
    }
}

#[test]
fn bad_rows_fail_with_path_line_and_reason_or_are_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (r#"{"chosen": "a b", "rejected": "a c"}"#, "implicit prompt"),
        (
            r#"{"prompt": "p", "chosen": "a"}"#,
            "the rejected response is missing",
        ),
        (
            r#"{"prompt": "p", "chosen": "a", "rejected": "a"}"#,
            "the same text",
        ),
        (
            r#"{"prompt": "p", "chosen": "", "rejected": "a"}"#,
            "the chosen response is empty",
        ),
        (
            r#"{"prompt": null, "chosen": "b", "rejected": "a"}"#,
            "the prompt is empty (column \"prompt\")",
        ),
    ];
    for (line, reason) in cases {
        let path = text_file(dir.path(), "t.jsonl", &format!("{ROW}\n{line}\n"));
        let told = read(&path, OnBadRow::Fail, None).unwrap_err().to_string();
        assert!(
            told.starts_with(&format!("{}:2: ", path.display())) && told.contains(reason),
            "{told}"
        );
        let (pairs, skipped) = read(&path, OnBadRow::Skip, None).unwrap();
        assert_eq!((pairs.len(), skipped.rows[0].line), (1, 2));
    }
}

#[test]
fn a_repeated_id_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let row = ROW.replace("\"score\"", "\"id\"");
    let path = text_file(dir.path(), "t.jsonl", &format!("{row}\n{row}\n"));
    assert!(matches!(
        read(&path, OnBadRow::Skip, None).unwrap_err(),
        Error::DuplicateId { line: 2, .. }
    ));
}

#[test]
fn prompt_and_responses_are_encoded_apart_each_response_behind_the_prompts_ids() {
    let bytes = |text: &str| -> Vec<u32> { text.bytes().map(u32::from).collect() };
    let prompt = |text: &str| Ok::<_, &str>(bytes(text));
    let response = |before: &[u32], text: &str| {
        assert_eq!(before, [83, 107, 121, 63]);
        Ok([bytes(text), vec![0]].concat())
    };
    let pair = blue("q").encode(prompt, response).unwrap();
    assert_eq!(pair.prompt_ids, [83, 107, 121, 63]);
    assert_eq!(pair.chosen_ids, [32, 66, 108, 117, 101, 46, 0]);
    assert_eq!(pair.rejected_ids.last(), Some(&0));
    assert!(pair.chosen_terminated && pair.rejected_terminated);
    pair.check().unwrap();
    let broken = |_: &[u32], _: &str| Err("no");
    assert_eq!(blue("q").encode(prompt, broken).unwrap_err(), "no");
}

#[test]
fn token_weights_are_read_with_their_row() {
    let dir = tempfile::tempdir().unwrap();
    let row = |weights: &str| ROW.replace("\"score\": 1", weights);
    let path = text_file(
        dir.path(),
        "w.jsonl",
        &(row("\"rejected_weights\": [1, 0.5]") + "\n"),
    );
    let pairs = read(&path, OnBadRow::Fail, None).unwrap().0;
    assert_eq!(pairs[0].rejected_weights, Some(vec![1.0, 0.5]));
    assert_eq!(pairs[0].chosen_weights, None);
    for (weights, reason) in [
        ("\"chosen_weights\": 1", "chosen_weights is no list"),
        ("\"chosen_weights\": [1, -2]", "chosen_weights[1] is -2"),
    ] {
        let path = text_file(dir.path(), "bad.jsonl", &(row(weights) + "\n"));
        let told = read(&path, OnBadRow::Fail, None).unwrap_err().to_string();
        assert!(told.contains(&format!(":1: {reason}")), "{told}");
    }
}

/// ChatML, whose responses begin with `begins`.
fn template(begins: &str) -> ChatTemplate {
    let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}BEGINS{% endif %}\
                  {{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let source = source.replace("BEGINS", begins);
    ChatTemplate::new("t.jinja", source, Given::default()).unwrap()
}

const SKY: &str = r#"{"role": "user", "content": "Sky?"}"#;
const BLUE: &str = r#"{"role": "assistant", "content": "Blue.", "tool_calls": null}"#;
const GREEN: &str = r#"{"role": "assistant", "content": "Green."}"#;

#[test]
fn messages_are_rendered_with_explicit_implicit_and_half_given_prompts() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        format!(r#"{{"prompt": [{SKY}], "chosen": [{BLUE}], "rejected": [{GREEN}], "tools": []}}"#),
        format!(r#"{{"chosen": [{SKY}, {BLUE}], "rejected": [{SKY}, {GREEN}]}}"#),
        // As published sets have it: the question as text beside whole conversations.
        format!(r#"{{"prompt": "Sky?", "chosen": [{SKY}, {BLUE}], "rejected": [{SKY}, {GREEN}]}}"#),
    ];
    let path = text_file(dir.path(), "t.jsonl", &rows.join("\n"));
    let (pairs, _) = read(&path, OnBadRow::Fail, Some(&template(""))).unwrap();
    for (i, pair) in pairs.iter().enumerate() {
        let expected = TextPair {
            id: format!("t/{i}"),
            prompt: "<|im_start|>user\nSky?<|im_end|>\n<|im_start|>assistant\n".into(),
            chosen: "Blue.<|im_end|>\n".into(),
            rejected: "Green.<|im_end|>\n".into(),
            rendered: true,
            ..blue("")
        };
        assert_eq!(*pair, expected);
    }
    // Text stands as it is, whatever the template.
    let path = text_file(dir.path(), "p.jsonl", ROW);
    let (pairs, _) = read(&path, OnBadRow::Fail, Some(&template(""))).unwrap();
    assert_eq!(pairs, [blue("p/0")]);
}

#[test]
fn a_prompt_ends_where_the_template_goes_on_otherwise_in_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let row = format!(r#"{{"prompt": [{SKY}], "chosen": [{BLUE}], "rejected": [{GREEN}]}}"#);
    let path = text_file(dir.path(), "t.jsonl", &row);
    let source = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]<think>\n{% endif %}";
    let asks = ChatTemplate::new("t", source, Given::default()).unwrap();
    let (pairs, _) = read(&path, OnBadRow::Fail, Some(&asks)).unwrap();
    assert_eq!(pairs[0].prompt, "[user]Sky?[assistant]");
    assert_eq!(
        (pairs[0].chosen.as_str(), pairs[0].shortened),
        ("Blue.", true)
    );
    // What every response begins with is the response's, as in TRL.
    let (pairs, _) = read(&path, OnBadRow::Fail, Some(&template("- "))).unwrap();
    assert_eq!(
        (pairs[0].chosen.as_str(), pairs[0].shortened),
        ("- Blue.<|im_end|>\n", false)
    );
}

#[test]
fn messages_that_cannot_be_rendered_are_bad_rows_with_their_reason() {
    let dir = tempfile::tempdir().unwrap();
    for (row, reason) in [
        (
            format!(r#"{{"prompt": [{SKY}], "chosen": [{BLUE}], "rejected": [{BLUE}]}}"#),
            "the same messages",
        ),
        // What the template does not print is no difference.
        (
            format!(
                r#"{{"prompt": [{SKY}], "chosen": [{BLUE}], "rejected": [{{"role": "assistant", "content": "Blue.", "reasoning_content": "Air."}}]}}"#
            ),
            "the same text",
        ),
        (
            format!(r#"{{"chosen": [{BLUE}], "rejected": [{GREEN}]}}"#),
            "nothing is asked",
        ),
        (
            format!(r#"{{"prompt": [{SKY}, {BLUE}], "chosen": [{BLUE}], "rejected": [{GREEN}]}}"#),
            "the assistant's: the user's is expected",
        ),
        (
            format!(r#"{{"prompt": [{SKY}], "chosen": [{BLUE}], "rejected": "Green."}}"#),
            "rejected is a string: a list of messages",
        ),
        (
            format!(
                r#"{{"prompt": [{SKY}], "chosen": [{{"role": "assistant"}}], "rejected": [{GREEN}]}}"#
            ),
            "chosen[0]: there is no content",
        ),
        (
            format!(
                r#"{{"prompt": [{SKY}], "chosen": [{{"role": "assistant", "content": [{{"type": "text"}}]}}], "rejected": [{GREEN}]}}"#
            ),
            "content is a list: only messages of text",
        ),
        (
            format!(
                r#"{{"prompt": [{SKY}], "chosen": [{BLUE}], "rejected": [{GREEN}], "tools": [{{}}]}}"#
            ),
            "column \"tools\"",
        ),
    ] {
        let path = text_file(dir.path(), "t.jsonl", &format!("{ROW}\n{row}\n"));
        let told = read(&path, OnBadRow::Fail, Some(&template("")))
            .unwrap_err()
            .to_string();
        assert!(told.contains(reason) && told.contains(":2: "), "{told}");
        let (pairs, skipped) = read(&path, OnBadRow::Skip, Some(&template(""))).unwrap();
        assert_eq!((pairs.len(), skipped.count()), (1, 1), "{row}");
    }
}

#[test]
fn messages_of_a_parquet_file_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = parquet_file::write_messages(dir.path(), "m.parquet");
    let (pairs, _) = read(&path, OnBadRow::Fail, Some(&template(""))).unwrap();
    assert_eq!(pairs[0].chosen, "Blue.<|im_end|>\n");
    assert_eq!(pairs[0].rejected, "Green.<|im_end|>\n");
}
