//! Every encoding against the values that the `gguf` Python package gives for the same bytes
//! (`tests/fixtures/gguf/blocks.safetensors`, made by `scripts/make_gguf_fixtures.py`).

use safetensors::SafeTensors;

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
        let found =
            decode_rows(name, encoding, raw.data(), (1, expected.len()), |r| r).expect(name);
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
fn rows_are_taken_in_the_order_asked_for_whatever_the_pieces() {
    // More than one parallel piece, rows reversed.
    let (rows, row_len) = (300, 512);
    let values: Vec<f32> = (0..rows * row_len).map(|i| i as f32).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let found = decode_rows("w", Encoding::F32, &bytes, (rows, row_len), |r| {
        rows - 1 - r
    })
    .expect("finite");
    for (r, row) in found.chunks(row_len).enumerate() {
        assert_eq!(
            row,
            &values[(rows - 1 - r) * row_len..][..row_len],
            "row {r}"
        );
    }
}

#[test]
fn a_value_that_is_not_finite_is_an_error_that_names_its_place() {
    for (bad, shown) in [
        (f32::NAN, "NaN"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ] {
        let mut values = vec![1.0f32; 4 * 40_000];
        values[2 * 40_000 + 123] = bad;
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let error = decode_rows(
            "model.norm.weight",
            Encoding::F32,
            &bytes,
            (4, 40_000),
            |r| r,
        )
        .expect_err("not finite")
        .to_string();
        assert!(
            error.contains("`model.norm.weight`") && error.contains("[2, 123]"),
            "{error}"
        );
        assert!(error.contains(shown), "{error}");
    }
    // The largest finite values pass.
    let bytes: Vec<u8> = [f32::MAX, f32::MIN, 0.0, -0.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    assert!(decode_rows("w", Encoding::F32, &bytes, (1, 4), |r| r).is_ok());
}

#[test]
fn a_number_of_elements_that_is_no_whole_number_of_blocks_has_no_size() {
    assert_eq!(Encoding::Q4K.bytes(256), Some(144));
    assert_eq!(Encoding::Q4K.bytes(128), None);
    assert_eq!(Encoding::Q8_0.bytes(33), None);
    assert_eq!(Encoding::F32.bytes(usize::MAX), None);
}
