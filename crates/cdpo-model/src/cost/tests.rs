//! Formulas against numbers derived by hand, and against the products that the engine computes.

use candle_core::Device;

use super::{AdapterCost, Held, ModelCost, TrainPass, Trained, Work};
use crate::kv::{KvForm, PAGE};
use crate::ops::gemm::counter;
use crate::source::TensorSource;
use crate::{
    Adapter, AdapterStack, Arena, Key, KvCache, LoraConfig, Model, ModelConfig, Recompute, Result,
    Target, TokenForest, TrainOptions,
};

fn config(shape: [usize; 7], tied: bool) -> ModelConfig {
    let [vocab, hidden, inner, layers, heads, kv, positions] = shape;
    let json = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocab, "hidden_size": hidden,
        "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": positions,
        "tie_word_embeddings": tied, "bos_token_id": 0, "eos_token_id": 1, "hidden_act": "silu",
    });
    ModelConfig::from_hf_json(&json.to_string(), "test").unwrap()
}

fn llama3_8b() -> ModelConfig {
    config([128_256, 4096, 14_336, 32, 32, 8, 8192], false)
}

/// Llama-3-8B: 128,256 x 4,096 = 525,336,576 twice; a block 2 x 4,096^2 + 2 x 1,024 x 4,096 + 3 x 14,336 x 4,096 = 218,103,808;
/// 65 norms of 4,096.
#[test]
fn parameters_are_those_of_published_models() {
    let of = |config: &ModelConfig| ModelCost::of(config).parameters();
    let small = of(&llama3_8b());
    assert_eq!((small.embedding, small.head), (525_336_576, 525_336_576));
    assert_eq!(small.linears, 32 * 218_103_808);
    assert_eq!(small.vectors, 65 * 4096);
    assert_eq!(small.total(), 8_030_261_248);
    let large = config([128_256, 8192, 28_672, 80, 64, 8, 8192], false);
    assert_eq!(of(&large).total(), 70_553_706_496);
    let smol = config([49_152, 576, 1536, 30, 9, 3, 2048], true);
    assert_eq!(of(&smol).total(), 134_515_008);
    assert_eq!(of(&smol).head, 0);
}

#[test]
fn bytes_follow_the_encoding() {
    let config = llama3_8b();
    let cost = ModelCost::of(&config);
    let bytes = cost.bytes_by_encoding();
    let of = |name: &str| bytes.iter().find(|(n, _)| *n == name).map(|(_, b)| *b);
    let matrices = 8_030_261_248 - 65 * 4096;
    assert_eq!(of("F32"), Some(cost.f32_bytes()));
    assert_eq!(of("BF16"), Some(2 * matrices + 4 * 65 * 4096));
    assert_eq!(of("Q4_K"), Some(matrices / 256 * 144 + 4 * 65 * 4096));
    // Rows of 576 are no whole blocks of 256.
    let smol = self::config([49_152, 576, 1536, 30, 9, 3, 2048], true);
    let smol = ModelCost::of(&smol).bytes_by_encoding();
    assert!(smol.iter().all(|(name, _)| *name != "Q4_K"));
    assert_eq!(cost.weight_bytes(Held::Packed), cost.f32_bytes());
    assert_eq!(cost.weight_bytes(Held::Stored(5)), 5 + 4 * 65 * 4096);
}

/// A token of Llama-3-8B: 2 x 6,979,321,856 in the blocks, 2 x 525,336,576 in the head, 4 x 4,096 x 32 for each token it sees.
#[test]
fn operations_per_token_of_llama_3_8b() {
    let config = llama3_8b();
    let cost = ModelCost::of(&config);
    let work = |targets, context| Work {
        tokens: 1.0,
        targets,
        context,
    };
    let blocks = 13_958_643_712.0;
    assert_eq!(cost.forward_flops(&work(0.0, 0.0), &[]), blocks);
    let head = 1_050_673_152.0;
    assert_eq!(cost.forward_flops(&work(1.0, 0.0), &[]), blocks + head);
    let seen = 524_288.0;
    assert_eq!(
        cost.forward_flops(&work(1.0, 10.0), &[]),
        blocks + head + 10.0 * seen
    );
    // Rank 16 on all seven projections: 41,943,040 parameters.
    let lora = AdapterCost::of(&config, &LoraConfig::default()).unwrap();
    assert_eq!(lora.parameters(), 41_943_040);
    assert_eq!(
        cost.forward_flops(&work(0.0, 0.0), &[lora]),
        blocks + 2.0 * 41_943_040.0
    );
}

#[test]
fn keys_and_values_take_the_bytes_of_the_caches_pages() {
    let config = llama3_8b();
    // Keys and values of 32 layers with 8 heads of 128.
    assert_eq!(
        ModelCost::of(&config).kv_bytes_per_token(KvForm::F32),
        262_144
    );
    let config = tiny();
    let bytes = KvCache::page_bytes(&config);
    assert_eq!(
        ModelCost::of(&config).kv_bytes_per_token(KvForm::F32) * PAGE as u64,
        bytes as u64
    );
}

struct Random;

impl TensorSource for Random {
    fn contains(&self, _name: &str) -> bool {
        true
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let key = Key::new(1).with_str(name);
        let unit = |i| (key.with(i as u64).unit() - 0.5) as f32 * 0.2;
        Ok((0..shape.iter().product::<usize>()).map(unit).collect())
    }
}

fn tiny() -> ModelConfig {
    config([50, 32, 48, 3, 4, 2, 256], false)
}

