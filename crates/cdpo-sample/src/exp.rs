//! The exponential of non-positive `f32` numbers, in plain arithmetic that vectorises and gives the same bits on every
//! machine (no library call, no fused multiply-add).

/// Below this the result is zero: `e^-87` is about the smallest normal `f32`.
const FLOOR: f32 = -87.0;

/// `e^x` for `x <= 0`; zero below -87. The relative error is under 1.5e-7.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, `e^r` by its Taylor polynomial of degree 7 (remainder under 6e-9), and
/// `2^n` through the exponent bits.
#[inline]
pub(crate) fn exp_nonpositive(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts: the first has few enough bits that n times it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.max(FLOOR);
    let n = (clamped * LOG2_E + ROUND) - ROUND;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    let scale = f32::from_bits(
        (((n + ROUND).to_bits() & 0x007f_ffff)
            .wrapping_sub(0x0040_0000)
            .wrapping_add(127))
            << 23,
    );
    if x < FLOOR { 0.0 } else { p * scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_within_1_5e_7_of_the_true_exponential() {
        let mut worst = 0.0f64;
        for i in 0..=870_000 {
            let x = -(i as f32) * 1e-4;
            let want = f64::from(x).exp();
            worst = worst.max((f64::from(exp_nonpositive(x)) / want - 1.0).abs());
        }
        assert!(worst < 1.5e-7, "relative error {worst}");
    }

    #[test]
    fn the_ends_are_exact() {
        assert_eq!(exp_nonpositive(0.0), 1.0);
        assert_eq!(exp_nonpositive(-87.5), 0.0);
        assert_eq!(exp_nonpositive(f32::NEG_INFINITY), 0.0);
    }
}
