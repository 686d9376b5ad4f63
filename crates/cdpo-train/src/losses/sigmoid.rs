//! The logistic preference term: log-sigmoid in its stable form, label smoothing, and the slope.

/// `log(1 / (1 + exp(-x)))`, without overflow or loss of digits for any finite `x`.
pub(crate) fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// `1 / (1 + exp(-x))`, without overflow.
pub(crate) fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x >= 0.0 {
        1.0 / (1.0 + e)
    } else {
        e / (1.0 + e)
    }
}

/// Value and slope of the smoothed logistic loss at a margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Preference {
    /// The loss.
    pub loss: f64,
    /// `d loss / d margin`.
    pub slope: f64,
}

/// `-(1 - eps) log sigmoid(m) - eps log sigmoid(-m)` with `eps = label_smoothing`, the probability that the label is
/// flipped (Mitchell 2023, "conservative DPO"); `eps = 0` is the logistic loss of DPO.
pub(crate) fn preference(margin: f64, label_smoothing: f64) -> Preference {
    let kept = 1.0 - label_smoothing;
    Preference {
        loss: -kept * log_sigmoid(margin) - label_smoothing * log_sigmoid(-margin),
        slope: -kept * sigmoid(-margin) + label_smoothing * sigmoid(margin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_sigmoid_keeps_its_digits_at_both_ends() {
        assert_eq!(log_sigmoid(0.0), -std::f64::consts::LN_2);
        assert_eq!(log_sigmoid(-1000.0), -1000.0);
        // log sigmoid(40) = -exp(-40) to 17 digits; a naive ln(1/(1+exp(-40))) gives -0.
        assert!((log_sigmoid(40.0) / -(-40f64).exp() - 1.0).abs() < 1e-15);
        for x in [-3.0, -0.5, 0.1, 2.0] {
            assert!((log_sigmoid(x) - (1.0 / (1.0 + (-x).exp())).ln()).abs() < 1e-15);
        }
    }

    #[test]
    fn slope_is_the_derivative() {
        for eps in [0.0, 0.1, 0.3] {
            for m in [-5.0, -0.3, 0.0, 0.7, 4.0] {
                let h = 1e-6;
                let numeric =
                    (preference(m + h, eps).loss - preference(m - h, eps).loss) / (2.0 * h);
                assert!(
                    (preference(m, eps).slope - numeric).abs() < 1e-9,
                    "eps {eps}, margin {m}"
                );
            }
        }
    }

    #[test]
    fn no_smoothing_is_the_plain_logistic_loss() {
        for m in [-2.0, 0.0, 3.0] {
            assert_eq!(preference(m, 0.0).loss, -log_sigmoid(m));
        }
    }
}
