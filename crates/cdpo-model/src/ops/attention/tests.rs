//! Forest attention: the composed form against finite differences, the kernels against the composed form.

use candle_core::{DType, Tensor};

use super::{Heads, Pattern, backward, forward};
use crate::forest::TokenForest;
use crate::ops::oracle::{bits, distance, draw, draw_both, finite_differences, values};

/// A prompt of 40 tokens with two responses, one of which branches again; a second, short tree; an empty segment. Paths
/// cross tile borders at several offsets.
fn forest(prompt: usize) -> TokenForest {
    let mut forest = TokenForest::new();
    let root = forest.push(&vec![0; prompt], None, 0);
    let left = forest.push(&[0; 7], Some(root), 0);
    let other = forest.push(&[0; 3], None, 1);
    let empty = forest.push(&[], Some(root), 0);
    forest.push(&[0; 5], Some(empty), 0);
    forest.push(&[0; 2], Some(left), 0);
    forest.push(&[0; 4], Some(left), 0);
    forest.push(&[0; 1], Some(other), 1);
    forest
}

const HEADS: Heads = Heads {
    query: 4,
    kv: 2,
    dim: 6,
};

fn shapes(rows: usize) -> [[usize; 2]; 3] {
    [
        [rows, HEADS.query * HEADS.dim],
        [rows, HEADS.kv * HEADS.dim],
        [rows, HEADS.kv * HEADS.dim],
    ]
}

#[test]
fn the_composed_backward_is_the_derivative_of_the_composed_forward() {
    let forest = forest(2);
    let pattern = Pattern::new(&forest);
    let [q, k, v] = [1, 2, 3].map(|i| draw(i, &shapes(forest.rows())[i as usize - 1]));
    let upstream = draw(4, &shapes(forest.rows())[0]);
    let attended = forward(&q, &k, &v, &pattern, HEADS).unwrap();
    let (dq, dk, dv) = backward(&upstream, &q, &k, &v, &attended, &pattern, HEADS).unwrap();
    let by_q = finite_differences(
        |q| Ok(forward(q, &k, &v, &pattern, HEADS)?.out),
        &q,
        &upstream,
    );
    let by_k = finite_differences(
        |k| Ok(forward(&q, k, &v, &pattern, HEADS)?.out),
        &k,
        &upstream,
    );
    let by_v = finite_differences(
        |v| Ok(forward(&q, &k, v, &pattern, HEADS)?.out),
        &v,
        &upstream,
    );
    for (name, got, expected) in [("q", dq, by_q), ("k", dk, by_k), ("v", dv, by_v)] {
        let off = distance(&values(&got), &expected);
        assert!(off < 1e-8, "d{name} is off by {off:e}");
    }
}

/// Rounding grows with the square root of the up to 53 keys and 6 to 16 dimensions summed: a few units of 6e-8.
#[test]
fn the_kernels_equal_the_composed_form() {
    for dim in [6, 16, 20] {
        let heads = Heads { dim, ..HEADS };
        let forest = forest(40);
        let pattern = Pattern::new(&forest);
        let n = forest.rows();
        let (q, q64) = draw_both(1, &[n, heads.query * dim]);
        let (k, k64) = draw_both(2, &[n, heads.kv * dim]);
        let (v, v64) = draw_both(3, &[n, heads.kv * dim]);
        let (up, up64) = draw_both(4, &[n, heads.query * dim]);
        // Sharp attention too: scores of a few tens.
        let (q, q64) = ((q * 10.0).unwrap(), (q64 * 10.0).unwrap());
        let got = forward(&q, &k, &v, &pattern, heads).unwrap();
        let expected = forward(&q64, &k64, &v64, &pattern, heads).unwrap();
        assert!(distance(&values(&got.out), &values(&expected.out)) < 2e-6);
        assert!(distance(&values(&got.lse), &values(&expected.lse)) < 1e-6);
        let (dq, dk, dv) = backward(&up, &q, &k, &v, &got, &pattern, heads).unwrap();
        let (eq, ek, ev) = backward(&up64, &q64, &k64, &v64, &expected, &pattern, heads).unwrap();
        for (name, got, expected) in [("q", dq, eq), ("k", dk, ek), ("v", dv, ev)] {
            let off = distance(&values(&got), &values(&expected));
            assert!(off < 5e-6, "d{name} is off by {off:e} at head size {dim}");
        }
    }
}

