//! Writes seeds for the fuzz target: `CDPO_TEST_DATA=<folder> cargo run -p cdpo-grade --example seeds -- CORPUS`.
#![allow(clippy::print_stdout)]

use std::path::Path;

/// No seed is longer.
const MAX_LEN: usize = 4096;

fn main() -> std::io::Result<()> {
    let (Some(folder), Some(corpus)) =
        (std::env::var_os("CDPO_TEST_DATA"), std::env::args().nth(1))
    else {
        println!(
            "set CDPO_TEST_DATA to the folder of the data sets, and name the folder to write to"
        );
        return Ok(());
    };
    let corpus = Path::new(&corpus);
    std::fs::create_dir_all(corpus)?;
    let mut written = 0;
    for (file, response, gold, every) in [
        ("grader_cases.jsonl", "prediction", "gold", 1),
        ("math500.jsonl", "answer", "answer", 1),
        ("math500.jsonl", "solution", "answer", 1),
        ("math_train.jsonl", "answer", "answer", 8),
        ("math_train.jsonl", "solution", "answer", 8),
        ("gsm8k_test.jsonl", "answer", "answer", 6),
    ] {
        let text = std::fs::read_to_string(Path::new(&folder).join(file))?;
        for (n, line) in text.lines().enumerate().step_by(every) {
            let row: serde_json::Value = serde_json::from_str(line)?;
            let field = |name: &str| row[name].as_str().unwrap_or_default();
            // The end of a response is where its answer stands.
            let response = field(response);
            let mut start = response.len().saturating_sub(500);
            while !response.is_char_boundary(start) {
                start += 1;
            }
            // Half of the seeds have the default options, the others any.
            let options = if n % 2 == 0 { 0 } else { (n * 37 % 256) as u8 };
            let mut seed = vec![options];
            seed.extend_from_slice(&response.as_bytes()[start..]);
            seed.push(0x1F);
            seed.extend_from_slice(field(gold).as_bytes());
            if seed.len() <= MAX_LEN {
                std::fs::write(
                    corpus.join(format!("{file}-{}-{n}", start + response.len())),
                    seed,
                )?;
                written += 1;
            }
        }
    }
    println!("{written} seeds in {}", corpus.display());
    Ok(())
}
