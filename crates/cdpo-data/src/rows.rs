//! Rows of a table as named cells, from JSON Lines or Parquet: the common ground of the problem and preference readers.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use crate::cell::{Cell, Columns, json_row};
use crate::lines::Lines;
use crate::{Error, Result};

/// The rows of one file, in file order.
pub(crate) struct Rows {
    source: Source,
}

enum Source {
    Json(Lines),
    Parquet {
        path: PathBuf,
        rows: RowIter<'static>,
        next: usize,
    },
}

/// A row with its line (from 1; in Parquet the row), or the reason why it cannot be read.
pub(crate) type NumberedRow = (usize, std::result::Result<Columns, String>);

impl Rows {
    /// Whether the file is Parquet, whatever its name.
    pub(crate) fn is_parquet(&self) -> bool {
        matches!(self.source, Source::Parquet { .. })
    }

    /// Opens a file, Parquet if it begins with Parquet's mark, JSON Lines otherwise. Of a Parquet file only the columns for
    /// which `wanted` holds are read; JSON rows come whole.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] for a JSON array, an empty file, a broken Parquet file, or one with no wanted column.
    pub(crate) fn open(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let source = match kind(path)? {
            Kind::Parquet => Source::Parquet {
                path: path.to_path_buf(),
                rows: parquet_rows(path, wanted)?,
                next: 1,
            },
            Kind::Json => Source::Json(Lines::open(path)?),
        };
        Ok(Self { source })
    }

    /// The next row, or none at the end.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Row`] for a broken Parquet page. A JSON row that cannot be read is a reason in its place.
    pub(crate) fn next_row(&mut self) -> Result<Option<NumberedRow>> {
        match &mut self.source {
            Source::Json(lines) => {
                let Some(line) = lines.next_line()? else {
                    return Ok(None);
                };
                Ok(Some((line.number, json_row(line.bytes))))
            }
            Source::Parquet { path, rows, next } => {
                let Some(row) = rows.next() else {
                    return Ok(None);
                };
                let number = *next;
                *next += 1;
                // A page that cannot be decoded is no matter of one row: nothing after it can be trusted.
                let row =
                    row.map_err(|e| Error::row(path, number, format!("broken Parquet data: {e}")))?;
                Ok(Some((number, Ok(columns_of(&row)))))
            }
        }
    }
}

enum Kind {
    Parquet,
    Json,
}

fn kind(path: &Path) -> Result<Kind> {
    let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
    if !file
        .metadata()
        .map_err(|e| Error::io(path, "read", e))?
        .is_file()
    {
        return Err(Error::file(
            path,
            "a regular file is expected (JSON Lines or Parquet)",
        ));
    }
    let mut head = Vec::new();
    file.take(4096)
        .read_to_end(&mut head)
        .map_err(|e| Error::io(path, "read", e))?;
    if head.starts_with(b"PAR1") {
        return Ok(Kind::Parquet);
    }
    let text = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(&head)
        .trim_ascii_start();
    match text.first() {
        None => Err(Error::file(
            path,
            "the file is empty: at least one row is expected",
        )),
        Some(b'[') => Err(Error::file(
            path,
            "this is a JSON array: one object per line is expected (`jq -c '.[]' FILE` makes it so)",
        )),
        Some(_)
            if path
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("parquet")) =>
        {
            Err(Error::file(
                path,
                "not a Parquet file: it does not begin with PAR1 (a download that was cut off, or a Git LFS pointer?)",
            ))
        }
        Some(_) => Ok(Kind::Json),
    }
}

