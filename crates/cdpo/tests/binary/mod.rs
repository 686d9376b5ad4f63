//! Running the binary in a folder of its own.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A folder with the demonstration's model and questions.
pub struct Place {
    _folder: tempfile::TempDir,
    pub dir: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_path_buf();
        Self {
            _folder: folder,
            dir,
        }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cdpo"));
        command
            .current_dir(&self.dir)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn cdpo(&self, args: &[&str]) -> Outcome {
        Outcome::of(&self.command(args).output().unwrap())
    }

    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    pub fn run_dir(&self) -> PathBuf {
        self.dir.join("demo/runs/tiny")
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.run_dir().join(path)).unwrap()
    }
}

#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn failed(self, code: i32, says: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in says {
            assert!(self.stderr.contains(text), "{text:?} in {self:#?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }
}

/// Every file of a run but those that hold wall-clock times only; manifests without their clock.
pub fn timeless_files(run_dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![run_dir.to_path_buf()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "tensorboard" {
                    pending.push(path);
                }
                continue;
            }
            if [
                ".lock",
                "timing.json",
                "timings.jsonl",
                "report.html",
                "report.json",
            ]
            .contains(&name.as_str())
            {
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            if name == "manifest.json" {
                let mut value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                value.as_object_mut().unwrap().remove("clock");
                bytes = value.to_string().into_bytes();
            }
            let relative = path.strip_prefix(run_dir).unwrap();
            files.insert(relative.to_string_lossy().into_owned(), bytes);
        }
    }
    files
}