#[test]
fn the_composed_backward_equals_the_tensor_librarys_gradient() {
    let forest = forest(9);
    let pattern = Pattern::new(&forest);
    let [q, k, v] = [1, 2, 3].map(|i| {
        candle_core::Var::from_tensor(&draw(i, &shapes(forest.rows())[i as usize - 1])).unwrap()
    });
    let upstream = draw(4, &shapes(forest.rows())[0]);
    let attended = forward(q.as_tensor(), k.as_tensor(), v.as_tensor(), &pattern, HEADS).unwrap();
    let store = (&attended.out * &upstream)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    let (dq, dk, dv) = backward(
        &upstream,
        q.as_tensor(),
        k.as_tensor(),
        v.as_tensor(),
        &attended,
        &pattern,
        HEADS,
    )
    .unwrap();
    for (var, got) in [(&q, dq), (&k, dk), (&v, dv)] {
        assert!(distance(&values(&got), &values(store.get(var.as_tensor()).unwrap())) < 1e-12);
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_hangs_beside_it() {
    let heads = HEADS;
    let whole = forest(40);
    let n = whole.rows();
    let [q, k, v] = [1, 2, 3].map(|i| {
        draw(i, &shapes(n)[i as usize - 1])
            .to_dtype(DType::F32)
            .unwrap()
    });
    let all = forward(&q, &k, &v, &Pattern::new(&whole), heads).unwrap();
    // The path root -> left -> last child alone, as one segment.
    let rows: Vec<u32> = whole
        .path(crate::SegmentId(6))
        .iter()
        .flat_map(|&s| whole.segment(s).rows())
        .map(|r| r as u32)
        .collect();
    let index = Tensor::from_slice(&rows, rows.len(), q.device()).unwrap();
    let [q, k, v] = [&q, &k, &v].map(|x| x.index_select(&index, 0).unwrap());
    let mut line = TokenForest::new();
    line.push(&vec![0; rows.len()], None, 0);
    let alone = forward(&q, &k, &v, &Pattern::new(&line), heads).unwrap();
    assert_eq!(
        bits(&alone.out),
        bits(&all.out.index_select(&index, 0).unwrap())
    );
    assert_eq!(
        bits(&alone.lse),
        bits(&all.lse.index_select(&index, 0).unwrap())
    );
}

#[test]
fn no_row_reads_a_key_outside_its_path() {
    let forest = forest(40);
    let pattern = Pattern::new(&forest);
    let [q, k, v] = [1, 2, 3].map(|i| {
        draw(i, &shapes(forest.rows())[i as usize - 1])
            .to_dtype(DType::F32)
            .unwrap()
    });
    let before = forward(&q, &k, &v, &pattern, HEADS).unwrap();
    // Change a value of segment 5 (left's first child): only its own later rows may change.
    let changed = forest.segment(crate::SegmentId(5)).first_row;
    let mut host: Vec<f32> = v.flatten_all().unwrap().to_vec1().unwrap();
    host[changed * HEADS.kv * HEADS.dim] += 1.0;
    let v = Tensor::from_vec(host, v.shape(), v.device()).unwrap();
    let after = forward(&q, &k, &v, &pattern, HEADS).unwrap();
    let (before, after) = (
        before.out.to_vec2::<f32>().unwrap(),
        after.out.to_vec2::<f32>().unwrap(),
    );
    for (row, (b, a)) in before.iter().zip(&after).enumerate() {
        let sees = forest.segment(crate::SegmentId(5)).rows().contains(&row);
        assert_eq!(b != a, sees, "row {row}");
    }
}
