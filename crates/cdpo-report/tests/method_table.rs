//! The comparison table: hand-counted outcomes in, rendered tables out.

use cdpo_grade::Outcome;
use cdpo_report::{Error, Evaluation, MethodTable};

/// One letter a question: `c`orrect, `w`rong, `u`nparsed.
fn evaluation(method: &str, outcomes: &str) -> Evaluation {
    let records = outcomes.chars().enumerate().map(|(i, letter)| {
        let outcome = match letter {
            'c' => Outcome::Correct,
            'w' => Outcome::Wrong,
            _ => Outcome::Unparsed,
        };
        (format!("test/{i}"), outcome)
    });
    Evaluation::new(method, records).unwrap()
}

fn table() -> MethodTable {
    let evaluations = [
        evaluation("base", "cwwwwwwwuu"),
        evaluation("dpo", "wccwwwwwwu"),
        evaluation("cdpo", "ccccccwwwu"),
    ];
    MethodTable::build(&evaluations, &["base", "dpo"]).unwrap()
}

/// By hand: cdpo against base 5:0, p = 2 / 2^5 = 0.0625; cdpo against dpo 4:0, p = 2 / 2^4 = 0.125;
/// dpo against base 2:1, p = min(1, 2 * (1 + 3) / 8) = 1. Intervals are SciPy's Wilson intervals of 1, 2 and 6 in 10.
#[test]
fn the_table_gives_accuracy_interval_and_paired_tests_against_each_baseline() {
    let expected = "\
| method | questions | correct | wrong | unparsed | accuracy % | 95 % interval |     vs base |     p |      vs dpo |     p |
| ------ | --------: | ------: | ----: | -------: | ---------: | ------------: | ----------: | ----: | ----------: | ----: |
| base   |        10 |       1 |     7 |        2 |       10.0 |    1.8 – 40.4 |           – |     – | -10.0 (1:2) | 1.000 |
| dpo    |        10 |       2 |     7 |        1 |       20.0 |    5.7 – 51.0 | +10.0 (2:1) | 1.000 |           – |     – |
| cdpo   |        10 |       6 |     3 |        1 |       60.0 |   31.3 – 83.2 | +50.0 (5:0) | 0.062 | +40.0 (4:0) | 0.125 |
";
    assert_eq!(table().markdown(), expected);
}

#[test]
fn the_plain_table_has_the_same_cells() {
    let plain = table().plain();
    assert_eq!(plain.lines().count(), 5);
    assert!(
        plain
            .lines()
            .last()
            .unwrap()
            .ends_with("+50.0 (5:0)  0.062  +40.0 (4:0)  0.125"),
        "{plain}"
    );
}

#[test]
fn json_reads_back_to_the_same_table() {
    let read: MethodTable = serde_json::from_str(&table().json().unwrap()).unwrap();
    assert_eq!(read, table());
    let against_base = &read.rows[2].versus[0];
    assert_eq!(against_base.paired.p_value, 0.0625);
    // Five of ten differ by one, all in one direction: means of ten draws of a fair coin, of which the middle 95 % are 0.2 to 0.8.
    assert_eq!(
        (against_base.interval.low, against_base.interval.high),
        (0.2, 0.8)
    );
}

#[test]
fn csv_gives_raw_fractions_and_counts() {
    let csv = table().csv();
    let mut lines = csv.lines();
    let heading = lines.next().unwrap();
    assert!(heading.starts_with(
        "method,questions,correct,wrong,unparsed,accuracy,low_95,high_95,difference_vs_base"
    ));
    let fields: Vec<&str> = lines.nth(2).unwrap().split(',').collect();
    assert_eq!(fields.len(), heading.split(',').count());
    assert_eq!(&fields[..6], ["cdpo", "10", "6", "3", "1", "0.6"]);
    assert_eq!(&fields[9..12], ["5", "0", "0.0625"]);
}

#[test]
fn methods_on_different_questions_are_not_compared() {
    let longer = evaluation("dpo", "ccw");
    let shorter = evaluation("base", "cc");
    for (one, two) in [(&longer, &shorter), (&shorter, &longer)] {
        let error = one.against(two).unwrap_err();
        assert!(
            matches!(&error, Error::NotPaired { problem_id, .. } if problem_id == "test/2"),
            "{error}"
        );
    }
}

#[test]
fn a_repeated_question_method_or_an_unknown_baseline_is_an_error() {
    let twice = Evaluation::new("base", [("q", Outcome::Correct), ("q", Outcome::Wrong)]);
    assert!(matches!(twice, Err(Error::DuplicateQuestion { problem_id, .. }) if problem_id == "q"));
    let base = evaluation("base", "c");
    let same_name = MethodTable::build(&[base.clone(), base.clone()], &[]);
    assert!(matches!(same_name, Err(Error::DuplicateMethod(name)) if name == "base"));
    let error = MethodTable::build(&[base], &["dpo"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no method is named dpo, so nothing can be compared with it; the methods are: base"
    );
}

#[test]
fn pairing_goes_by_question_not_by_order() {
    let forward = evaluation("a", "cw");
    let backward = Evaluation::new(
        "b",
        [("test/1", Outcome::Wrong), ("test/0", Outcome::Correct)],
    )
    .unwrap();
    let paired = forward.against(&backward).unwrap();
    assert_eq!(
        (
            paired.both,
            paired.neither,
            paired.only_first,
            paired.only_second
        ),
        (1, 1, 0, 0)
    );
}

#[test]
fn an_unparsed_answer_counts_as_not_right() {
    let accuracy = evaluation("base", "cuu").accuracy();
    assert_eq!(
        (accuracy.correct, accuracy.wrong, accuracy.unparsed),
        (1, 0, 2)
    );
    assert!((accuracy.accuracy - 1.0 / 3.0).abs() < 1e-15);
}
