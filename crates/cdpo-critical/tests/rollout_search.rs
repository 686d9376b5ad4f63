//! The early-stopping search against the definition, on tables of outcomes.

use cdpo_critical::rollout::{Finding, Need, Outcomes, SearchProgress, find, over_floor, search};
use cdpo_model::Key;

/// A full table: `right[t - 1][j]` is the outcome of rollout j at position t.
type Table = Vec<Vec<bool>>;

fn by_definition(table: &Table, n: u32) -> Finding {
    let successes: Vec<u32> = table
        .iter()
        .map(|row| row.iter().filter(|&&right| right).count() as u32)
        .collect();
    find(&successes, n)
}

/// Runs the search, drawing at every need as many rollouts as `draws` says, and returns what it found and what it knew.
fn run(
    table: &Table,
    n: u32,
    width: usize,
    draws: &mut dyn FnMut(&Outcomes, &Need) -> u32,
) -> (Finding, Outcomes) {
    let mut outcomes = Outcomes::new(table.len(), n);
    loop {
        match search(&outcomes, width) {
            SearchProgress::Found(finding) => return (finding, outcomes),
            SearchProgress::Needs(needs) => {
                assert!(!needs.is_empty() && needs.len() <= width);
                for need in needs {
                    let count = draws(&outcomes, &need).max(1);
                    let unknown: Vec<u32> = outcomes.unknown(need.position).collect();
                    assert!(need.at_least >= 1 && need.at_least as usize <= unknown.len());
                    for rollout in unknown.into_iter().take(count as usize) {
                        assert!(outcomes.record(
                            need.position,
                            rollout,
                            table[need.position - 1][rollout as usize]
                        ));
                    }
                }
            }
        }
    }
}

fn fewest(_: &Outcomes, need: &Need) -> u32 {
    need.at_least
}

/// Tables as trajectories have them: success grows rarer along the trajectory, with zeros and relapses thrown in.
fn random_table(key: Key, n: u32) -> Table {
    let positions = key.with_str("positions").below(40);
    let decay = key.with_str("decay").unit() * 3.0;
    let level = key.with_str("level").unit();
    (0..positions)
        .map(|t| {
            let key = key.with(t as u64);
            let probability = match key.with_str("mood").below(4) {
                0 => 0.0,
                1 => 0.05,
                _ => level * (-decay * t as f64 / 10.0).exp(),
            };
            (0..n)
                .map(|j| key.with(u64::from(j)).unit() < probability)
                .collect()
        })
        .collect()
}

#[test]
fn the_search_finds_what_the_definition_says_on_every_table_of_three_by_four_outcomes() {
    let (positions, n) = (4, 3);
    for bits in 0..1u32 << (positions * n) {
        let table: Table = (0..positions)
            .map(|t| (0..n).map(|j| bits >> (t * n + j) & 1 == 1).collect())
            .collect();
        for width in [1, 2, 4] {
            let (found, _) = run(&table, n, width, &mut fewest);
            assert_eq!(found, by_definition(&table, n), "{table:?}");
        }
    }
}

#[test]
fn the_search_finds_what_the_definition_says_on_random_tables_whatever_is_drawn_first() {
    let mut kinds = [0u32; 3];
    for i in 0..6000u64 {
        let key = Key::new(11).with(i);
        let n = [1, 8, 20, 21, 40, 64][key.with_str("n").below(6)];
        let table = random_table(key, n);
        let expected = by_definition(&table, n);
        kinds[match expected {
            Finding::Both { .. } => 0,
            Finding::OnlyFirst { .. } => 1,
            Finding::None => 2,
        }] += 1;
        let width = 1 + key.with_str("width").below(12);
        let mut step = 0;
        let mut random = |_: &Outcomes, _: &Need| {
            step += 1;
            1 + key.with_str("draws").with(step).below(n as usize) as u32
        };
        let (found, _) = run(&table, n, width, &mut random);
        assert_eq!(
            found, expected,
            "table {i}, n {n}, width {width}: {table:?}"
        );
        assert_eq!(
            run(&table, n, width, &mut fewest).0,
            expected,
            "table {i}, n {n}, width {width}"
        );
    }
    assert!(
        kinds.iter().all(|&count| count > 300),
        "every kind must occur: {kinds:?}"
    );
}

