//! What settings mean and which are refused.

use crate::{Decay, Length, Method, TrainSettings, WarmUp};

#[test]
fn settings_left_out_are_the_papers() {
    let cdpo = TrainSettings::default().validate().unwrap();
    assert_eq!(
        (cdpo.method, cdpo.loss.gamma, cdpo.learning_rate),
        (Method::CDPO, 1.0, 4e-5)
    );
    assert_eq!(
        (cdpo.batch_size, cdpo.accumulation, cdpo.adamw.weight_decay),
        (2, 4, 0.01)
    );
    assert_eq!(
        (cdpo.warmup, cdpo.length),
        (WarmUp::Ratio(0.1), Length::Epochs(3.0))
    );
    assert_eq!(
        TrainSettings::of(Method::DPO)
            .validate()
            .unwrap()
            .learning_rate,
        2e-5
    );
    let sft = TrainSettings::of(Method::SFT).validate().unwrap();
    assert_eq!(
        (sft.learning_rate, sft.decay, sft.batch_size),
        (3e-4, Decay::Cosine, 6)
    );
    assert_eq!(
        (sft.warmup, sft.length),
        (WarmUp::Steps(100), Length::Epochs(1.0))
    );
}

#[test]
fn all_faults_are_reported_together() {
    let settings = TrainSettings {
        method: Method::SFT,
        gamma: Some(-1.0),
        learning_rate: Some(f64::NAN),
        warmup_steps: Some(3),
        warmup_ratio: Some(1.0),
        batch_size: Some(0),
        max_tokens: Some(100),
        max_prompt_tokens: Some(100),
        ..TrainSettings::default()
    };
    let text = settings.validate().unwrap_err().to_string();
    for part in [
        "gamma must be greater than 0, not -1",
        "learning_rate must be greater than 0, not NaN",
        "warmup_ratio must lie in [0, 1), not 1",
        "batch_size must be at least 1",
        "keep one",
        "gamma has no meaning for method sft",
        "max_tokens (100) must be greater than max_prompt_tokens (100)",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn a_warmup_that_is_no_shorter_than_the_run_is_refused_at_once() {
    let settings = |warmup_steps| TrainSettings {
        max_steps: Some(50),
        warmup_steps,
        ..TrainSettings::of(Method::SFT)
    };
    let fault = |settings: TrainSettings| settings.validate().unwrap_err().to_string();
    let own = fault(settings(Some(50)));
    assert!(
        own.contains("warmup_steps (50) must be less than max_steps (50)"),
        "{own}"
    );
    let left_out = fault(settings(None));
    assert!(
        left_out.contains("warmup_steps (100 by default) must be"),
        "{left_out}"
    );
    assert!(settings(Some(49)).validate().is_ok());
}

#[test]
fn an_unknown_setting_is_refused() {
    let error = serde_json::from_str::<TrainSettings>(r#"{"method": "cdpo", "lerning_rate": 1}"#)
        .unwrap_err();
    assert!(
        error.to_string().contains("unknown field `lerning_rate`"),
        "{error}"
    );
}

#[test]
fn resolved_settings_mean_the_same() {
    for method in Method::all() {
        let checked = TrainSettings {
            max_tokens: Some(300),
            ..TrainSettings::of(method)
        }
        .validate()
        .unwrap();
        let resolved = checked.resolved();
        let text = serde_json::to_string(&resolved).unwrap();
        let read: TrainSettings = serde_json::from_str(&text).unwrap();
        let again = read.validate().unwrap();
        // A limit above max_tokens never applies, so it is not written.
        assert_eq!(
            crate::settings::Checked {
                max_prompt_tokens: 511,
                ..again
            },
            checked
        );
    }
}

#[test]
fn a_warmup_ratio_is_rounded_up_as_in_transformers() {
    let checked = TrainSettings::default().validate().unwrap();
    assert_eq!(checked.schedule(11).warmup_steps, 2);
    assert_eq!(checked.schedule(10).warmup_steps, 1);
}

#[test]
fn a_warmup_ratio_leaves_the_last_step_out() {
    assert_eq!(
        TrainSettings::default()
            .validate()
            .unwrap()
            .schedule(1)
            .warmup_steps,
        0
    );
}

#[test]
fn a_loss_takes_its_own_settings_and_refuses_the_others() {
    let read = |text: &str| serde_json::from_str::<TrainSettings>(text).unwrap();
    for text in [
        r#"{"method": "ipo", "ipo_tau": 0.2, "ipo_per_token": false, "sft_term": 0.5}"#,
        r#"{"method": "simpo", "simpo_beta": 2.5, "simpo_margin": 0, "label_smoothing": 0.1}"#,
        r#"{"method": "dpop", "dpop_lambda": 5, "gamma": 0.3}"#,
        r#"{"method": "sft+tdpo2", "tdpo_alpha": 0.7}"#,
        r#"{"method": "tis-dpo", "tis_low": -2, "tis_high": 2.5, "tis_floor": 0.5, "tis_ceiling": 1.75}"#,
        r#"{"method": "tis-dpo", "tis_form": "exponential", "tis_mu": 0.5}"#,
    ] {
        // What is resolved and read again is what was typed, not the defaults.
        let checked = read(text).validate().unwrap();
        let resolved = serde_json::to_string(&checked.resolved()).unwrap();
        assert_eq!(read(&resolved).validate().unwrap(), checked, "{resolved}");
        let plain = TrainSettings::of(checked.method).validate().unwrap();
        assert_ne!(
            (checked.loss, checked.sft_term),
            (plain.loss, plain.sft_term)
        );
    }
    for (text, part) in [
        (
            r#"{"method": "ipo", "gamma": 1}"#,
            "gamma has no meaning for method ipo",
        ),
        (
            r#"{"method": "ipo", "label_smoothing": 0.1}"#,
            "label_smoothing has no",
        ),
        (
            r#"{"method": "simpo", "gamma": 1}"#,
            "gamma has no meaning for method simpo",
        ),
        (
            r#"{"method": "tdpo1", "tdpo_alpha": 1}"#,
            "tdpo_alpha has no meaning for method tdpo1",
        ),
        (
            r#"{"method": "cdpo", "dpop_lambda": 1}"#,
            "dpop_lambda has no",
        ),
        (
            r#"{"method": "dpo", "ipo_per_token": true}"#,
            "ipo_per_token has no",
        ),
        (
            r#"{"method": "dpo", "tis_form": "linear"}"#,
            "tis_form has no",
        ),
        (
            r#"{"method": "dpop", "dpop_lambda": -1}"#,
            "dpop_lambda must be at least 0, not -1",
        ),
        (
            r#"{"method": "tis-dpo", "tis_low": 2}"#,
            "tis_low (2) must be less than tis_high (1.5)",
        ),
        (
            r#"{"method": "tis-dpo", "tis_mu": 2}"#,
            "tis_mu has no meaning for tis_form = \"linear\"",
        ),
        (
            r#"{"method": "tis-dpo", "tis_form": "exponential", "tis_floor": 0.5}"#,
            "tis_floor has no meaning for tis_form = \"exponential\"",
        ),
        (
            r#"{"method": "tis-dpo", "tis_floor": 1.4}"#,
            "must not be greater than tis_ceiling",
        ),
    ] {
        let error = read(text).validate().unwrap_err().to_string();
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    let rpo = read(r#"{"method": "rpo"}"#).validate().unwrap();
    assert_eq!((rpo.sft_term, rpo.learning_rate), (1.0, 2e-5));
    assert!(serde_json::from_str::<TrainSettings>(r#"{"method": "orpo"}"#).is_err());
}
