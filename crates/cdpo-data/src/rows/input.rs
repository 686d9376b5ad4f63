//! A data file opened: a path goes in; whether it is Parquet, JSON Lines or a delimited table, and its text, unpacked, come out.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::foreign::{self, HEAD};
use crate::{Error, Result};

/// A file's content.
pub(super) enum Input {
    /// Parquet, to be read by position.
    Parquet,
    /// JSON Lines.
    Json(Text),
    /// A header row and rows of fields parted by a byte.
    Delimited(Text, u8),
}

/// The text of a file.
pub(super) type Text = Box<dyn BufRead>;

/// The path without `.gz`: what its name says of what is inside.
pub(crate) fn unpacked_name(path: &Path) -> PathBuf {
    let packed = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    if packed {
        path.with_extension("")
    } else {
        path.to_path_buf()
    }
}

/// Opens a regular file: Parquet by its mark, gzip by its mark, JSON Lines if its text begins with `{`; a delimited table if it is
/// named one (`.csv`, `.tsv`) or its first line has a column for which `wanted` holds; else JSON Lines, whose lines will say
/// what they lack.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] for a folder, an empty file, a JSON array or a file of another kind, by its name.
pub(super) fn open(path: &Path, wanted: &impl Fn(&str) -> bool) -> Result<Input> {
    let io = |e| Error::io(path, "read", e);
    let refused = |reason: &str| Error::file(path, reason);
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(refused("this is a folder: name the file in it"));
    }
    if !metadata.is_file() {
        return Err(refused(
            "a regular file is expected (JSON Lines, CSV or Parquet)",
        ));
    }
    let mut file = BufReader::with_capacity(1 << 18, file);
    if file.fill_buf().map_err(io)?.starts_with(GZIP) {
        let mut unpacked = BufReader::with_capacity(1 << 18, Unpacked(MultiGzDecoder::new(file)));
        let head = head_of(&mut unpacked).map_err(io)?;
        if head.starts_with(b"PAR1") {
            return Err(refused(
                "this is a Parquet file packed with gzip: unpack it (`gunzip FILE`)",
            ));
        }
        if head.starts_with(GZIP) {
            return Err(refused(
                "this is packed with gzip twice: unpack it once (`gunzip FILE`)",
            ));
        }
        return text(path, unpacked, head, wanted);
    }
    let head = head_of(&mut file).map_err(io)?;
    if head.starts_with(b"PAR1") {
        return Ok(Input::Parquet);
    }
    text(path, file, head, wanted)
}

const GZIP: &[u8] = b"\x1f\x8b";

/// What gzip holds, with errors that say so.
struct Unpacked<R>(MultiGzDecoder<R>);

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer).map_err(|e| {
            let reason = format!(
                "the gzip data is broken or cut off ({e}): download the file again, or pack it again"
            );
            std::io::Error::new(e.kind(), reason)
        })
    }
}

/// The first bytes, up to [`HEAD`].
fn head_of(reader: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The kind of a text whose first bytes have been taken from its reader; they are put back without a byte order mark.
fn text(
    path: &Path,
    rest: impl BufRead + 'static,
    mut head: Vec<u8>,
    wanted: &impl Fn(&str) -> bool,
) -> Result<Input> {
    if let Some(what) = foreign::named(&head, path) {
        return Err(Error::file(path, what));
    }
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    let name = unpacked_name(path);
    let named = |extension: &str| {
        name.extension()
            .is_some_and(|e| e.eq_ignore_ascii_case(extension))
    };
    let begins = head.trim_ascii_start();
    let first_line = begins.split(|b| *b == b'\n').next().unwrap_or_default();
    let reason = match begins.first() {
        None => "the file is empty: at least one row is expected",
        Some(b'[') => {
            "this is a JSON array: one object per line is expected (`jq -c '.[]' FILE` makes it so)"
        }
        Some(b'{') if first_line.trim_ascii() == b"{" => {
            "this is an object over several lines: one object per line is expected (`jq -c . FILE` makes it so)"
        }
        Some(_) if named("parquet") => {
            "not a Parquet file: it does not begin with PAR1 (a download that was cut off?)"
        }
        Some(first) => {
            let delimiter = if *first == b'{' {
                None
            } else if named("csv") || named("tsv") {
                Some(delimiter(first_line, wanted).unwrap_or(if named("tsv") {
                    b'\t'
                } else {
                    b','
                }))
            } else {
                delimiter(first_line, wanted)
            };
            let whole: Text = Box::new(Cursor::new(head).chain(rest));
            return Ok(match delimiter {
                Some(delimiter) => Input::Delimited(whole, delimiter),
                None => Input::Json(whole),
            });
        }
    };
    Err(Error::file(path, reason))
}

/// What parts the fields of a header: the first of comma, tab and semicolon that gives two columns or more, one of them wanted.
fn delimiter(header: &[u8], wanted: &impl Fn(&str) -> bool) -> Option<u8> {
    b",\t;".iter().copied().find(|delimiter| {
        let mut names = header.split(|b| b == delimiter);
        let dress = |c: char| c == '"' || c.is_whitespace();
        let is_wanted = |name: &[u8]| {
            std::str::from_utf8(name).is_ok_and(|name| wanted(name.trim_matches(dress)))
        };
        header.contains(delimiter) && names.any(is_wanted)
    })
}
