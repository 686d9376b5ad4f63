//! The default against the definition, and against itself in other batches, on other threads, after a kill.

use std::collections::BTreeMap;

use cdpo_critical::Error;
use cdpo_critical::rollout::{Finding, LastPosition, RolloutSettings, Scores, Sharing, find};
use cdpo_data::RolloutKeys;
use cdpo_data::rollout_record::{RolloutRound, RoundAside, RoundOutcome};
use cdpo_model::Key;
use cdpo_sample::{Finish, LocalSampler, SampleParams};

use crate::setup::{LETTERS, Settled, model, run, run_upto, tokenizer, upto, with_threads, wrongs};

fn params() -> SampleParams {
    SampleParams {
        temperature: 0.8,
        top_p: 0.95,
        max_new_tokens: 24,
        stop: vec!["da".into(), "l".into()],
        seed: 3,
        ..SampleParams::default()
    }
}

fn settings(n: u32) -> RolloutSettings {
    RolloutSettings {
        n,
        round: 4,
        // Responses are short here: so some rollouts are set aside.
        patience: 1,
        seed: 11,
        ..RolloutSettings::default()
    }
}

/// Right until a certain beginning has gone wrong for good: most responses have a critical token in the middle.
fn by_letters(text: &str) -> bool {
    text.bytes().filter(|&letter| letter <= b'd').count() < 2
}

/// Right at random: scores jump up and down, so that the search has to fall back.
fn by_chance(text: &str) -> bool {
    Key::new(5).with_str(text).below(6) == 0
}

#[test]
fn the_default_finds_the_definitions_token_and_knows_only_what_the_definition_knows() {
    let (model, tokenizer) = (model(12), tokenizer(12));
    let mut sampler = LocalSampler::new(&model, &tokenizer).with_max_batch(24);
    let mut kinds = [0; 3];
    let mut ends = [0; 3];
    for (right, n) in [
        (by_letters as fn(&str) -> bool, 64),
        (by_chance, 8),
        (by_chance, 16),
    ] {
        let wrongs = wrongs(&mut sampler, &params(), 8, &right);
        assert!(wrongs.len() > 5, "{} wrong responses", wrongs.len());
        for wrong in &wrongs {
            ends[match wrong.finish {
                Finish::Eos => 0,
                Finish::Stop => 1,
                Finish::Length => 2,
            }] += 1;
        }
        let base = settings(n);
        let want = run(
            &sampler,
            &params(),
            &wrongs,
            &base.clone().exhaustive(),
            &right,
        );
        assert_eq!(want.done.len(), wrongs.len());
        for scores in [Scores::Needed, Scores::Full] {
            for sharing in [Sharing::None, Sharing::Path, Sharing::Tree] {
                let settings = RolloutSettings {
                    scores,
                    sharing,
                    ..base.clone()
                };
                let got = run(&sampler, &params(), &wrongs, &settings, &right);
                for (index, want) in &want.done {
                    let got = &got.done[index];
                    let told = format!("{settings:?}, response {index}");
                    assert_eq!(got.finding, want.finding, "{told}");
                    assert_eq!(got.counts.len(), want.counts.len(), "{told}");
                    for (t, (got, want)) in got.counts.iter().zip(&want.counts).enumerate() {
                        let know = got.0 <= want.0 && got.1 <= want.1;
                        assert!(know, "{told}, position {}: {got:?} of {want:?}", t + 1);
                    }
                    if scores == Scores::Full {
                        assert_eq!(got.counts, want.counts, "{told}");
                        assert_eq!(got.cost.exhaustive, want.cost.generated, "{told}");
                        assert!(got.cost.exhaustive_counted);
                    }
                    assert!(got.cost.generated <= want.cost.generated, "{told}");
                    assert_eq!(got.token_logps, want.token_logps);
                }
            }
        }
        for want in want.done.values() {
            let successes: Vec<u32> = want.counts.iter().map(|count| count.0).collect();
            assert_eq!(want.finding, Some(find(&successes, n)));
            kinds[match want.finding.unwrap() {
                Finding::Both { .. } => 0,
                Finding::OnlyFirst { .. } => 1,
                Finding::None => 2,
            }] += 1;
        }
    }
    assert!(kinds.iter().all(|&count| count > 0), "findings {kinds:?}");
    assert!(ends[0] > 0 && ends[1] > 0, "ends {ends:?}");
}