/// Two prompts, a pair of responses below each.
fn forest() -> (TokenForest, Vec<Target>) {
    let mut forest = TokenForest::new();
    let mut targets = Vec::new();
    for first in [3u32, 11] {
        let ids = |n: u32| (0..n).map(|i| (first + 7 * i) % 50).collect::<Vec<_>>();
        let prompt = forest.push(&ids(9), None, 0);
        for n in [5, 8] {
            let response = forest.push(&ids(n), Some(prompt), 0);
            targets.extend(forest.targets(response));
        }
    }
    (forest, targets)
}

/// Attention is no product of matrices here; everything else is.
fn without_attention(work: &Work) -> Work {
    Work {
        context: 0.0,
        ..*work
    }
}

#[test]
fn a_forward_pass_computes_the_products_that_are_counted() {
    let config = tiny();
    let model = Model::load(&config, &Random, &Device::Cpu).unwrap();
    let (forest, targets) = forest();
    let work = without_attention(&Work::of(&forest, &targets));
    let cost = ModelCost::of(&config);
    counter::take();
    model
        .score(&forest, &AdapterStack::base(), &targets)
        .unwrap();
    assert_eq!(counter::take() as f64, cost.forward_flops(&work, &[]));

    let lora = LoraConfig::default();
    let adapter = Adapter::init(&config, &lora, Key::new(1), &Device::Cpu).unwrap();
    let adapters = [&adapter];
    let stack = AdapterStack::frozen(&adapters);
    model.score(&forest, &stack, &targets).unwrap();
    let added = AdapterCost::of(&config, &lora).unwrap();
    assert_eq!(added.parameters(), adapter.arena().data.len() as u64);
    assert_eq!(counter::take() as f64, cost.forward_flops(&work, &[added]));
}

/// What a training pass of the tiny model counts.
fn counted(trained: &[&Adapter], divergence: bool, recompute: Recompute) -> f64 {
    let config = tiny();
    let model = Model::load(&config, &Random, &Device::Cpu).unwrap();
    let (forest, targets) = forest();
    let options = TrainOptions {
        recompute,
        ..TrainOptions::default()
    };
    let (stack, mut grads) = match trained.split_last() {
        Some((own, _)) => (
            AdapterStack::training(trained, trained.len() - 1),
            Arena::zeros(own.arena().layout().clone()),
        ),
        None => (
            AdapterStack::base(),
            Arena::zeros(model.arena().unwrap().layout().clone()),
        ),
    };
    counter::take();
    let pass = if divergence {
        let under = &trained[..trained.len() - 1];
        let reference = AdapterStack::frozen(under);
        model.train_forward_against(&forest, &stack, &reference, &targets, &options)
    } else {
        model.train_forward(&forest, &stack, &targets, &options)
    };
    let pass = pass.unwrap();
    let kls = vec![0.5; pass.kls.len()];
    let slopes = vec![1.0; targets.len()];
    model
        .train_backward_kl(pass, &stack, &slopes, &kls, &mut grads)
        .unwrap();
    counter::take() as f64
}

#[test]
fn a_training_pass_computes_the_products_that_are_counted() {
    let config = tiny();
    let cost = ModelCost::of(&config);
    let (forest, targets) = forest();
    let work = without_attention(&Work::of(&forest, &targets));
    let all = LoraConfig::default();
    let feed_forward = LoraConfig {
        rank: 3,
        target_modules: vec!["up_proj".into(), "down_proj".into()],
        ..LoraConfig::default()
    };
    let adapter =
        |lora: &LoraConfig| Adapter::init(&config, lora, Key::new(1), &Device::Cpu).unwrap();
    let (first, second) = (adapter(&feed_forward), adapter(&all));
    let own = AdapterCost::of(&config, &all).unwrap();
    let under = [AdapterCost::of(&config, &feed_forward).unwrap()];
    for recompute in [
        Recompute::Nothing,
        Recompute::FeedForward,
        Recompute::Blocks,
    ] {
        let pass = |trained, under, divergence| TrainPass {
            trained,
            under,
            recompute,
            divergence,
        };
        let cases: [(&[&Adapter], TrainPass<'_>); 4] = [
            (&[&second], pass(Trained::Adapter(&own), &[], false)),
            (
                &[&first, &second],
                pass(Trained::Adapter(&own), &under, false),
            ),
            (
                &[&first, &second],
                pass(Trained::Adapter(&own), &under, true),
            ),
            (&[], pass(Trained::All, &[], false)),
        ];
        for (i, (adapters, pass)) in cases.iter().enumerate() {
            assert_eq!(
                counted(adapters, pass.divergence, recompute),
                cost.train_flops(&work, pass),
                "case {i}, {recompute:?}"
            );
        }
    }
}

#[test]
fn a_forests_context_is_the_mean_of_what_its_rows_see() {
    let (forest, targets) = forest();
    let work = Work::of(&forest, &targets);
    assert_eq!((work.tokens, work.targets), (44.0, 26.0));
    let prompt: usize = (1..=9).sum();
    let responses: usize = (10..=14).sum::<usize>() + (10..=17).sum::<usize>();
    assert!((work.context - (2 * (prompt + responses)) as f64 / 44.0).abs() < 1e-12);
}

#[test]
fn blocks_computed_again_are_half_as_many_operations_more_and_feed_forward_layers_a_quarter() {
    let config = llama3_8b();
    let cost = ModelCost::of(&config);
    let own = AdapterCost::of(&config, &LoraConfig::default()).unwrap();
    let work = Work {
        tokens: 1000.0,
        targets: 500.0,
        context: 100.0,
    };
    let flops = |recompute| {
        let pass = TrainPass {
            trained: Trained::Adapter(&own),
            under: &[],
            recompute,
            divergence: false,
        };
        cost.train_flops(&work, &pass)
    };
    let least = flops(Recompute::Nothing);
    assert!((1.4..1.6).contains(&(flops(Recompute::Blocks) / least)));
    assert!((1.2..1.35).contains(&(flops(Recompute::FeedForward) / least)));
}
