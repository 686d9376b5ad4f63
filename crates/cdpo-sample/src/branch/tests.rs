//! Branches on a fake model: each rollout is what a naive loop draws, whatever the batch, the company and the cache.

use std::collections::BTreeMap;

use cdpo_model::Key;

use super::engine::Engine;
use super::{Branch, Rollout, Settled, Trunk, TrunkId};
use crate::decoder::{Decoder, PathStep};
use crate::draw::draw;
use crate::params::SampleParams;
use crate::sampler::Finish;
use crate::schedule::fake::{EOS, Fake, VOCABULARY};
use crate::stop::{Response, StopRule};

fn params() -> SampleParams {
    SampleParams {
        temperature: 0.6,
        top_p: 0.9,
        max_new_tokens: 30,
        stop: vec!["\nQ".into()],
        seed: 0,
        ..SampleParams::default()
    }
}

fn ids(key: u64, n: usize) -> Vec<u32> {
    (0..n as u64)
        .map(|i| 7 + Key::new(key).with(i).below(VOCABULARY - 7) as u32)
        .collect()
}

/// Trunks on two prefixes; the last is as long as a response may be.
fn trunks() -> Vec<Trunk> {
    (0..4u64)
        .map(|t| Trunk {
            name: format!("t{t}"),
            prefix_ids: ids(50 + t % 2, [0, 9][(t % 2) as usize]),
            prompt_ids: ids(60 + t, 3 + t as usize),
            response_ids: ids(70 + t, [11, 1, 8, 30][t as usize]),
        })
        .collect()
}

fn key(trunk: usize, j: u64) -> Key {
    Key::new(4).with(trunk as u64).with(j)
}

/// (tag, text, finish, tokens) of a rollout.
type Outcome = (String, Option<Finish>, usize);

/// The first `e` and a character behind it decide.
fn settled() -> Settled<'static> {
    Box::new(|text| {
        let at = text.find('e')? + 1;
        Some(at + text[at..].chars().next()?.len_utf8())
    })
}

/// One rollout by hand: the whole sequence anew for each token.
fn by_hand(
    trunk: &Trunk,
    keep: usize,
    first: Option<u32>,
    key: Key,
    settled: Option<&Settled<'_>>,
) -> Outcome {
    let params = params();
    let rule = StopRule::new(&params.stop);
    let mut fake = Fake::new(4000, 200);
    let mut response = Response::default();
    for &id in &trunk.response_ids[..keep] {
        assert!(!response.push(id, &fake.piece(id).unwrap(), &rule));
    }
    let mut next = first;
    let over = |response: &Response| settled.is_some_and(|s| response.is_settled(&rule, s));
    if over(&response) {
        return (response.finish().0, None, keep);
    }
    if first.is_none() && keep >= params.max_new_tokens {
        return (response.finish().0, Some(Finish::Length), keep);
    }
    loop {
        let id = next.take().unwrap_or_else(|| {
            let all = [&trunk.prefix_ids[..], &trunk.prompt_ids, response.ids()].concat();
            let mut path = fake.root();
            let mut row = Vec::new();
            let step = PathStep {
                path: &mut path,
                ids: &all,
            };
            fake.step(&mut [step], &[0], &mut |logits| {
                row = logits.to_vec();
                Ok(())
            })
            .unwrap();
            fake.release(path);
            let unit = key.with(response.ids().len() as u64).unit();
            draw(&row, row.len(), &params, &[unit]).unwrap()[0].id
        });
        let tokens = response.ids().len() + 1;
        if id == EOS {
            return (response.finish().0, Some(Finish::Eos), tokens);
        }
        if response.push(id, &fake.piece(id).unwrap(), &rule) {
            return (response.finish().0, Some(Finish::Stop), tokens);
        }
        if over(&response) {
            return (response.finish().0, None, tokens);
        }
        if tokens >= params.max_new_tokens {
            return (response.finish().0, Some(Finish::Length), tokens);
        }
    }
}

