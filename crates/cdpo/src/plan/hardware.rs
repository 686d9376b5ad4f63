//! The hardware of a plan: by name, by numbers, or this machine as it is measured.

use cdpo_model::{ModelConfig, ModelCost};
use cdpo_report::plan_table::HardwareFacts;

use super::measure;
use crate::memory;
use crate::outcome::Usage;
use crate::workload::{Kind, Known, Memory};

/// Where a recipe is to run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hardware {
    pub(crate) name: String,
    /// Cores, or accelerators.
    pub(crate) units: usize,
    /// Floating-point operations a second that matrix products reach.
    pub(crate) flops: f64,
    /// Bytes a second.
    pub(crate) bandwidth: f64,
    /// Bytes.
    pub(crate) memory: f64,
    /// An accelerator that computes in bf16: weights, activations and cache take half.
    pub(crate) narrow: bool,
    note: Option<&'static str>,
}

/// Shares of the matrix products' rate for prompts and scores, decoding and training, by measurements on the CPU (docs/figures.md, docs/plan.md).
/// What a training computes again counts as work here.
type Shares = [f64; 3];

/// Of a narrow model, SmolLM2-135M.
const OF_NARROW: Shares = [0.60, 0.48, 0.55];
/// Of a wider one: 0.5B and 8B, whose norms, attention and draws are less beside their products.
const OF_WIDE: Shares = [0.84, 0.63, 0.80];
/// The narrowest model, in elements of its residual stream, that counts as wide: between SmolLM2's 576 and the 0.5B model's 896.
const WIDE: usize = 768;

/// What decoding a stored weight once takes, in operations of matrix products (docs/figures.md: an 8B model's steps of 16 sequences
/// take 3.1 s longer than their products, at 212 GFLOP/s; 0.5B gives the same).
pub(crate) const DECODE_WEIGHT: f64 = 83.0;

/// Accelerators by name: bf16 operations a second (dense), bytes a second, bytes of memory; vendor data sheets (docs/plan.md).
const NAMED: [(&str, f64, f64, f64); 2] = [
    ("a100-80gb", 312e12, 2039e9, 80e9),
    ("h100-80gb", 989e12, 3350e9, 80e9),
];

const ACCELERATOR: &str = "weights, activations and cache in bf16 at a small model's shares of the rate on the CPU; the engine's own CUDA build \
                           holds f32 and does not split a model, so these are figures of the work, not of that build";

impl Hardware {
    /// Reads `--hardware`; `shape` is that of the product at which this machine is measured.
    pub(crate) fn read(text: &str, shape: (usize, usize)) -> anyhow::Result<Self> {
        if text == "this" {
            return Self::this(shape);
        }
        let (count, name) = match text.split_once('x') {
            Some(("8", name)) => (8, name),
            _ => (1, text),
        };
        if let Some((_, flops, bandwidth, memory)) = NAMED.iter().find(|(n, ..)| *n == name) {
            let times = f64::from(count);
            return Ok(Self {
                name: text.to_owned(),
                units: count as usize,
                flops: times * flops,
                bandwidth: times * bandwidth,
                memory: times * memory,
                narrow: true,
                note: Some(ACCELERATOR),
            });
        }
        Self::of_numbers(text).ok_or_else(|| {
            let named: Vec<String> = NAMED.iter().map(|(n, ..)| format!("{n}, 8x{n}")).collect();
            Usage(format!(
                "--hardware {text}: this, {} or four positive numbers `cores,GFLOP/s,GB/s,GB` are expected",
                named.join(", ")
            ))
            .into()
        })
    }

