//! Rows of a Parquet file as cells.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use crate::cell::Cell;
use crate::columns::Columns;
use crate::{Error, Result};

/// The rows of one file.
pub(super) struct Table {
    path: PathBuf,
    rows: RowIter<'static>,
    next: usize,
}

impl Table {
    /// Opens a file for the columns for which `wanted` holds.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] for a broken file, one with none of these columns, or one compressed in a way that is not read.
    pub(super) fn open(path: &Path, wanted: &impl Fn(&str) -> bool) -> Result<Self> {
        let rows = guarded(|| rows(path, wanted)).unwrap_or_else(|reason| {
            Err(Error::file(
                path,
                format!("cannot read as Parquet: {reason}"),
            ))
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            rows,
            next: 1,
        })
    }

    /// The next row with its number from 1, or none at the end.
    ///
    /// # Errors
    /// [`Error::Row`]: a page that cannot be decoded is no matter of one row, and nothing after it can be trusted.
    pub(super) fn next_row(&mut self) -> Result<Option<(usize, Columns)>> {
        let number = self.next;
        let read = guarded(|| {
            let row = self.rows.next()?;
            Some(row.map(|row| columns_of(&row)))
        });
        let reason = match read {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(columns))) => {
                self.next += 1;
                return Ok(Some((number, columns)));
            }
            Ok(Some(Err(e))) => e.to_string(),
            Err(reason) => reason,
        };
        Err(Error::row(
            &self.path,
            number,
            format!("broken Parquet data: {reason}"),
        ))
    }
}

/// What `read` gives, or the words with which the Parquet library panics: it asserts what a broken file's metadata may not hold.
fn guarded<T>(read: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|panic| {
        let words = panic
            .downcast_ref::<&str>()
            .map(|words| (*words).to_owned());
        words
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "the file is broken".into())
    })
}

fn rows(path: &Path, wanted: &impl Fn(&str) -> bool) -> Result<RowIter<'static>> {
    let broken = |e: parquet::errors::ParquetError| {
        Error::file(path, format!("cannot read as Parquet: {e}"))
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
            let path_in = column.column_path();
            let read = path_in.parts().first().is_some_and(|name| wanted(name));
            if read && column.compression() == Compression::LZO {
                return Err(Error::file(
                    path,
                    format!(
                        "column {path_in} is compressed with LZO, which is not read: write the file again with snappy, gzip, brotli, lz4 or zstd"
                    ),
                ));
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

/// A row as cells.
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
        Field::Group(row) => Cell::Object(
            row.get_column_iter()
                .map(|(name, field)| (name.clone(), cell_of(field)))
                .collect(),
        ),
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
