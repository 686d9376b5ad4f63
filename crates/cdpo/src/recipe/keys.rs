//! The keys a recipe may have, and what an unknown one may have meant.

use cdpo_train::{Method, loss_settings, loss_settings_of};
use toml::{Table, Value};

const SECTIONS: &[(&str, &[&str])] = &[
    (
        "run",
        &["name", "dir", "seed", "seeds", "threads", "products"],
    ),
    ("model", &["path", "hub", "revision", "bos", "weights"]),
    (
        "data",
        &[
            "train",
            "test",
            "pairs",
            "format",
            "train_limit",
            "on_bad_row",
        ],
    ),
    (
        "data.columns",
        &["question", "answer", "id", "solution", "subject", "level"],
    ),
    (
        "prompt",
        &[
            "template",
            "framing",
            "shots",
            "exemplars",
            "question_prefix",
            "answer_prefix",
            "separator",
            "stop",
            "system",
            "instruction",
            "assistant_prefix",
            "date",
            "variables",
        ],
    ),
    (
        "sample",
        &[
            "n",
            "temperature",
            "top_p",
            "top_k",
            "max_new_tokens",
            "seed",
            "max_batch",
            "cache_mib",
            "kv",
        ],
    ),
    ("sample.server", SERVER),
    (
        "grade",
        &[
            "extraction",
            "percent_rule",
            "ordered_lists",
            "decimal_comma",
            "decimal_digits",
            "require_simplified",
        ],
    ),
    ("select", &["wrong_top_p", "seen_once"]),
    ("ce", &["ce_beta", "max_tokens"]),
    ("ce.lora", LORA),
    ("ce.train", TRAIN),
    ("train", &["few_shot"]),
    ("train", TRAIN),
    ("train.lora", LORA),
    (
        "rollout",
        &[
            "n",
            "of",
            "limit",
            "per_question",
            "longest",
            "keys",
            "sharing",
            "scores",
            "last_position",
            "early_stop",
            "max_tokens",
            "max_batch",
            "round",
            "replacements",
            "replacement_temperature",
            "replacement_top_p",
        ],
    ),
    (
        "eval",
        &["skip", "limit", "max_new_tokens", "samples", "max_batch"],
    ),
    ("eval.server", SERVER),
];

const SERVER: &[&str] = &[
    "kind",
    "urls",
    "model",
    "in_flight",
    "api_key_env",
    "timeout",
    "connect_timeout",
    "retries",
    "give_up",
    "allow_text",
    "allow_http",
];

const LORA: &[&str] = &["rank", "alpha", "dropout", "target_modules", "rslora"];

const TRAIN: &[&str] = &[
    "parameters",
    "learning_rate",
    "schedule",
    "warmup_steps",
    "warmup_ratio",
    "epochs",
    "max_steps",
    "batch_size",
    "accumulation",
    "weight_decay",
    "beta1",
    "beta2",
    "epsilon",
    "max_grad_norm",
    "max_prompt_tokens",
    "max_tokens",
    "seed",
    "checkpoint_every",
    "keep_checkpoints",
    "recompute",
];

/// Every key, dotted.
pub(super) fn all() -> Vec<String> {
    let mut keys = vec!["methods".to_owned()];
    let mut add = |section: &str, names: &[&str]| {
        keys.extend(names.iter().map(|name| format!("{section}.{name}")));
    };
    for (section, names) in SECTIONS {
        add(section, names);
    }
    add("train", &loss_settings().collect::<Vec<_>>());
    for method in Method::all() {
        let section = format!("train.{}", method.name());
        add(&section, TRAIN);
        add(&section, &loss_settings_of(method));
    }
    keys
}

/// Takes every key that is not known out of `table`, one fault for each.
pub(super) fn take_unknown(table: &mut Table, faults: &mut Vec<String>) {
    prune(table, "", &all(), faults);
}

fn prune(table: &mut Table, prefix: &str, known: &[String], faults: &mut Vec<String>) {
    let names: Vec<String> = table.keys().cloned().collect();
    for name in names {
        let path = format!("{prefix}{name}");
        if known.contains(&path) {
            continue;
        }
        let section = format!("{path}.");
        if known.iter().any(|key| key.starts_with(&section)) {
            if let Some(Value::Table(inner)) = table.get_mut(&name) {
                prune(inner, &section, known, faults);
            } else {
                faults.push(format!("{path}: a section is expected, [{path}]"));
                table.remove(&name);
            }
            continue;
        }
        table.remove(&name);
        let meant = closest(&path, known).map(|key| format!("; did you mean {key}?"));
        faults.push(format!("{path}: no such key{}", meant.unwrap_or_default()));
    }
}

fn closest<'k>(path: &str, known: &'k [String]) -> Option<&'k str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |key: &String| {
        // A right name in a wrong section is worth a hint, too.
        let tail = 0.9 * strsim::jaro_winkler(&last(path), &last(key));
        strsim::jaro_winkler(path, key).max(tail)
    };
    known
        .iter()
        .map(|key| (score(key), key))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > 0.8)
        .map(|(_, key)| key.as_str())
}
