//! Several seeds and experiments: hand-counted answers in, the tables' numbers checked.
#![allow(clippy::unwrap_used)]

use cdpo_grade::Outcome;
use cdpo_report::experiment::ExperimentTable;
use cdpo_report::seeds::{Cell, SeedTable};
use cdpo_report::{Error, Evaluation};

/// One letter a question: `1` right, `0` wrong.
fn cell(method: &str, dataset: &str, model: &str, seed: u64, answers: &str) -> Cell {
    let outcomes = answers.chars().enumerate().map(|(i, answer)| {
        let outcome = if answer == '1' {
            Outcome::Correct
        } else {
            Outcome::Wrong
        };
        (format!("q/{i}"), outcome)
    });
    Cell {
        method: method.into(),
        dataset: dataset.into(),
        model: model.into(),
        seed,
        evaluation: Evaluation::new(method, outcomes).unwrap(),
    }
}

fn of_seeds() -> Vec<Cell> {
    vec![
        cell("base", "sums", "tiny", 0, "1000000000"),
        cell("cdpo", "sums", "tiny", 1, "1110000000"),
        cell("cdpo", "sums", "tiny", 2, "1111000000"),
        cell("cdpo", "sums", "tiny", 3, "0111100000"),
        cell("dpo", "sums", "tiny", 3, "1100000000"),
        cell("dpo", "sums", "tiny", 1, "1000000001"),
        cell("dpo", "sums", "tiny", 2, "1100000000"),
    ]
}

#[test]
fn mean_and_spread_are_over_seeds_and_comparisons_over_questions() {
    let table = SeedTable::build(&of_seeds(), &["base", "dpo"]).unwrap();
    let cdpo = &table.rows[1];
    assert_eq!(cdpo.method, "cdpo");
    assert_eq!(cdpo.spread.accuracies, [(1, 0.3), (2, 0.4), (3, 0.4)]);
    assert!((cdpo.spread.mean - 1.1 / 3.0).abs() < 1e-15);
    // The squares about 11/30 are 4/900, 1/900, 1/900: their sum over two is 3/900.
    assert!((cdpo.spread.deviation.unwrap() - (3.0f64 / 900.0).sqrt()).abs() < 1e-15);
    assert!(cdpo.spread.interval.contains(cdpo.spread.mean));
    let base = &cdpo.versus[0];
    // By question against the base: -1, 3, 3, 2, 1; the rest 0.
    assert_eq!((base.only_method, base.only_baseline), (9, 1));
    assert!((base.difference - 8.0 / 30.0).abs() < 1e-15);
    // Of the 32 signs of (1, 3, 3, 2, 1) the sum reaches 8 for: all plus (10), either 1 minus (8, 8): 3, and as many below -8.
    assert_eq!(base.p_value, 6.0 / 32.0);
    let dpo = &cdpo.versus[1];
    // By seed: 110..:0..1, gained 1,2 lost 9 | gained 2,3 | gained 2,3,4 lost 0.
    assert_eq!((dpo.only_method, dpo.only_baseline), (7, 2));
    assert_eq!(table.rows[0].spread.deviation, None, "the base has one");
    let read: SeedTable = serde_json::from_str(&table.json().unwrap()).unwrap();
    assert_eq!(read, table);
    let markdown = table.markdown();
    assert!(
        markdown.contains("| cdpo   |        10 |     3 |   36.7 |  5.8 |"),
        "{markdown}"
    );
    assert_eq!(table.csv().lines().nth(2), Some("cdpo,1,10,0.3"));
}

#[test]
fn a_seed_the_baseline_lacks_and_a_seed_given_twice_are_errors() {
    let mut cells = of_seeds();
    cells.push(cell("cdpo", "sums", "tiny", 4, "1111111111"));
    let error = SeedTable::build(&cells, &["dpo"]).unwrap_err();
    assert!(
        matches!(error, Error::SeedMissing { seed: 4, .. }),
        "{error}"
    );
    SeedTable::build(&cells, &["base"]).unwrap();
    cells.push(cell("cdpo", "sums", "tiny", 4, "1111111111"));
    let error = SeedTable::build(&cells, &["base"]).unwrap_err();
    assert!(error.to_string().contains("cdpo with seed 4"), "{error}");
    assert!(matches!(
        SeedTable::build(&of_seeds(), &["rpo"]),
        Err(Error::UnknownBaseline { .. })
    ));
}

#[test]
fn an_experiment_has_the_shape_of_table_3() {
    let mut cells = of_seeds();
    cells.push(cell("base", "sums", "small", 0, "1100"));
    cells.push(cell("cdpo", "sums", "small", 1, "1110"));
    cells.push(cell("base", "products", "tiny", 0, "10"));
    cells.push(cell("dpo", "products", "tiny", 1, "11"));
    let table = ExperimentTable::build(&cells, &["base", "dpo"]).unwrap();
    let expected = "\
| method |    sums tiny | sums small | sums avg | products tiny | products avg |
| ------ | -----------: | ---------: | -------: | ------------: | -----------: |
| base   |         10.0 |       50.0 |     30.0 |          50.0 |         50.0 |
| cdpo   | **36.7 ± 5.8** |   **75.0** | **55.8** |             – |            – |
| dpo    |   20.0 ± 0.0 |          – |        – |     **100.0** |    **100.0** |
";
    let squeeze = |text: &str| {
        text.lines()
            .map(|line| line.replace(['-', ' '], ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(squeeze(&table.markdown()), squeeze(expected));
    assert_eq!(table.average("dpo", "sums"), None, "not on every model");
    assert_eq!(table.csv().lines().count(), 1 + cells.len());
    let read: ExperimentTable = serde_json::from_str(&table.json().unwrap()).unwrap();
    assert_eq!(read, table);
}