fn parquet_rows(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<RowIter<'static>> {
    let broken = |e: parquet::errors::ParquetError| {
        let hint = if e.to_string().contains("isabled feature")
            || e.to_string().contains("not supported")
        {
            ": only uncompressed, snappy and zstd columns are read; write the file with one of these"
        } else {
            ""
        };
        Error::file(path, format!("cannot read as Parquet: {e}{hint}"))
    };
    let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let schema = reader.metadata().file_metadata().schema().clone();
    let fields: Vec<Arc<Type>> = schema
        .get_fields()
        .iter()
        .filter(|field| wanted(field.name()))
        .cloned()
        .collect();
    if fields.is_empty() {
        let names: Vec<&str> = schema.get_fields().iter().map(|f| f.name()).collect();
        return Err(Error::file(
            path,
            format!(
                "none of the expected columns is in the file, which has: {}",
                names.join(", ")
            ),
        ));
    }
    // An unsupported codec shows itself on the first page only: look at the metadata instead.
    for group in reader.metadata().row_groups() {
        for column in group.columns() {
            if column
                .column_path()
                .parts()
                .first()
                .is_some_and(|name| wanted(name))
            {
                use parquet::basic::Compression::{SNAPPY, UNCOMPRESSED, ZSTD};
                if !matches!(column.compression(), UNCOMPRESSED | SNAPPY | ZSTD(_)) {
                    return Err(Error::file(
                        path,
                        format!(
                            "column {} is compressed with {}: uncompressed, snappy and zstd are read; write the file again with one of these",
                            column.column_path(),
                            column.compression()
                        ),
                    ));
                }
            }
        }
    }
    let projection = Type::group_type_builder(schema.name())
        .with_fields(fields)
        .build()
        .map_err(broken)?;
    RowIter::from_file_into(Box::new(reader))
        .project(Some(projection))
        .map_err(broken)
}

fn columns_of(row: &Row) -> Columns {
    row.get_column_iter()
        .map(|(name, field)| (name.clone(), cell_of(field)))
        .collect()
}

/// A Parquet field as a cell; kinds that no reader here asks for come as their text. A float is written with the fewest digits
/// that give it back in its own width (the f32 next to 0.1 is `0.1`); what is no number is null.
fn cell_of(field: &Field) -> Cell {
    match field {
        Field::Bool(v) => Cell::Bool(*v),
        Field::Byte(v) => Cell::Number(v.to_string()),
        Field::Short(v) => Cell::Number(v.to_string()),
        Field::Int(v) => Cell::Number(v.to_string()),
        Field::Long(v) => Cell::Number(v.to_string()),
        Field::UByte(v) => Cell::Number(v.to_string()),
        Field::UShort(v) => Cell::Number(v.to_string()),
        Field::UInt(v) => Cell::Number(v.to_string()),
        Field::ULong(v) => Cell::Number(v.to_string()),
        Field::Float16(v) if v.is_finite() => Cell::Number(shortest_f16(*v)),
        Field::Float(v) if v.is_finite() => Cell::Number(format!("{v:?}")),
        Field::Double(v) if v.is_finite() => Cell::Number(format!("{v:?}")),
        Field::Null | Field::Float16(_) | Field::Float(_) | Field::Double(_) => Cell::Null,
        // Parquet's own text of a decimal without places ends with a point.
        Field::Decimal(_) => Cell::Number(field.to_string().trim_end_matches('.').to_owned()),
        Field::Str(v) => Cell::Text(v.clone()),
        Field::Bytes(v) => match std::str::from_utf8(v.data()) {
            Ok(text) => Cell::Text(text.into()),
            Err(_) => Cell::Null,
        },
        Field::Group(_) => Cell::Object,
        Field::ListInternal(list) => Cell::List(list.elements().iter().map(cell_of).collect()),
        other => Cell::Text(other.to_string()),
    }
}

/// The fewest digits that give a finite f16 back: at most five are needed.
fn shortest_f16(value: f16) -> String {
    (0..5)
        .filter_map(|places| format!("{:.places$e}", value.to_f32()).parse::<f32>().ok())
        .find(|shorter| f16::from_f32(*shorter) == value)
        .map_or_else(|| value.to_string(), |shorter| format!("{shorter:?}"))
}

/// The text of a column that may be a string or a number.
///
/// # Errors
/// The reason, naming `role` and the column, if the column is missing or of another kind.
pub(crate) fn text(
    columns: &Columns,
    column: &str,
    role: &str,
) -> std::result::Result<String, String> {
    match columns.get(column) {
        Some(Cell::Text(text) | Cell::Number(text)) => Ok(text.clone()),
        Some(other) => Err(format!(
            "{role} (column {column:?}) is {}: a string or a number is expected",
            other.described()
        )),
        None => Err(format!(
            "{role} is missing: there is no column {column:?} among {}",
            names(columns)
        )),
    }
}

/// The columns' names, for messages.
pub(crate) fn names(columns: &Columns) -> String {
    let names: Vec<&str> = columns.keys().map(String::as_str).collect();
    format!("[{}]", names.join(", "))
}