/// What is found must not depend on the cells that were not drawn: fill them at random and ask the definition again.
#[test]
fn what_was_not_drawn_cannot_change_the_finding() {
    for i in 0..1500u64 {
        let key = Key::new(12).with(i);
        let n = [8, 64][key.with_str("n").below(2)];
        let table = random_table(key, n);
        let (found, outcomes) = run(&table, n, 1 + key.with_str("width").below(4), &mut fewest);
        for refill in 0..6u64 {
            let share = [0.0, 0.02, 0.5, 1.0][key.with(refill).below(4)];
            let filled: Table = (1..=outcomes.positions())
                .map(|t| {
                    let other =
                        |j| key.with(refill).with(t as u64).with(u64::from(j)).unit() < share;
                    (0..n)
                        .map(|j| outcomes.outcome(t, j).unwrap_or_else(|| other(j)))
                        .collect()
                })
                .collect();
            assert_eq!(
                by_definition(&filled, n),
                found,
                "table {i} refill {refill}"
            );
        }
    }
}

#[test]
fn outcomes_that_arrive_unasked_do_not_change_the_finding() {
    for i in 0..1000u64 {
        let key = Key::new(13).with(i);
        let table = random_table(key, 8);
        let mut outcomes = Outcomes::new(table.len(), 8);
        for (t, row) in table.iter().enumerate() {
            for (j, &right) in row.iter().enumerate() {
                if key.with(t as u64).with(j as u64).unit() < 0.3 {
                    assert!(outcomes.record(t + 1, j as u32, right));
                }
            }
        }
        while let SearchProgress::Needs(needs) = search(&outcomes, 3) {
            let position = needs[0].position;
            let rollout = outcomes.unknown(position).next().unwrap();
            assert!(outcomes.record(position, rollout, table[position - 1][rollout as usize]));
        }
        assert_eq!(
            search(&outcomes, 3),
            SearchProgress::Found(by_definition(&table, 8))
        );
    }
}

#[test]
fn nothing_before_the_last_position_over_five_percent_is_drawn_unless_the_fallback_needs_it() {
    let mut checked = 0;
    for i in 0..1500u64 {
        let table = random_table(Key::new(14).with(i), 64);
        let successes: Vec<u32> = table
            .iter()
            .map(|row| row.iter().filter(|&&right| right).count() as u32)
            .collect();
        let Some(last_over) = successes.iter().rposition(|&count| count >= over_floor(64)) else {
            continue;
        };
        let (found, outcomes) = run(&table, 64, 1, &mut fewest);
        if matches!(found, Finding::Both { .. }) {
            checked += 1;
            for position in 1..=last_over {
                assert_eq!(
                    outcomes.successes(position) + outcomes.failures(position),
                    0,
                    "table {i} position {position}"
                );
            }
        }
    }
    assert!(checked > 200, "{checked}");
}

/// Ten positions, the last eight hopeless: 61 failures put each under, four successes put position 2 over, three more failures
/// confirm the zero at position 3.
#[test]
fn a_position_is_left_as_soon_as_it_is_settled() {
    let mut table: Table = vec![vec![true; 64]; 2];
    table.extend(vec![vec![false; 64]; 8]);
    let (found, outcomes) = run(&table, 64, 1, &mut fewest);
    assert_eq!(found, Finding::Both { position: 3 });
    let known = |t: usize| outcomes.successes(t) + outcomes.failures(t);
    assert_eq!(
        (1..=10).map(known).collect::<Vec<_>>(),
        [0, 4, 64, 61, 61, 61, 61, 61, 61, 61]
    );
    assert_eq!(outcomes.known(), 4 + 64 + 7 * 61);
}

#[test]
fn two_outcomes_of_one_rollout_are_noticed() {
    let mut outcomes = Outcomes::new(2, 4);
    assert!(outcomes.record(1, 3, true));
    assert!(outcomes.record(1, 3, true), "the same again is no news");
    assert!(!outcomes.record(1, 3, false));
    assert_eq!(
        (
            outcomes.successes(1),
            outcomes.failures(1),
            outcomes.known()
        ),
        (1, 0, 1)
    );
    assert_eq!(outcomes.outcome(1, 3), Some(true));
    assert_eq!(outcomes.outcome(2, 3), None);
}
