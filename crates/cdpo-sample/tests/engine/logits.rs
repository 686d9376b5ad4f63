//! Logits of a token: the same bits from prefill, decoding and branches, in any batch.

use cdpo_model::{Device, Extend, Key, KvCache, KvPath, Model};

use crate::setup::{ids, model, with_threads};

/// Bits of the logits after each path's last new token.
fn extend(
    model: &Model,
    cache: &mut KvCache,
    steps: &mut [(&mut KvPath, &[u32])],
) -> Vec<Vec<u32>> {
    let mut steps: Vec<Extend<'_>> = steps
        .iter_mut()
        .map(|(path, ids)| Extend { path, ids })
        .collect();
    let hidden = model.extend(cache, &mut steps).unwrap();
    let logits = model.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
    logits
        .into_iter()
        .map(|row| row.into_iter().map(f32::to_bits).collect())
        .collect()
}

/// Logits after 1, 2, .. tokens of `sequence`, each from one prefill of its own.
fn prefill_logits(model: &Model, sequence: &[u32]) -> Vec<Vec<u32>> {
    (1..=sequence.len())
        .map(|end| {
            let mut cache = KvCache::new(model.config(), 4096, &Device::Cpu);
            let mut path = cache.root();
            extend(model, &mut cache, &mut [(&mut path, &sequence[..end])]).remove(0)
        })
        .collect()
}

#[test]
fn logits_have_the_same_bits_from_prefill_decoding_and_every_branch_point() {
    for family in ["llama", "qwen2"] {
        let model = model(family);
        let sequence = ids(Key::new(1), 75);
        let want = with_threads(1, || prefill_logits(&model, &sequence));
        for threads in [1, 2] {
            with_threads(threads, || {
                if threads == 2 {
                    assert_eq!(
                        prefill_logits(&model, &sequence),
                        want,
                        "{family}: prefill, two threads"
                    );
                }
                // Token by token, and at every point a branch that takes the rest at once.
                let mut cache = KvCache::new(model.config(), 4096, &Device::Cpu);
                let mut trunk = cache.root();
                for at in 0..sequence.len() {
                    let mut branch = cache.fork(&trunk).unwrap();
                    let rest = extend(&model, &mut cache, &mut [(&mut branch, &sequence[at..])]);
                    assert_eq!(
                        rest[0],
                        want[sequence.len() - 1],
                        "{family}: branch at {at}, {threads} threads"
                    );
                    cache.release(branch);
                    let one = extend(&model, &mut cache, &mut [(&mut trunk, &sequence[at..=at])]);
                    assert_eq!(
                        one[0], want[at],
                        "{family}: decoding token {at}, {threads} threads"
                    );
                }
            });
        }
    }
}

#[test]
fn logits_have_the_same_bits_in_batches_of_1_2_6_7_64() {
    for family in ["llama", "qwen2"] {
        let model = model(family);
        let shared = ids(Key::new(2), 45);
        let tails: Vec<Vec<u32>> = (0..64).map(|row| ids(Key::new(3).with(row), 6)).collect();
        let run = |batch: usize| {
            let mut cache = KvCache::new(model.config(), 8192, &Device::Cpu);
            let mut trunk = cache.root();
            let mut got = extend(&model, &mut cache, &mut [(&mut trunk, &shared)]);
            for group in tails.chunks(batch) {
                let mut paths: Vec<KvPath> =
                    group.iter().map(|_| cache.fork(&trunk).unwrap()).collect();
                // Steps of one and of several tokens side by side.
                let mut at = vec![0; group.len()];
                while at.iter().any(|&at| at < 6) {
                    let mut rows: Vec<usize> = Vec::new();
                    let mut steps: Vec<(&mut KvPath, &[u32])> = Vec::new();
                    for (row, path) in paths.iter_mut().enumerate() {
                        if at[row] == 6 {
                            continue;
                        }
                        let take = if row % 3 == 1 { 3 } else { 1 };
                        steps.push((path, &group[row][at[row]..at[row] + take]));
                        at[row] += take;
                        rows.push(row);
                    }
                    let logits = extend(&model, &mut cache, &mut steps);
                    let finished = rows.iter().zip(logits).filter(|(row, _)| at[**row] == 6);
                    got.extend(finished.map(|(_, logits)| logits));
                }
                for path in paths {
                    cache.release(path);
                }
            }
            got.sort();
            got
        };
        let want = with_threads(1, || run(1));
        for threads in [1, 2] {
            for batch in [1, 2, 6, 7, 64] {
                let got = with_threads(threads, || run(batch));
                assert!(got == want, "{family}: batch {batch}, {threads} threads");
            }
        }
    }
}
