//! What a recipe will take: facts of model and hardware and each stage's figures in; a table for a terminal or JSON out.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::figures::{long, si, thousands};
use crate::grid::{Align, Grid};

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanTable {
    /// The model.
    pub model: ModelFacts,
    /// What it is to run on.
    pub hardware: HardwareFacts,
    /// What is taken for granted, a sentence each.
    pub assumptions: Vec<String>,
    /// Stages in the order they run.
    pub stages: Vec<PlannedStage>,
    /// What does not fit, and what to do; empty if all fits.
    pub advice: Vec<String>,
}

/// A model's costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Where its configuration came from.
    pub origin: String,
    /// All parameters.
    pub parameters: u64,
    /// Of those, the embedding's.
    pub embedding: u64,
    /// The blocks' matrices'.
    pub linears: u64,
    /// Norms' and biases'.
    pub vectors: u64,
    /// The head's, if it is not the embedding.
    pub head: u64,
    /// Bytes in each encoding.
    pub bytes: Vec<(String, u64)>,
    /// Bytes of its weight files, if they are there.
    pub file_bytes: Option<u64>,
    /// Whether it is held as its file has it.
    pub stored: bool,
    /// Operations of a token's forward pass with the head, attention and adapters apart.
    pub forward_flops: u64,
    /// Bytes of a token's keys and values.
    pub kv_bytes: u64,
    /// Bytes of what a training keeps of a token.
    pub kept_bytes: u64,
}

/// Hardware.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HardwareFacts {
    /// What it is called.
    pub name: String,
    /// Cores or accelerators.
    pub units: usize,
    /// Whether they are accelerators.
    pub accelerators: bool,
    /// Operations a second of matrix products.
    pub flops: f64,
    /// Bytes a second.
    pub bandwidth: f64,
    /// Bytes of memory.
    pub memory: f64,
    /// Shares of `flops` that are reckoned with: prompts and scores, decoding, training.
    pub shares: [f64; 3],
    /// What else is to be known of it.
    pub note: Option<String>,
}

/// A stage's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStage {
    /// The stage's name.
    pub stage: String,
    /// Tokens read, as a run's costs count them.
    pub tokens_read: Option<u64>,
    /// Tokens generated.
    pub tokens_generated: Option<u64>,
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes read from and written to memory.
    pub bytes: f64,
    /// The most bytes of memory that are held.
    pub memory: Option<u64>,
    /// Seconds; none of a stage without a model, which takes next to none.
    pub seconds: Option<f64>,
    /// Whether most of its time goes by at the bandwidth.
    pub bandwidth_bound: bool,
    /// Whether it decodes.
    pub decoding: bool,
}

impl PlanTable {
    /// Seconds of all stages.
    pub fn seconds(&self) -> f64 {
        self.stages.iter().filter_map(|stage| stage.seconds).sum()
    }

    /// The most memory that a stage holds, in bytes.
    pub fn memory(&self) -> u64 {
        let all = self.stages.iter().filter_map(|stage| stage.memory);
        all.max().unwrap_or(0)
    }

    /// Indented JSON.
    ///
    /// # Errors
    /// [`crate::Error::Json`] if a number is not finite.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Facts, the table of stages with a total, and advice, for a terminal.
    pub fn plain(&self) -> String {
        let mut out = self.model.lines() + &self.hardware.lines();
        for line in &self.assumptions {
            let _ = writeln!(out, "assumed   {line}");
        }
        out.push('\n');
        out.push_str(&self.grid().plain());
        for (i, line) in self.advice.iter().enumerate() {
            let lead = if i == 0 { "\n" } else { "- " };
            let _ = writeln!(out, "{lead}{line}");
        }
        out
    }

    /// The table of stages in Markdown.
    pub fn markdown(&self) -> String {
        self.grid().markdown()
    }