/// Every place to leave each trunk, with and without a token, 5 rollouts each.
fn branches(trunks: &[Trunk]) -> Vec<(usize, usize, Option<u32>)> {
    let mut all = Vec::new();
    for (t, trunk) in trunks.iter().enumerate() {
        for keep in 0..=trunk.response_ids.len() {
            all.push((t, keep, None));
            if keep < params().max_new_tokens {
                all.push((t, keep, Some([EOS, 9, 1][keep % 3])));
            }
        }
    }
    all
}

/// Outcomes, tokens drawn and tokens computed anew. `settles`: whether rollouts end once they are settled. With `pause`,
/// rollouts are set aside every so many tokens and go on when all others have ended.
fn grow(
    cache: usize,
    max_batch: usize,
    split: bool,
    pause: Option<usize>,
    settles: bool,
) -> (BTreeMap<u64, Outcome>, u64, u64) {
    let fake = Fake::new(cache, 200);
    let mut engine = Engine::new(fake, params(), vec![EOS], max_batch).unwrap();
    engine.settled = settles.then(settled);
    let trunks = trunks();
    let mut outcomes = BTreeMap::new();
    let all = branches(&trunks);
    // Two trunks at a time, as a small cache wants.
    for pair in [[0usize, 1], [2, 3]] {
        let mut open: BTreeMap<usize, TrunkId> = BTreeMap::new();
        for t in pair {
            assert!(engine.fits(&trunks[t]), "trunk {t}");
            let (id, rows) = engine.open(&trunks[t], |p, _| p).unwrap();
            assert_eq!(
                rows,
                (0..=trunks[t].response_ids.len()).collect::<Vec<_>>(),
                "one row for each token and one behind them"
            );
            open.insert(t, id);
        }
        for (index, &(t, keep, first)) in all.iter().enumerate() {
            let Some(&trunk) = open.get(&t) else { continue };
            let rollouts = (0..5u64).map(|j| Rollout {
                tag: index as u64 * 5 + j,
                key: key(t, j),
            });
            let submit = |engine: &mut Engine<'_, Fake>, rollouts: Vec<Rollout>| {
                engine
                    .submit(Branch {
                        trunk,
                        keep,
                        drawn: Vec::new(),
                        first,
                        pause: pause.map_or(usize::MAX, |pause| keep + pause),
                        rollouts,
                    })
                    .unwrap();
            };
            if split {
                rollouts.for_each(|one| submit(&mut engine, vec![one]));
            } else {
                submit(&mut engine, rollouts.collect());
            }
        }
        loop {
            while engine.sequences() > 0 {
                engine.step().unwrap();
            }
            let aside = engine.set_aside();
            if aside.is_empty() {
                break;
            }
            for one in aside {
                let (_, keep, _) = all[(one.tags[0] / 5) as usize];
                let t = open.iter().find(|(_, id)| **id == one.trunk).unwrap().0;
                let rollouts = one.tags.iter().map(|&tag| Rollout {
                    tag,
                    key: key(*t, tag % 5),
                });
                let branch = Branch {
                    trunk: one.trunk,
                    keep,
                    pause: keep + one.drawn.len() + pause.unwrap(),
                    rollouts: rollouts.collect(),
                    first: None,
                    drawn: one.drawn,
                };
                engine.submit(branch).unwrap();
            }
        }
        for ended in engine.ended() {
            for &tag in &ended.tags {
                let outcome = (ended.text.to_string(), ended.finish, ended.tokens);
                assert!(
                    outcomes.insert(tag, outcome).is_none(),
                    "a rollout was handed out twice"
                );
            }
        }
        for (_, id) in open {
            engine.close(id);
        }
    }
    let spent = engine.spent();
    let (free, total) = engine.pages_left();
    assert_eq!(free, total, "pages were lost");
    (outcomes, spent.generated, spent.recomputed)
}

/// Every rollout of every branch by hand.
fn all_by_hand(settled: Option<&Settled<'_>>) -> BTreeMap<u64, Outcome> {
    let trunks = trunks();
    let trunks = &trunks;
    branches(trunks)
        .into_iter()
        .enumerate()
        .flat_map(|(index, (t, keep, first))| {
            (0..5u64).map(move |j| {
                let outcome = by_hand(&trunks[t], keep, first, key(t, j), settled);
                (index as u64 * 5 + j, outcome)
            })
        })
        .collect()
}

