//! Files that are plainly something else than a table: the first bytes go in, what they are and what to do about it come out.

use std::path::Path;

/// How many first bytes [`named`] is to be given; a tar archive is known by the 262nd.
pub(super) const HEAD: usize = 4096;

/// Kinds of file that begin with fixed bytes, which no table begins with.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (
        b"\x28\xb5\x2f\xfd",
        "this is compressed with zstd: unpack it (`zstd -d FILE`), or pack it with gzip, which is read",
    ),
    (
        b"\xfd7zXZ\0",
        "this is compressed with xz: unpack it (`xz -d FILE`), or pack it with gzip, which is read",
    ),
    (
        b"\x04\x22\x4d\x18",
        "this is compressed with lz4: unpack it (`lz4 -d FILE`), or pack it with gzip, which is read",
    ),
    (
        b"7z\xbc\xaf\x27\x1c",
        "this is a 7z archive: unpack it and name the file in it",
    ),
    (
        b"Rar!\x1a\x07",
        "this is a RAR archive: unpack it and name the file in it",
    ),
    (b"PK\x05\x06", "this is an empty zip archive"),
    (
        b"ARROW1\0\0",
        "this is an Arrow (Feather) file: write it as Parquet (in Python: pyarrow.feather.read_table(FILE), then pyarrow.parquet.write_table)",
    ),
    (
        b"\xff\xff\xff\xff",
        "this is an Arrow stream, as `datasets` keeps: write it as Parquet (in Python: datasets.Dataset.from_file(FILE).to_parquet(NAME))",
    ),
    (
        b"Obj\x01",
        "this is an Avro file: write it as Parquet or JSON Lines",
    ),
    (
        b"SQLite format 3\0",
        "this is an SQLite database: write the table as CSV (`sqlite3 -header -csv FILE 'select * from TABLE'`)",
    ),
    (
        b"\x89HDF",
        "this is an HDF5 file: write it as Parquet (in Python: pandas.read_hdf(FILE).to_parquet(NAME))",
    ),
    (
        b"\x93NUMPY",
        "this is a NumPy array: write the rows as JSON Lines, CSV or Parquet",
    ),
    (
        b"\xd0\xcf\x11\xe0",
        "this is an Excel workbook (.xls): save the sheet as CSV",
    ),
    (
        b"%PDF-",
        "this is a PDF file: JSON Lines, CSV or Parquet is expected",
    ),
    (
        b"version https://git-lfs",
        "this is a Git LFS pointer, not the data: get the file itself (`git lfs pull`, or download it from its page)",
    ),
];

/// What a file is, where it is none that can be read, by its first bytes ([`HEAD`] of them, fewer only if the file is shorter).
pub(super) fn named(head: &[u8], path: &Path) -> Option<String> {
    if let Some((_, what)) = BEGINNINGS.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Some((*what).into());
    }
    let has = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    // Letters alone may begin a text as well: "PARENT,question".
    let binary = head.contains(&0);
    let what = if head.starts_with(b"PK\x03\x04") {
        let workbook = path
            .extension()
            .is_some_and(|e| e.to_string_lossy().to_ascii_lowercase().starts_with("xls"));
        if workbook || has(b"xl/") {
            "this is an Excel workbook (.xlsx): save the sheet as CSV"
        } else {
            "this is a zip archive: unpack it and name the file in it"
        }
    } else if head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY") {
        "this is compressed with bzip2: unpack it (`bzip2 -d FILE`), or pack it with gzip, which is read"
    } else if head.starts_with(b"FEA1") && binary {
        "this is a Feather file: write it as Parquet (in Python: pandas.read_feather(FILE).to_parquet(NAME))"
    } else if head.starts_with(b"PARE") && binary {
        "this is an encrypted Parquet file: write it without encryption"
    } else if head.starts_with(b"ORC") && binary {
        "this is an ORC file: write it as Parquet (in Python: pandas.read_orc(FILE).to_parquet(NAME))"
    } else if head.get(257..262) == Some(b"ustar") {
        "this is a tar archive: unpack it (`tar xf FILE`) and name the file in it"
    } else if is_utf16(head) {
        "this is UTF-16 text: write it as UTF-8 (`iconv -f UTF-16 -t UTF-8 FILE > NAME`)"
    } else if is_pickle(head) {
        "this is a Python pickle, which is never opened here because it can run code: write it as Parquet (in Python, if you trust it: pandas.read_pickle(FILE).to_parquet(NAME))"
    } else if is_page(head) {
        "this is an HTML or XML page, not data: what a download gives where a login, a licence or another link is asked for; open it to see, and download the file again"
    } else if binary {
        "this is binary data of a kind that is not known here: JSON Lines, CSV or Parquet is expected"
    } else {
        return None;
    };
    Some(what.into())
}

/// By its mark, or by every other byte of its first characters being zero.
fn is_utf16(head: &[u8]) -> bool {
    let zeros = |from: usize| {
        let half = head.iter().skip(from).step_by(2).take(8);
        head.len() >= 4 && half.clone().count() > 1 && half.clone().all(|b| *b == 0)
    };
    let marked = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    marked || (zeros(1) && !zeros(0)) || (zeros(0) && !zeros(1))
}

/// The binary protocols begin with 0x80 and their number; the first one, of text, opens a list or a dictionary.
fn is_pickle(head: &[u8]) -> bool {
    matches!(head, [0x80, 2..=5, ..]) || head.starts_with(b"(lp0\n") || head.starts_with(b"(dp0\n")
}

fn is_page(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = text.trim_ascii_start();
    [
        &b"<!doctype"[..],
        b"<html",
        b"<?xml",
        b"<!--",
        b"<head",
        b"<script",
    ]
    .iter()
    .any(|mark| {
        text.get(..mark.len())
            .is_some_and(|t| t.eq_ignore_ascii_case(mark))
    })
}
