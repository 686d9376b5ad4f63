//! Every encoding against the values that the `gguf` Python package gives for the same bytes
//! (`tests/fixtures/gguf/blocks.safetensors`, made by `scripts/make_gguf_fixtures.py`).

use safetensors::SafeTensors;

use half::{bf16, f16};

use super::{Encoding, decode_rows};

fn fixture() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/gguf/blocks.safetensors"
    );
    std::fs::read(path).expect("the fixture is committed")
}

#[test]
fn every_block_type_decodes_to_the_gguf_packages_values() {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    for (_, encoding, name) in Encoding::ALL {
        if encoding == Encoding::F32 {
            continue;
        }
        let raw = file.tensor(&format!("{name}.raw")).expect(name);
        let values = file.tensor(&format!("{name}.values")).expect(name);
        let expected: Vec<f32> = values
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        assert_eq!(
            encoding.bytes(expected.len()),
            Some(raw.data().len()),
            "{name}"
        );
        assert!(expected.iter().any(|x| *x != 0.0), "{name}");
        let mut found = vec![0.0; expected.len()];
        encoding.decode(raw.data(), &mut found);
        assert!(encoding.all_finite(raw.data()), "{name}");
        for (i, (x, y)) in found.iter().zip(&expected).enumerate() {
            // The same f32 operations in the same order: no rounding may differ.
            assert!(
                x.to_bits() == y.to_bits() || (*x == 0.0 && *y == 0.0),
                "{name}[{i}]: {x} is not {y}"
            );
        }
    }
}

#[test]
fn rows_lie_in_their_order_whatever_the_pieces() {
    // More than one parallel piece.
    let (rows, row_len) = (300, 512);
    let value = |row: usize, column: usize| (row * row_len + column) as f32;
    let found = decode_rows("w", (rows, row_len), |row, out| {
        for (column, y) in out.iter_mut().enumerate() {
            *y = value(row, column);
        }
    });
    let expected: Vec<f32> = (0..rows * row_len).map(|i| i as f32).collect();
    assert_eq!(found.expect("finite"), expected);
}

#[test]
fn a_value_that_is_not_finite_is_an_error_that_names_its_place() {
    for (bad, shown) in [
        (f32::NAN, "NaN"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ] {
        let decode = |row: usize, out: &mut [f32]| {
            // The largest finite values pass.
            out.fill(f32::MIN);
            if row == 2 {
                out[123] = bad;
            }
        };
        let error = decode_rows("model.norm.weight", (4, 40_000), decode)
            .expect_err("not finite")
            .to_string();
        assert!(
            error.contains("`model.norm.weight`") && error.contains("[2, 123]"),
            "{error}"
        );
        assert!(error.contains(shown), "{error}");
    }
}

#[test]
fn what_is_not_finite_is_seen_without_decoding() {
    for (_, encoding, name) in Encoding::ALL {
        let (len, size) = encoding.block();
        let at: Vec<(usize, Vec<u8>)> = match encoding {
            Encoding::F32 => vec![(0, f32::NAN.to_le_bytes().to_vec())],
            Encoding::Bf16 => vec![(0, bf16::INFINITY.to_le_bytes().to_vec())],
            Encoding::F16 => vec![(0, f16::NEG_INFINITY.to_le_bytes().to_vec())],
            blocks => {
                let bad = f16::NAN.to_le_bytes().to_vec();
                blocks
                    .scales()
                    .iter()
                    .map(|&at| (at, bad.clone()))
                    .collect()
            }
        };
        let mut bytes = vec![0u8; 300 * size];
        assert!(encoding.all_finite(&bytes), "{name}");
        for (at, bad) in at {
            let before = bytes.clone();
            bytes[299 * size + at..][..bad.len()].copy_from_slice(&bad);
            assert!(!encoding.all_finite(&bytes), "{name}");
            // The other way round: a bad scale is one that decoding turns into a bad element.
            let mut decoded = vec![0.0; 300 * len];
            encoding.decode(&bytes, &mut decoded);
            assert!(decoded.iter().any(|x| !x.is_finite()), "{name}");
            bytes = before;
        }
        // The largest values of an encoding are finite.
        if let Encoding::F32 | Encoding::Bf16 | Encoding::F16 = encoding {
            continue;
        }
        let mut bytes = vec![0xffu8; size];
        for &at in encoding.scales() {
            bytes[at..at + 2].copy_from_slice(&f16::MAX.to_le_bytes());
        }
        let mut decoded = vec![0.0; len];
        encoding.decode(&bytes, &mut decoded);
        assert!(decoded.iter().all(|x| x.is_finite()), "{name}");
    }
}

#[test]
fn a_number_of_elements_that_is_no_whole_number_of_blocks_has_no_size() {
    assert_eq!(Encoding::Q4K.bytes(256), Some(144));
    assert_eq!(Encoding::Q4K.bytes(128), None);
    assert_eq!(Encoding::Q8_0.bytes(33), None);
    assert_eq!(Encoding::F32.bytes(usize::MAX), None);
}

#[test]
fn every_f16_keeps_its_value() {
    for bits in 0..=u16::MAX {
        let (got, expected) = (super::widened(bits), f16::from_bits(bits).to_f32());
        assert!(
            got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan()),
            "{bits:#06x}: {got} for {expected}"
        );
    }
}