#[test]
fn what_is_settled_ends_there_and_nothing_else_changes() {
    let whole = all_by_hand(None);
    let want = all_by_hand(Some(&settled()));
    let all = branches(&trunks());
    let (mut before, mut at_once) = (0, 0);
    for (tag, (text, finish, tokens)) in &want {
        let (longer, end, most) = &whole[tag];
        if finish.is_some() {
            assert_eq!((text, finish, tokens), (longer, end, most));
            continue;
        }
        before += usize::from(tokens < most);
        at_once += usize::from(*tokens == all[(tag / 5) as usize].1);
        let decided = settled()(longer).expect("the whole text is settled");
        assert!(decided <= longer.len() && text.starts_with(&longer[..decided]));
    }
    assert!(
        before > 20,
        "{before} rollouts are settled before their end"
    );
    assert!(at_once > 20, "{at_once} rollouts keep what is settled");
    let (_, full, _) = grow(4000, 64, false, None, false);
    let (got, tokens, _) = grow(4000, 64, false, None, true);
    assert_eq!(got, want);
    assert!(tokens < full, "{tokens} of {full}");
    for (pause, cache, max_batch, split) in [
        (None, 60, 64, false),
        (None, 4000, 1, true),
        (Some(2), 4000, 8, false),
        (Some(7), 60, 64, false),
    ] {
        let (got, _, _) = grow(cache, max_batch, split, pause, true);
        assert_eq!(got, want, "pause {pause:?}, cache {cache}");
    }
}

#[test]
fn every_rollout_is_the_one_drawn_by_hand_whatever_the_batch_the_company_and_the_cache() {
    let want = all_by_hand(None);
    for finish in [Finish::Eos, Finish::Stop, Finish::Length] {
        assert!(
            want.values().any(|outcome| outcome.1 == Some(finish)),
            "no rollout ends by {finish:?}"
        );
    }
    let (got, together, _) = grow(4000, 64, false, None, false);
    assert_eq!(got, want);
    let (got, apart, recomputed) = grow(4000, 64, true, None, false);
    assert_eq!(got, want, "each rollout a sequence of its own");
    assert!(
        together < apart,
        "{together} tokens together, {apart} apart"
    );
    assert_eq!(recomputed, 0);
    for max_batch in [1, 3] {
        assert_eq!(
            grow(4000, max_batch, false, None, false).0,
            want,
            "batch {max_batch}"
        );
    }
    let (got, _, recomputed) = grow(60, 64, false, None, false);
    assert_eq!(got, want, "in a small cache");
    assert!(recomputed > 0, "the cache was not small");
    for (pause, cache, max_batch, split) in [
        (1, 4000, 8, false),
        (2, 4000, 1, false),
        (7, 4000, 8, true),
        (7, 60, 64, false),
    ] {
        let (got, tokens, recomputed) = grow(cache, max_batch, split, Some(pause), false);
        assert_eq!(got, want, "set aside every {pause} tokens");
        let once = if split { apart } else { together };
        assert_eq!(tokens, once, "nothing counts twice");
        assert!(recomputed > 0, "what is set aside leaves the cache");
    }
}

