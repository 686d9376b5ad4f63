//! Weights that stay as their file has them: the bits of the same weights held as f32, in every pass.

use cdpo_model::source::{Checkpoint, ModelSource, open};
use cdpo_model::{KvCache, Products, WeightForm, WeightOptions};

use super::*;

fn stored(dir: &Path) -> Model {
    loaded(dir, WeightForm::Stored.into())
}

fn loaded(dir: &Path, options: WeightOptions) -> Model {
    let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
    Model::load_as(
        &ModelConfig::from_hf_json(&config, "fixture").unwrap(),
        &SafetensorsFolder::open(dir).unwrap(),
        &Device::Cpu,
        options,
    )
    .unwrap()
}

pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn losses_and_gradients_have_the_bits_of_f32_weights() {
    for name in ADAPTED {
        let mut f = fixture(name);
        let lora = adapter(&f, "lora");
        let adapters = [&lora];
        let stack = AdapterStack::training(&adapters, 0);
        let layout = lora.arena().layout().clone();
        let options = TrainOptions::default();
        let step = |f: &Fixture| gradients::sft_gradient(f, &stack, layout.clone(), &options, true);
        let (loss, grads) = step(&f);
        f.model = stored(&f.dir);
        let (stored_loss, stored_grads) = step(&f);
        assert_eq!(loss.to_bits(), stored_loss.to_bits(), "{name}");
        assert_eq!(bits(&grads.data), bits(&stored_grads.data), "{name}");
        assert!(grads.data.iter().any(|g| *g != 0.0), "{name}");
    }
}

/// Products of bf16: a number has eight bits of mantissa (2^-9 of rounding for each operand), and a loss and a gradient are sums of many.
/// The form in which weights are held changes no bit, and decoding has the bits of the forest. Where the machine has no such products, all
/// is exact.
#[test]
fn fast_products_stay_near_exact_ones_and_keep_every_promise_of_bits() {
    for name in ADAPTED {
        let mut f = fixture(name);
        let lora = adapter(&f, "lora");
        let adapters = [&lora];
        let stack = AdapterStack::training(&adapters, 0);
        let layout = lora.arena().layout().clone();
        let options = TrainOptions::default();
        let step = |f: &Fixture| gradients::sft_gradient(f, &stack, layout.clone(), &options, true);
        let (loss, grads) = step(&f);
        let fast = |form| WeightOptions {
            form,
            products: Products::Fast,
        };
        f.model = loaded(&f.dir, fast(WeightForm::F32));
        let (fast_loss, fast_grads) = step(&f);
        f.model = loaded(&f.dir, fast(WeightForm::Stored));
        let (stored_loss, stored_grads) = step(&f);
        assert_eq!(fast_loss.to_bits(), stored_loss.to_bits(), "{name}");
        assert_eq!(bits(&fast_grads.data), bits(&stored_grads.data), "{name}");
        assert!(
            (fast_loss - loss).abs() < 0.01 * loss,
            "{name}: {fast_loss} {loss}"
        );
        let norm =
            |g: &mut dyn Iterator<Item = f32>| g.map(|g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        let mut apart = grads.data.iter().zip(&fast_grads.data).map(|(a, b)| a - b);
        let apart = norm(&mut apart) / norm(&mut grads.data.iter().copied());
        assert!(apart < 0.02, "{name}: {apart}");
        assert_eq!(apart > 0.0, Products::Fast.unit().is_some(), "{name}");

        let sequence = ids(&f.json["pairs"][0]["chosen"]);
        let with = whole(&f.model, &sequence, &AdapterStack::frozen(&[&lora]));
        let mut decoder = loaded(&f.dir, fast(WeightForm::F32));
        decoder.attach(lora.clone()).unwrap();
        decoder.pack(false).unwrap();
        assert!(decoder.is_packed());
        assert_eq!(bits(&decoded(&decoder, &sequence)), bits(&with), "{name}");
    }
}

/// Logits of every token of a sequence, decoded by the model.
pub(super) fn decoded(model: &Model, ids: &[u32]) -> Vec<f32> {
    let mut cache = KvCache::new(model.config(), 64, model.device());
    let mut path = cache.root();
    let hidden = model.extend_each(&mut cache, &mut path, ids).unwrap();
    let logits = model.logits(&hidden).unwrap();
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

/// Logits of every token of a sequence, as a forest under the adapters.
pub(super) fn whole(model: &Model, ids: &[u32], stack: &AdapterStack<'_>) -> Vec<f32> {
    let mut forest = TokenForest::new();
    forest.push(ids, None, 1);
    let logits = model.forest_logits(&forest, stack).unwrap();
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn an_attached_adapter_decodes_with_the_bits_of_the_forest_and_the_values_of_the_merged_model() {
    for name in ADAPTED {
        let f = fixture(name);
        let sequence = ids(&f.json["pairs"][0]["chosen"]);
        let lora = adapter(&f, "lora");
        let with = whole(&f.model, &sequence, &AdapterStack::frozen(&[&lora]));
        let base = whole(&f.model, &sequence, &AdapterStack::base());
        assert_ne!(bits(&with), bits(&base), "{name}");

        let mut attached = stored(&f.dir);
        assert_eq!(bits(&decoded(&attached, &sequence)), bits(&base), "{name}");
        attached.attach(lora.clone()).unwrap();
        assert_eq!(bits(&decoded(&attached, &sequence)), bits(&with), "{name}");
        let mut packed = stored(&f.dir);
        packed.attach(lora.clone()).unwrap();
        packed.pack(false).unwrap();
        assert!(packed.is_packed());
        assert_eq!(bits(&decoded(&packed, &sequence)), bits(&with), "{name}");

        let merged = merged(&f.dir, &lora);
        let merged = whole(&merged, &sequence, &AdapterStack::base());
        let scale = largest(with.iter().map(|v| f64::from(*v)));
        let apart = with.iter().zip(&merged);
        let apart = largest(apart.map(|(a, b)| f64::from(a - b)));
        assert!(apart < 1e-5 * scale, "{name}: {apart} of {scale}");
    }
}

#[test]
fn an_adapter_for_another_model_is_not_attached() {
    let f = fixture("llama");
    let mut config = f.model.config().clone();
    config.layers += 1;
    let other = Adapter::init(
        &config,
        &cdpo_model::LoraConfig::default(),
        cdpo_model::Key::new(1),
        &Device::Cpu,
    );
    let mut model = stored(&f.dir);
    assert!(model.attach(other.unwrap()).is_err());
}

/// A GGUF file of blocks, in which q and k lie in another order of rows.
#[test]
fn blocks_of_a_gguf_file_have_the_bits_of_f32_weights() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    for name in ["tiny-llama.gguf", "tiny-qwen2.gguf"] {
        let Checkpoint {
            config, weights, ..
        } = open(&ModelSource::Path(fixtures.join(name))).unwrap();
        let load = |form| Model::load_as(&config, weights.as_ref(), &Device::Cpu, form).unwrap();
        let (f32s, stored) = (load(WeightForm::F32), load(WeightForm::Stored));
        let sequence: Vec<u32> = (3..40).collect();
        let expected = whole(&f32s, &sequence, &AdapterStack::base());
        assert_eq!(
            bits(&whole(&stored, &sequence, &AdapterStack::base())),
            bits(&expected),
            "{name}"
        );
        assert_eq!(
            bits(&decoded(&stored, &sequence)),
            bits(&expected),
            "{name}"
        );
    }
}
