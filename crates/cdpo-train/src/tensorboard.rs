//! TensorBoard event files: scalars by step.
//!
//! A file is a sequence of records, each `length u64 | masked crc of length | payload | masked crc of payload` (little
//! endian); a payload is a protobuf `Event { 1: wall_time double, 2: step int64, 3: file_version string, 5: summary }`
//! with `Summary { 1: value* }` and `Value { 1: tag string, 2: simple_value float }`.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::crc32c::masked;
use crate::error::{Error, Result};

/// The event file's name within its folder; TensorBoard looks for `tfevents`.
pub(crate) const FILE_NAME: &str = "events.out.tfevents.0.cdpo";

/// An event file open at its end.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Opens `dir/`[`FILE_NAME`], keeping the whole records up to `last_step`; a torn or later record and all behind it
    /// are cut.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub(crate) fn resume(dir: &Path, last_step: u64) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, "create the folder", e))?;
        let path = dir.join(FILE_NAME);
        let io = |what| move |e| Error::io(dir.join(FILE_NAME), what, e);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("open the event file"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(io("read the event file"))?;
        let keep = whole_records(&bytes, last_step);
        file.set_len(keep as u64)
            .map_err(io("cut the event file"))?;
        file.seek(SeekFrom::End(0))
            .map_err(io("write the event file"))?;
        let mut this = Self { path, file };
        if keep == 0 {
            let mut version = event(0.0, 0);
            field_bytes(&mut version, 3, b"brain.Event:2");
            this.write(&version)?;
        }
        Ok(this)
    }

    /// Appends one step's scalars; `wall_time` in seconds since 1970.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn append(
        &mut self,
        wall_time: f64,
        step: u64,
        scalars: &[(&str, f64)],
    ) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut entry = Vec::new();
            field_bytes(&mut entry, 1, tag.as_bytes());
            entry.push(2 << 3 | 5);
            entry.extend((*value as f32).to_le_bytes());
            field_bytes(&mut summary, 1, &entry);
        }
        let mut payload = event(wall_time, step);
        field_bytes(&mut payload, 5, &summary);
        self.write(&payload)
    }

    fn write(&mut self, payload: &[u8]) -> Result<()> {
        let length = (payload.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(payload.len() + 16);
        record.extend(length);
        record.extend(masked(&length).to_le_bytes());
        record.extend(payload);
        record.extend(masked(payload).to_le_bytes());
        self.file
            .write_all(&record)
            .map_err(|e| Error::io(&self.path, "write the event file", e))
    }
}

/// `Event { wall_time, step }`, to be continued.
fn event(wall_time: f64, step: u64) -> Vec<u8> {
    let mut bytes = vec![1 << 3 | 1];
    bytes.extend(wall_time.to_le_bytes());
    bytes.push(2 << 3);
    varint(&mut bytes, step);
    bytes
}

fn varint(to: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

fn field_bytes(to: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    to.push(field << 3 | 2);
    varint(to, bytes.len() as u64);
    to.extend(bytes);
}

/// Length of the leading whole records whose step is at most `last_step`.
fn whole_records(bytes: &[u8], last_step: u64) -> usize {
    let mut at = 0;
    while let Some(end) = record_end(bytes, at) {
        // Payload: wall_time's tag and 8 bytes, step's tag, step.
        let step = bytes.get(at + 12 + 10..end - 4).map_or(0, read_varint);
        if step > last_step {
            break;
        }
        at = end;
    }
    at
}

fn record_end(bytes: &[u8], at: usize) -> Option<usize> {
    let length: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
    let end = usize::try_from(u64::from_le_bytes(length))
        .ok()?
        .checked_add(at + 12)?;
    let payload = bytes.get(at + 12..end)?;
    let sum: [u8; 4] = bytes.get(end..end.checked_add(4)?)?.try_into().ok()?;
    (u32::from_le_bytes(sum) == masked(payload)).then_some(end + 4)
}

fn read_varint(bytes: &[u8]) -> u64 {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, from: u64, to: u64) -> Vec<u8> {
        let mut events = EventFile::resume(dir, from).unwrap();
        for step in from + 1..=to {
            events
                .append(
                    1.0,
                    step,
                    &[("loss", step as f64), ("rewards/chosen", -0.5)],
                )
                .unwrap();
        }
        std::fs::read(dir.join(FILE_NAME)).unwrap()
    }

    #[test]
    fn resuming_cuts_later_and_torn_records_and_gives_the_same_bytes() {
        let (whole, resumed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let expected = write(whole.path(), 0, 300);
        let mut bytes = write(resumed.path(), 0, 200);
        bytes.truncate(bytes.len() - 3);
        std::fs::write(resumed.path().join(FILE_NAME), bytes).unwrap();
        assert_eq!(write(resumed.path(), 150, 300), expected);
    }

    /// What the `tensorboard` package's writer makes of the same event (made once with its `EventFileWriter`'s record
    /// writer): wall time 1.5, step 300, `loss` 0.25.
    #[test]
    fn a_record_is_the_bytes_that_tensorboard_reads() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventFile::resume(dir.path(), 0).unwrap();
        events.append(1.5, 300, &[("loss", 0.25)]).unwrap();
        let bytes = std::fs::read(dir.path().join(FILE_NAME)).unwrap();
        let record = &bytes[bytes.len() - RECORD.len()..];
        assert_eq!(record, RECORD);
    }

    const RECORD: &[u8] = &[
        27, 0, 0, 0, 0, 0, 0, 0, 26, 13, 158, 19, 9, 0, 0, 0, 0, 0, 0, 248, 63, 16, 172, 2, 42, 13,
        10, 11, 10, 4, 108, 111, 115, 115, 21, 0, 0, 128, 62, 153, 8, 222, 237,
    ];
}