/// The letter behind the first `a` is the answer.
fn by_first_answer(text: &str) -> bool {
    let answer = text
        .split_once('a')
        .and_then(|(_, rest)| rest.chars().next());
    answer.is_some_and(|letter| letter > 'e')
}

/// Where the answer ends.
fn first_answer(text: &str) -> Option<usize> {
    let at = text.find('a')? + 2;
    (at <= text.len()).then_some(at)
}

#[test]
fn early_stops_save_tokens_and_change_no_outcome() {
    let (model, tokenizer) = (model(12), tokenizer(12));
    let mut sampler = LocalSampler::new(&model, &tokenizer).with_max_batch(24);
    let wrongs = wrongs(&mut sampler, &params(), 8, &by_first_answer);
    let right = &by_first_answer;
    let base = settings(32);
    let defined = run(
        &sampler,
        &params(),
        &wrongs,
        &base.clone().exhaustive(),
        right,
    )
    .done;
    let mut behind = 0;
    for sharing in [Sharing::None, Sharing::Path, Sharing::Tree] {
        for keys in [RolloutKeys::Common, RolloutKeys::Independent] {
            for scores in [Scores::Full, Scores::Needed] {
                let settings = RolloutSettings {
                    scores,
                    sharing,
                    keys,
                    ..base.clone()
                };
                let early = |known: &[RolloutRound], most| {
                    let settled = Some(first_answer as Settled);
                    upto(
                        &sampler,
                        &params(),
                        &wrongs,
                        &settings,
                        right,
                        settled,
                        known,
                        most,
                    )
                };
                let told = early(&[], usize::MAX).unwrap();
                let begun = early(&[], told.rounds.len() / 2).unwrap();
                let resumed = early(&begun.rounds, usize::MAX).unwrap();
                assert_eq!(resumed.done, told.done, "a killed call goes on");
                let early = told.done;
                let whole = run(&sampler, &params(), &wrongs, &settings, right).done;
                let mut tokens = [0, 0];
                for (index, early) in &early {
                    let whole = &whole[index];
                    let name = format!("{sharing:?}, {keys:?}, {scores:?}, response {index}");
                    assert_eq!(early.finding, whole.finding, "{name}");
                    if keys == RolloutKeys::Common {
                        assert_eq!(early.finding, defined[index].finding, "{name}");
                    }
                    if scores == Scores::Full {
                        assert_eq!(early.counts, whole.counts, "{name}");
                        assert!(early.cost.generated <= whole.cost.generated, "{name}");
                        assert!(early.cost.exhaustive <= whole.cost.exhaustive, "{name}");
                        assert!(whole.cost.exhaustive_counted, "{name}");
                    }
                    assert!(!early.cost.exhaustive_counted, "{name}");
                    tokens[0] += early.cost.generated;
                    tokens[1] += whole.cost.generated;
                }
                assert!(tokens[0] < tokens[1], "{sharing:?}, {scores:?}: {tokens:?}");
            }
        }
    }
    for (wrong, defined) in wrongs.iter().zip(defined.values()) {
        let letters = wrong.ids.iter().map(|&id| LETTERS.as_bytes()[id as usize]);
        let text: Vec<u8> = letters.collect();
        let settled = first_answer(std::str::from_utf8(&text).unwrap());
        let settled = settled.unwrap_or(text.len() + 1);
        let after = defined.counts.iter().skip(settled.saturating_sub(1));
        behind += after.clone().count();
        assert!(after.copied().all(|count| count == (0, 32)));
    }
    assert!(behind > 10, "{behind} positions lie behind an answer");
}

#[test]
fn sharing_and_searching_each_save_tokens() {
    let (model, tokenizer) = (model(12), tokenizer(12));
    let mut sampler = LocalSampler::new(&model, &tokenizer);
    let wrongs = wrongs(&mut sampler, &params(), 8, &by_letters);
    let tokens = |scores, sharing| {
        let settings = RolloutSettings {
            scores,
            sharing,
            ..settings(64)
        };
        let told = run(&sampler, &params(), &wrongs, &settings, &by_letters);
        told.done
            .values()
            .map(|one| one.cost.generated)
            .sum::<u64>()
    };
    let all = tokens(Scores::Full, Sharing::None);
    let path = tokens(Scores::Full, Sharing::Path);
    let tree = tokens(Scores::Full, Sharing::Tree);
    let search = tokens(Scores::Needed, Sharing::None);
    let both = tokens(Scores::Needed, Sharing::Tree);
    assert!(path < all && tree < path, "{all}, {path}, {tree}");
    assert!(
        search < all && both < search && both < tree,
        "{search}, {both}"
    );
}

