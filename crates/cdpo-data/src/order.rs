//! One order of question ids for every file: runs of digits compare as numbers, so that `train/2` comes before `train/10`.

use std::cmp::Ordering;

/// Compares two ids: digit runs by value, everything else by byte; ties (`07` and `7`) by plain byte order, so the order is total.
pub fn by_id(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    loop {
        match (x.first(), y.first()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(p), Some(q)) if p.is_ascii_digit() && q.is_ascii_digit() => {
                let (m, n) = (digits(x), digits(y));
                let (left, right) = (trim_zeros(&x[..m]), trim_zeros(&y[..n]));
                let order = left.len().cmp(&right.len()).then_with(|| left.cmp(right));
                if order.is_ne() {
                    return order;
                }
                (x, y) = (&x[m..], &y[n..]);
            }
            (Some(p), Some(q)) => {
                if p != q {
                    return p.cmp(q);
                }
                (x, y) = (&x[1..], &y[1..]);
            }
        }
    }
}

/// Compares (question id, sample) keys.
pub fn by_id_and_sample(a: (&str, u32), b: (&str, u32)) -> Ordering {
    by_id(a.0, b.0).then(a.1.cmp(&b.1))
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn trim_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digit_runs_compare_as_numbers_and_the_order_is_total() {
        let sorted = ["a", "a/2", "a/10", "a/10/x", "a/010x", "b/1", "b/01"];
        assert_eq!(by_id("a/2", "a/10"), Ordering::Less);
        assert_eq!(by_id("a/10/x", "a/10"), Ordering::Greater);
        assert_eq!(
            by_id("b/1", "b/01"),
            Ordering::Greater,
            "equal values fall back to bytes"
        );
        assert_eq!(
            by_id("n99999999999999999999999", "n100000000000000000000000"),
            Ordering::Less
        );
        for a in sorted {
            for b in sorted {
                assert_eq!(by_id(a, b), by_id(b, a).reverse());
                assert_eq!(by_id(a, b).is_eq(), a == b);
            }
        }
    }
}
