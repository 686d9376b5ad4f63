//! Gold answers that are numbers keep the digits that the file has.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use cdpo_data::problems::read;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType,
    Int32Type, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::problems::options;
use crate::text_file;

/// The gold answers of a file.
fn golds(path: &PathBuf) -> Vec<String> {
    let (problems, _) = read(path, &options()).unwrap();
    problems.into_iter().map(|p| p.answer).collect()
}

#[test]
fn a_json_number_is_the_gold_answer_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let written = [
        "18446744073709551617",
        "15511210043330985984000000",
        "-9007199254740993",
        "0.1",
        "0.10",
        "1e3",
        "3.14159265358979323846264338327950288",
        "1E400",
        "-0",
    ];
    let row = |n| format!("{{\"question\": \"q\", \"answer\": {n}}}");
    let rows = written.map(row).join("\n");
    assert_eq!(golds(&text_file(dir.path(), "t.jsonl", &rows)), written);
}

#[test]
fn what_is_no_json_number_is_refused_and_not_made_one() {
    let dir = tempfile::tempdir().unwrap();
    for written in ["NaN", "Infinity", "01", "+1", ".5", "1,000", "0x10"] {
        let row = format!("{{\"question\": \"q\", \"answer\": {written}}}\n");
        let error = read(text_file(dir.path(), "t.jsonl", &row), &options()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("t.jsonl:1: not JSON"), "{error}");
    }
}

/// A file of questions whose answers are one Parquet column of the given type.
fn parquet_file<T: DataType>(answer: &str, values: &[T::T]) -> (tempfile::TempDir, PathBuf) {
    let schema =
        format!("message schema {{ required binary question (UTF8); required {answer}; }}");
    let schema = parse_message_type(&schema).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let file = File::create(&path).unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let questions: Vec<ByteArray> = (0..values.len())
        .map(|i| format!("q{i}").as_str().into())
        .collect();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<ByteArrayType>()
        .write_batch(&questions, None, None)
        .unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    (dir, path)
}

#[test]
fn a_parquet_number_is_the_gold_answer_in_its_own_width() {
    let of = |(dir, path): (tempfile::TempDir, PathBuf)| {
        let found = golds(&path);
        drop(dir);
        found
    };
    let floats = parquet_file::<FloatType>(
        "float answer",
        &[0.1, 3.0, 1.0 / 3.0, 16_777_216.0, -2.5e-7],
    );
    assert_eq!(
        of(floats),
        ["0.1", "3.0", "0.33333334", "16777216.0", "-2.5e-7"]
    );
    let doubles = parquet_file::<DoubleType>("double answer", &[0.1, 0.1 + 0.2, 5.0, 1e300]);
    assert_eq!(of(doubles), ["0.1", "0.30000000000000004", "5.0", "1e300"]);
    let longs = parquet_file::<Int64Type>("int64 answer", &[i64::MAX, -9_007_199_254_740_993]);
    assert_eq!(of(longs), ["9223372036854775807", "-9007199254740993"]);
    let unsigned = parquet_file::<Int64Type>("int64 answer (INTEGER(64, false))", &[-1]);
    assert_eq!(of(unsigned), ["18446744073709551615"]);
    let decimals = parquet_file::<Int32Type>("int32 answer (DECIMAL(9, 2))", &[1050, -5, 0]);
    assert_eq!(of(decimals), ["10.50", "-0.05", "0.00"]);
    // 25! takes 84 bits.
    let factorial = (1..=25_u128).product::<u128>();
    let bytes = ByteArray::from(factorial.to_be_bytes().to_vec());
    let wide = parquet_file::<ByteArrayType>("binary answer (DECIMAL(38, 0))", &[bytes]);
    assert_eq!(of(wide), ["15511210043330985984000000"]);
    let halves: Vec<_> = [0x2e66_u16, 0x3c00, 0x3555]
        .map(|bits| ByteArray::from(bits.to_le_bytes().to_vec()).into())
        .into();
    let halves =
        parquet_file::<FixedLenByteArrayType>("fixed_len_byte_array(2) answer (FLOAT16)", &halves);
    assert_eq!(of(halves), ["0.1", "1.0", "0.3333"]);
}

#[test]
fn a_parquet_number_that_is_none_and_a_truth_are_refused() {
    let (_dir, path) = parquet_file::<DoubleType>("double answer", &[f64::NAN]);
    let error = read(&path, &options()).unwrap_err().to_string();
    assert!(
        error.contains("the answer is empty (column \"answer\"): a string or a number is expected"),
        "{error}"
    );
    let (_dir, path) = parquet_file::<BoolType>("boolean answer", &[true]);
    let error = read(&path, &options()).unwrap_err().to_string();
    assert!(
        error.contains("is true or false: a string or a number is expected"),
        "{error}"
    );
}
