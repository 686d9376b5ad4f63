//! Small Parquet files of string columns, as data set hubs publish them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// Every compression that is read.
pub(crate) fn codecs() -> [Compression; 7] {
    [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ]
}

/// Writes optional UTF-8 columns (`None` is null), and a column `rank` of integers counting from 0, in groups of 2 rows.
pub(crate) fn write(
    dir: &Path,
    name: &str,
    columns: &[&str],
    rows: &[Vec<Option<&str>>],
    compression: Compression,
) -> PathBuf {
    let fields: Vec<String> = columns
        .iter()
        .map(|c| format!("optional binary {c} (UTF8);"))
        .collect();
    let schema = format!(
        "message schema {{ {} required int64 rank; }}",
        fields.join(" ")
    );
    let schema = parse_message_type(&schema).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .build();
    let path = dir.join(name);
    let mut writer = SerializedFileWriter::new(
        File::create(&path).unwrap(),
        Arc::new(schema),
        Arc::new(properties),
    )
    .unwrap();
    for (g, group) in rows.chunks(2).enumerate() {
        let mut out = writer.next_row_group().unwrap();
        for c in 0..columns.len() {
            let mut column = out.next_column().unwrap().unwrap();
            let cells = group.iter().map(|row| row[c]);
            let values: Vec<ByteArray> = cells.clone().flatten().map(ByteArray::from).collect();
            let present: Vec<i16> = cells.map(|cell| i16::from(cell.is_some())).collect();
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, Some(&present), None)
                .unwrap();
            column.close().unwrap();
        }
        let mut column = out.next_column().unwrap().unwrap();
        let ranks: Vec<i64> = (0..group.len()).map(|i| (2 * g + i) as i64).collect();
        column
            .typed::<Int64Type>()
            .write_batch(&ranks, None, None)
            .unwrap();
        column.close().unwrap();
        out.close().unwrap();
    }
    writer.close().unwrap();
    path
}

/// Writes a row whose columns `prompt`, `chosen` and `rejected` are lists of one message, about the sky.
pub(crate) fn write_messages(dir: &Path, name: &str) -> PathBuf {
    let column = |name: &str| {
        format!(
            "optional group {name} (LIST) {{ repeated group list {{ optional group element {{ optional binary role (UTF8); \
             optional binary content (UTF8); }} }} }}"
        )
    };
    let columns = ["prompt", "chosen", "rejected"].map(column).concat();
    let schema = parse_message_type(&format!("message schema {{ {columns} }}")).unwrap();
    let path = dir.join(name);
    let file = File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::default()).unwrap();
    let mut out = writer.next_row_group().unwrap();
    for cell in ["user", "Sky?", "assistant", "Blue.", "assistant", "Green."] {
        let mut column = out.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&[ByteArray::from(cell)], Some(&[4]), Some(&[0]))
            .unwrap();
        column.close().unwrap();
    }
    out.close().unwrap();
    writer.close().unwrap();
    path
}