#[test]
fn logits_along_a_trunk_are_those_of_decoding() {
    let trunk = &trunks()[0];
    let mut engine = Engine::new(Fake::new(4000, 200), params(), vec![EOS], 8).unwrap();
    let (_, rows) = engine.open(trunk, |_, row| row.to_vec()).unwrap();
    let mut fake = Fake::new(4000, 200);
    for (p, row) in rows.iter().enumerate() {
        let all = [
            &trunk.prefix_ids[..],
            &trunk.prompt_ids,
            &trunk.response_ids[..p],
        ]
        .concat();
        let mut path = fake.root();
        let step = PathStep {
            path: &mut path,
            ids: &all,
        };
        fake.step(&mut [step], &[0], &mut |logits| {
            assert_eq!(row, logits, "position {p}");
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn a_trunk_that_no_sampler_could_have_drawn_is_refused() {
    let mut engine = Engine::new(Fake::new(4000, 200), params(), vec![EOS], 8).unwrap();
    let mut told = |response: Vec<u32>| {
        let trunk = Trunk {
            response_ids: response,
            ..trunks()[0].clone()
        };
        engine.open(&trunk, |_, _| ()).unwrap_err().to_string()
    };
    assert!(told(vec![9, EOS, 9]).contains("token 2 is the end token"));
    assert!(told(vec![9, 1, 2, 9]).contains("stop string ends at response token 3"));
    assert!(told(ids(1, 31)).contains("has 31 tokens"));
    assert!(told(vec![9, VOCABULARY as u32]).contains("outside the model's vocabulary"));
}

/// The prompt fills a page to the end, and the branch leaves before its last token: it needs that page once more.
#[test]
fn a_trunk_that_fits_has_room_for_its_longest_branch() {
    let trunk = Trunk {
        name: "t".into(),
        prompt_ids: ids(60, 4),
        ..Trunk::default()
    };
    let engine = |pages| Engine::new(Fake::new(pages, 200), params(), vec![EOS], 8).unwrap();
    assert!(!engine(9).fits(&trunk));
    let mut engine = engine(10);
    assert!(engine.fits(&trunk));
    let (id, _) = engine.open(&trunk, |_, _| ()).unwrap();
    let mut longest = 0;
    for j in 0..20 {
        engine
            .submit(Branch {
                trunk: id,
                keep: 0,
                drawn: Vec::new(),
                first: None,
                pause: usize::MAX,
                rollouts: vec![Rollout {
                    tag: j,
                    key: key(0, j),
                }],
            })
            .unwrap();
        while engine.sequences() > 0 {
            engine.step().unwrap();
        }
        longest = longest.max(engine.ended()[0].tokens);
    }
    assert_eq!(longest, params().max_new_tokens);
}

#[test]
fn a_branch_that_begins_beyond_the_limit_is_refused() {
    let mut engine = Engine::new(Fake::new(4000, 200), params(), vec![EOS], 8).unwrap();
    let trunk = &trunks()[3];
    let (id, _) = engine.open(trunk, |_, _| ()).unwrap();
    let mut refused = |keep, first, rollouts| {
        let branch = Branch {
            trunk: id,
            keep,
            drawn: Vec::new(),
            first,
            pause: usize::MAX,
            rollouts,
        };
        engine.submit(branch).unwrap_err().to_string()
    };
    let one = vec![Rollout {
        tag: 0,
        key: key(3, 0),
    }];
    assert!(refused(30, Some(9), one.clone()).contains("begins with 31 of at most 30"));
    assert!(refused(31, None, one).contains("keeps 31 of 30"));
    assert!(refused(3, None, Vec::new()).contains("a branch of 0 rollouts"));
}

#[test]
fn a_branch_does_not_go_on_behind_an_end_or_beyond_its_pause() {
    let mut engine = Engine::new(Fake::new(4000, 200), params(), vec![EOS], 8).unwrap();
    let (trunk, _) = engine.open(&trunks()[0], |_, _| ()).unwrap();
    let mut refused = |drawn: &[u32], pause| {
        let branch = Branch {
            trunk,
            keep: 2,
            drawn: drawn.to_vec(),
            first: None,
            pause,
            rollouts: vec![Rollout {
                tag: 0,
                key: key(0, 0),
            }],
        };
        engine.submit(branch).unwrap_err().to_string()
    };
    assert!(refused(&[9, EOS], 9).contains(&format!("behind token {EOS}, which ends")));
    assert!(refused(&[9, 1, 2], 9).contains("behind token 2, which ends"));
    assert!(refused(&[9, 9, 9], 4).contains("begins with 5 of at most 4"));
    assert!(refused(&[VOCABULARY as u32], 9).contains("outside the model's vocabulary"));
}