    fn of_numbers(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let [cores, rest @ ..] = parts.as_slice() else {
            return None;
        };
        let numbers: Vec<f64> = rest.iter().map(|n| n.parse().ok()).collect::<Option<_>>()?;
        let [gflops, gbps, gb] = *numbers.as_slice() else {
            return None;
        };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let units = cores.parse().ok().filter(|n| *n > 0)?;
        [gflops, gbps, gb].into_iter().all(positive).then(|| Self {
            name: text.to_owned(),
            units,
            flops: gflops * 1e9,
            bandwidth: gbps * 1e9,
            memory: gb * 1e9,
            narrow: false,
            note: None,
        })
    }

    /// This machine, measured with products of the shape `(out, in)`.
    fn this(shape: (usize, usize)) -> anyhow::Result<Self> {
        let Some(memory) = memory::installed() else {
            return Err(Usage(
                "--hardware this: the system does not say how much memory it has; give cores,GFLOP/s,GB/s,GB".into(),
            )
            .into());
        };
        Ok(Self {
            name: "this".into(),
            units: rayon::current_num_threads(),
            flops: measure::products(shape)?,
            bandwidth: measure::copying(),
            memory: memory as f64,
            narrow: false,
            note: Some(
                "measured just now: products of f32 matrices, and a copy of memory, bytes read and written together",
            ),
        })
    }

    /// The shares that are reckoned with. What was measured of wide models on the CPU is not taken over to accelerators.
    fn shares(&self, config: &ModelConfig) -> Shares {
        if !self.narrow && config.hidden_size >= WIDE {
            OF_WIDE
        } else {
            OF_NARROW
        }
    }

    /// The share of the products' rate that work of a kind reaches.
    pub(super) fn share(&self, config: &ModelConfig, kind: Kind) -> f64 {
        let [forward, decoding, training] = self.shares(config);
        match kind {
            Kind::Forward => forward,
            Kind::Decoding => decoding,
            Kind::Training => training,
        }
    }

    /// Bytes of an element here for one of f32.
    pub(super) fn narrowing(&self) -> f64 {
        if self.narrow { 0.5 } else { 1.0 }
    }

    /// Bytes that a pass reads of each weight.
    pub(super) fn bytes_per_weight(&self, known: &Known<'_>, cost: &ModelCost<'_>) -> f64 {
        match known.form {
            cdpo_model::WeightForm::F32 => 4.0 * self.narrowing(),
            cdpo_model::WeightForm::Stored => {
                known.stored_bytes() as f64 / cost.parameters().total() as f64
            }
        }
    }

    /// Bytes that a stage holds at its peak.
    pub(super) fn held(&self, known: &Known<'_>, memory: &Memory) -> u64 {
        if !self.narrow {
            return known.resident(memory);
        }
        let half = |bytes: u64| bytes / 2;
        half(memory.weights + memory.cache + memory.activations) + memory.optimizer
    }

    /// What is told of it.
    pub(super) fn facts(&self, config: &ModelConfig) -> HardwareFacts {
        HardwareFacts {
            name: self.name.clone(),
            units: self.units,
            accelerators: self.narrow,
            flops: self.flops,
            bandwidth: self.bandwidth,
            memory: self.memory,
            shares: self.shares(config),
            note: self.note.map(str::to_owned),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hardware_is_read_by_name_and_by_numbers() {
        let read = |text| Hardware::read(text, (64, 64));
        let eight = read("8xh100-80gb").unwrap();
        assert_eq!((eight.units, eight.memory), (8, 640e9));
        assert_eq!(eight.flops, 8.0 * 989e12);
        let own = read("16, 800, 200.5, 128").unwrap();
        assert_eq!((own.units, own.flops, own.bandwidth), (16, 800e9, 200.5e9));
        assert!(!own.narrow && eight.narrow);
        for wrong in [
            "v100",
            "9xa100-80gb",
            "1,2,3",
            "0,1,1,1",
            "1,-1,1,1",
            "1,1,1,1,1",
            "1,inf,1,1",
        ] {
            let told = read(wrong).unwrap_err().to_string();
            assert!(told.contains("cores,GFLOP/s"), "{told}");
        }
    }
}