#[test]
fn a_response_has_the_same_rollouts_whatever_the_batch_the_company_the_cache_and_the_threads() {
    let (model, tokenizer) = (model(12), tokenizer(12));
    let mut sampler = LocalSampler::new(&model, &tokenizer);
    let wrongs = wrongs(&mut sampler, &params(), 6, &by_letters);
    let want = with_threads(1, || {
        run(&sampler, &params(), &wrongs, &settings(32), &by_letters)
    });
    for threads in [1, 2] {
        for (batch, cache) in [(1, 4000), (7, 4000), (64, 320)] {
            let sampler = LocalSampler::new(&model, &tokenizer)
                .with_max_batch(batch)
                .with_max_cache_tokens(cache);
            let got = with_threads(threads, || {
                run(&sampler, &params(), &wrongs, &settings(32), &by_letters)
            });
            assert_eq!(
                got.done, want.done,
                "batch {batch}, cache {cache}, {threads} threads"
            );
        }
    }
    for (index, wrong) in wrongs.iter().enumerate() {
        let alone = [wrong.clone()];
        let got = run(&sampler, &params(), &alone, &settings(32), &by_letters);
        let got = &got.done[&0];
        let want = &want.done[&index];
        assert_eq!((&got.counts, got.cost), (&want.counts, want.cost));
    }
}

#[test]
fn a_killed_call_goes_on_from_its_rounds_and_ends_as_if_it_had_not_been() {
    let (model, tokenizer) = (model(12), tokenizer(12));
    let mut sampler = LocalSampler::new(&model, &tokenizer).with_max_batch(8);
    let wrongs = wrongs(&mut sampler, &params(), 5, &by_letters);
    let want = run(&sampler, &params(), &wrongs, &settings(32), &by_letters);
    let mut times: BTreeMap<(&str, u32, u32, u32), u32> = BTreeMap::new();
    for round in &want.rounds {
        for RoundAside(place, rollouts, _) in &round.aside {
            for &rollout in rollouts {
                let name = (round.problem_id.as_str(), round.sample, *place, rollout);
                *times.entry(name).or_default() += 1;
            }
        }
    }
    let ended = |round: &RolloutRound| {
        let unit = |unit: &RoundOutcome| (unit.0, unit.1);
        let name = |(place, rollout)| (round.problem_id.as_str(), round.sample, place, rollout);
        round
            .units
            .iter()
            .map(unit)
            .filter(|&unit| times.contains_key(&name(unit)))
            .count()
    };
    assert!(times.len() > 10, "little was set aside");
    assert!(
        times.values().any(|&times| times > 1),
        "nothing was set aside twice"
    );
    assert!(
        want.rounds.iter().map(ended).sum::<usize>() > 0,
        "nothing went on to its end"
    );
    for most in [1, 5, want.rounds.len() / 2, want.rounds.len() - 1] {
        let first = run_upto(
            &sampler,
            &params(),
            &wrongs,
            &settings(32),
            &by_letters,
            &[],
            most,
        )
        .unwrap();
        assert_eq!(first.rounds.len(), most);
        let rest = run_upto(
            &sampler,
            &params(),
            &wrongs,
            &settings(32),
            &by_letters,
            &first.rounds,
            usize::MAX,
        )
        .unwrap();
        assert_eq!(rest.done, want.done, "after {most} rounds");
        let sorted = |rounds: &[RolloutRound]| {
            let mut rounds = rounds.to_vec();
            rounds.sort_by_key(|r| (r.problem_id.clone(), r.sample, r.round));
            rounds
        };
        assert_eq!(sorted(&rest.rounds), sorted(&want.rounds));
    }
}

