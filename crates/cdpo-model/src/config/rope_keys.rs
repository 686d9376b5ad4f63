//! The rotary settings of a `config.json`, in both of their spellings, by allow-list.
//!
//! Goes in: the file's fields. Comes out: theta and a [`RopeScaling`], as `transformers` 5 reads them; faults go to the fields.

use serde_json::Value;

use super::RopeScaling;
use super::fields::Fields;
use super::keys::says_nothing;

/// What every type may have.
const COMMON: &[&str] = &["rope_theta", "rope_type", "type", "partial_rotary_factor"];

/// The types that are computed, each with its keys. `finetuned` is a note of the first YaRN models that no program reads.
const TYPES: &[(&str, &[&str])] = &[
    ("default", &[]),
    ("linear", &["factor"]),
    ("dynamic", &["factor", "original_max_position_embeddings"]),
    (
        "llama3",
        &[
            "factor",
            "low_freq_factor",
            "high_freq_factor",
            "original_max_position_embeddings",
        ],
    ),
    (
        "yarn",
        &[
            "factor",
            "original_max_position_embeddings",
            "attention_factor",
            "beta_fast",
            "beta_slow",
            "mscale",
            "mscale_all_dim",
            "truncate",
            "finetuned",
        ],
    ),
];

/// Theta and scaling. `rope_scaling` wins over `rope_parameters` unless it is empty, and theta stands in the one that is taken, or
/// else beside it: as in `transformers`.
pub(super) fn read(fields: &mut Fields<'_>, max_positions: usize) -> (f64, RopeScaling) {
    let theta = fields.number("rope_theta", 10_000.0);
    let says = |name: &str| {
        fields
            .get(name)
            .filter(|value| !says_nothing(value))
            .cloned()
    };
    let (older, newer) = (says("rope_scaling"), says("rope_parameters"));
    let hidden_theta = match (&older, &newer) {
        (Some(_), Some(newer)) => newer.get("rope_theta").and_then(Value::as_f64),
        _ => None,
    };
    // Beside the settings it counts before what is within them.
    let beside = "original_max_position_embeddings";
    let original = fields.get(beside).is_some();
    let original = original.then(|| fields.size(beside, None));
    let Some(settings) = older.or(newer) else {
        return (theta, RopeScaling::None);
    };
    let Value::Object(map) = settings else {
        fields.faults.push(format!(
            "the rope settings are {settings}, expected an object"
        ));
        return (theta, RopeScaling::None);
    };
    let mut inner = Fields {
        map: &map,
        faults: Vec::new(),
    };
    let theta = inner.number("rope_theta", theta);
    if let Some(hidden) = hidden_theta.filter(|hidden| *hidden != theta) {
        inner.faults.push(format!(
            "rope_scaling hides rope_parameters, whose rope_theta is {hidden} where {theta} would count; keep one of the two, with \
             rope_theta in it"
        ));
    }
    let rotary = inner.number("partial_rotary_factor", 1.0);
    inner.refuse(rotary != 1.0, || {
        format!("partial_rotary_factor is {rotary}: only 1 is supported")
    });
    let scaling = scaling(&mut inner, original, max_positions);
    let faults = inner.faults.into_iter();
    fields
        .faults
        .extend(faults.map(|f| format!("rope scaling: {f}")));
    (theta, scaling)
}

/// The scaling that the settings name.
fn scaling(inner: &mut Fields<'_>, original: Option<usize>, max_positions: usize) -> RopeScaling {
    let kind = inner.get("rope_type").or_else(|| inner.get("type"));
    let kind = kind.map(|kind| kind.as_str().map_or(kind.to_string(), str::to_owned));
    let bare = inner
        .map
        .iter()
        .all(|(key, value)| COMMON.contains(&key.as_str()) || says_nothing(value));
    let name = match kind {
        Some(name) => name,
        None if bare => "default".into(),
        None => "(none given)".into(),
    };
    let Some((_, own)) = TYPES.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = TYPES.iter().map(|(known, _)| *known).collect();
        inner.faults.push(format!(
            "type `{name}` is not supported; known are {}",
            known.join(", ")
        ));
        return RopeScaling::None;
    };
    for (key, value) in inner.map {
        let known = COMMON.contains(&key.as_str()) || own.contains(&key.as_str());
        if !known && !says_nothing(value) {
            inner.faults.push(format!(
                "{key} is {value}, which type `{name}` does not have"
            ));
        }
    }
    let original = |inner: &mut Fields<'_>| match original {
        Some(original) => original,
        None => inner.size("original_max_position_embeddings", Some(max_positions)),
    };
    match name.as_str() {
        "linear" => RopeScaling::Linear {
            factor: inner.required("factor"),
        },
        "dynamic" => {
            let original = original(inner);
            inner.refuse(original != max_positions, || {
                format!(
                    "type `dynamic` has the original context {original} beside max_position_embeddings {max_positions}, and programs \
                     differ on which counts; make them equal"
                )
            });
            RopeScaling::Dynamic {
                factor: inner.required("factor"),
            }
        }
        "llama3" => RopeScaling::Llama3 {
            factor: inner.required("factor"),
            low_freq_factor: inner.required("low_freq_factor"),
            high_freq_factor: inner.required("high_freq_factor"),
            original_max_position: original(inner),
        },
        "yarn" => yarn(inner, original),
        _ => RopeScaling::None,
    }
}

fn yarn(inner: &mut Fields<'_>, original: impl Fn(&mut Fields<'_>) -> usize) -> RopeScaling {
    let factor = inner.required("factor");
    // A zero counts as absent, as in transformers.
    let mut or = |name: &str, default: f64| match inner.number(name, default) {
        0.0 => default,
        x => x,
    };
    let (beta_fast, beta_slow) = (or("beta_fast", 32.0), or("beta_slow", 1.0));
    let (mscale, mscale_all_dim) = (or("mscale", 0.0), or("mscale_all_dim", 0.0));
    let growth = |mscale: f64| {
        if factor <= 1.0 {
            1.0
        } else {
            0.1 * mscale * factor.ln() + 1.0
        }
    };
    let own = if mscale != 0.0 && mscale_all_dim != 0.0 {
        growth(mscale) / growth(mscale_all_dim)
    } else {
        growth(1.0)
    };
    let null = inner.map.get("truncate").is_some_and(Value::is_null);
    inner.refuse(null, || "truncate is null, expected true or false".into());
    RopeScaling::Yarn {
        factor,
        beta_fast,
        beta_slow,
        original_max_position: original(inner),
        attention_factor: inner.number("attention_factor", own),
        truncate: inner.flag("truncate", true),
    }
}