    fn grid(&self) -> Grid {
        let mut grid = Grid::new([
            ("stage", Align::Left),
            ("tokens read", Align::Right),
            ("tokens generated", Align::Right),
            ("FLOP", Align::Right),
            ("bytes moved", Align::Right),
            ("memory", Align::Right),
            ("time", Align::Right),
            ("bound by", Align::Left),
        ]);
        let count = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), thousands);
        for stage in &self.stages {
            let busy = stage.seconds.is_some();
            let figure = |x: f64, unit| if busy { si(x, unit) } else { "–".to_owned() };
            let fits = |bytes: u64| bytes as f64 <= self.hardware.memory;
            grid.push(vec![
                stage.stage.clone(),
                count(stage.tokens_read),
                count(stage.tokens_generated),
                figure(stage.flops, ""),
                figure(stage.bytes, "B"),
                stage.memory.map_or_else(
                    || "–".to_owned(),
                    |bytes| si(bytes as f64, "B") + if fits(bytes) { "" } else { " !" },
                ),
                stage.seconds.map_or_else(|| "–".to_owned(), long),
                match (busy, stage.bandwidth_bound) {
                    (false, _) => "–".to_owned(),
                    (true, true) => "bandwidth".to_owned(),
                    (true, false) => "products".to_owned(),
                },
            ]);
        }
        let sum = |of: fn(&PlannedStage) -> f64| self.stages.iter().map(of).sum::<f64>();
        let tokens = |of: fn(&PlannedStage) -> Option<u64>| {
            Some(self.stages.iter().filter_map(of).sum::<u64>())
        };
        grid.push(vec![
            "total".to_owned(),
            count(tokens(|s| s.tokens_read)),
            count(tokens(|s| s.tokens_generated)),
            si(sum(|s| s.flops), ""),
            si(sum(|s| s.bytes), "B"),
            si(self.memory() as f64, "B"),
            long(self.seconds()),
            String::new(),
        ]);
        grid
    }
}

impl ModelFacts {
    fn lines(&self) -> String {
        let count = |n: u64| si(n as f64, "");
        let bytes = |n: u64| si(n as f64, "B");
        let encodings: Vec<String> = self
            .bytes
            .iter()
            .filter(|(name, _)| ["F32", "BF16", "Q8_0", "Q4_0", "Q4_K"].contains(&name.as_str()))
            .map(|(name, n)| format!("{name} {}", bytes(*n)))
            .collect();
        let head = if self.head == 0 {
            "head tied".to_owned()
        } else {
            format!("head {}", count(self.head))
        };
        let file = match self.file_bytes {
            Some(n) => format!("; its files {}", bytes(n)),
            None => String::new(),
        };
        let held = if self.stored {
            "as its file has it"
        } else {
            "as f32"
        };
        format!(
            "model     {}: {} parameters (embedding {}, linear layers {}, norms and biases {}, {head})\n\
             weights   {}{file}; held {held}\n\
             a token   {}FLOP forward, keys and values {}, {} kept in training\n",
            self.origin,
            count(self.parameters),
            count(self.embedding),
            count(self.linears),
            count(self.vectors),
            encodings.join(", "),
            si(self.forward_flops as f64, ""),
            bytes(self.kv_bytes),
            bytes(self.kept_bytes),
        )
    }
}

impl HardwareFacts {
    fn lines(&self) -> String {
        let unit = match (self.accelerators, self.units) {
            (true, 1) => "accelerator",
            (true, _) => "accelerators",
            (false, 1) => "core",
            (false, _) => "cores",
        };
        let [forward, decoding, training] = self.shares.map(|share| 100.0 * share);
        let mut lines = format!(
            "hardware  {}: {} {unit}, {}FLOP/s, {}/s, {} of memory\n\
             shares    of the rate of products: prompts and scores {forward:.0} %, decoding {decoding:.0} %, training {training:.0} %\n",
            self.name,
            self.units,
            si(self.flops, ""),
            si(self.bandwidth, "B"),
            si(self.memory, "B"),
        );
        if let Some(note) = &self.note {
            let _ = writeln!(lines, "note      {note}");
        }
        lines
    }
}