#[test]
fn rounds_that_were_set_aside_elsewhere_are_refused() {
    let (model, tokenizer) = (model(12), tokenizer(12));
    let mut sampler = LocalSampler::new(&model, &tokenizer).with_max_batch(8);
    let wrongs = wrongs(&mut sampler, &params(), 5, &by_letters);
    let want = run(&sampler, &params(), &wrongs, &settings(32), &by_letters);
    let at = want.rounds.iter().position(|round| !round.aside.is_empty());
    let at = at.expect("something is set aside");
    let refused = |change: fn(&mut Vec<u32>)| {
        let mut rounds = want.rounds.clone();
        change(&mut rounds[at].aside[0].2);
        let told = run_upto(
            &sampler,
            &params(),
            &wrongs,
            &settings(32),
            &by_letters,
            &rounds,
            usize::MAX,
        );
        match told {
            Ok(_) => false,
            Err(error) => {
                assert!(matches!(error, Error::OtherRounds { .. }), "{error}");
                true
            }
        }
    };
    assert!(!refused(|_| ()));
    assert!(refused(|drawn| {
        drawn.pop();
    }));
    assert!(refused(|drawn| drawn[0] += 1));
}

#[test]
fn what_the_budget_does_not_settle_is_reported_as_such() {
    let (model, tokenizer) = (model(12), tokenizer(12));
    let mut sampler = LocalSampler::new(&model, &tokenizer);
    let wrongs = wrongs(&mut sampler, &params(), 6, &by_letters);
    let run = |max_tokens| {
        let settings = RolloutSettings {
            max_tokens,
            ..settings(64)
        };
        run(&sampler, &params(), &wrongs, &settings, &by_letters).done
    };
    let (free, tight) = (run(None), run(Some(60)));
    let unsettled = tight.values().filter(|one| one.finding.is_none()).count();
    assert!(unsettled > 0, "the budget was not tight");
    for (index, tight) in &tight {
        match tight.finding {
            Some(finding) => assert_eq!(Some(finding), free[index].finding),
            None => assert!(free[index].cost.generated > 60),
        }
    }
}

#[test]
fn without_the_last_position_the_others_are_as_they_were() {
    let (model, tokenizer) = (model(12), tokenizer(12));
    let mut sampler = LocalSampler::new(&model, &tokenizer);
    let wrongs = wrongs(&mut sampler, &params(), 4, &by_letters);
    let told = |last_position, scores| {
        let settings = RolloutSettings {
            last_position,
            scores,
            ..settings(16)
        };
        run(&sampler, &params(), &wrongs, &settings, &by_letters).done
    };
    let full = |last_position| told(last_position, Scores::Full);
    let (with, without) = (full(LastPosition::Include), full(LastPosition::Exclude));
    let searched = told(LastPosition::Exclude, Scores::Needed);
    for (index, without) in &without {
        assert_eq!(searched[index].finding, without.finding);
    }
    for (index, with) in &with {
        let positions = with.counts.len();
        assert_eq!(positions, wrongs[*index].ids.len());
        assert_eq!(
            without[index].counts,
            with.counts[..positions.saturating_sub(1)]
        );
    }
}

#[test]
fn independent_keys_give_other_rollouts() {
    let (model, tokenizer) = (model(12), tokenizer(12));
    let mut sampler = LocalSampler::new(&model, &tokenizer);
    let wrongs = wrongs(&mut sampler, &params(), 4, &by_letters);
    let told = |keys, sharing, scores| {
        let settings = RolloutSettings {
            keys,
            sharing,
            scores,
            ..settings(32)
        };
        run(&sampler, &params(), &wrongs, &settings, &by_letters).done
    };
    let full = |keys, sharing| told(keys, sharing, Scores::Full);
    let common = full(RolloutKeys::Common, Sharing::Tree);
    let independent = full(RolloutKeys::Independent, Sharing::Tree);
    let apart = full(RolloutKeys::Independent, Sharing::None);
    let counts = |done: &std::collections::BTreeMap<usize, cdpo_critical::rollout::RolledOut>| {
        done.values()
            .map(|one| one.counts.clone())
            .collect::<Vec<_>>()
    };
    assert_ne!(counts(&common), counts(&independent));
    assert_eq!(counts(&independent), counts(&apart));
    let searched = told(RolloutKeys::Independent, Sharing::Tree, Scores::Needed);
    for (index, independent) in &independent {
        assert_eq!(searched[index].finding, independent.finding);
    }
}
