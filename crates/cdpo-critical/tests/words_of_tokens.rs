//! Word types and steps on real tokenizers' pieces. Skips unless CDPO_TEST_MODELS (and CDPO_TEST_DATA) name folders that have them.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::PathBuf;

use cdpo_critical::analysis::{WordType, place, step_tokens, token_words};
use cdpo_data::{OnBadRow, given_solutions};
use cdpo_model::Tokenizer;

/// The tokenizers at hand, by name.
fn tokenizers() -> Vec<(&'static str, Tokenizer)> {
    let Some(root) = std::env::var_os("CDPO_TEST_MODELS").map(PathBuf::from) else {
        eprintln!("skipped: CDPO_TEST_MODELS is not set");
        return Vec::new();
    };
    ["tokenizer-llama3", "tokenizer-qwen2_5", "hf-smollm2-135m"]
        .into_iter()
        .filter_map(|name| {
            let file = root.join(name).join("tokenizer.json");
            if !file.exists() {
                eprintln!("skipped: there is no {}", file.display());
                return None;
            }
            Some((name, Tokenizer::from_file(&file).unwrap()))
        })
        .collect()
}

fn pieces(tokenizer: &Tokenizer, text: &str) -> Vec<Vec<u8>> {
    let ids = tokenizer.encode(text).unwrap();
    ids.iter()
        .map(|&id| tokenizer.token_bytes(id).unwrap())
        .collect()
}

/// However a tokenizer cuts it, every piece of a word has the word's type.
#[test]
fn every_piece_counts_with_its_word_whatever_the_tokenizer() {
    let text = " Natalia multiplied $1,250.75 by 12%: <<1250.75*0.12=150.09>>150.09.\nSo \\frac{3}{4} \\times 2500 ≥ 40\n\n#### 1875 €";
    for (name, tokenizer) in tokenizers() {
        let pieces = pieces(&tokenizer, text);
        let found = token_words(&pieces);
        assert_eq!(found.text, text, "{name}");
        let mut seen: Vec<(String, WordType)> = Vec::new();
        for i in 0..pieces.len() {
            let next = (found.word(i).to_owned(), found.kind(i));
            if seen.last() != Some(&next) {
                seen.push(next);
            }
        }
        for (word, kind) in [
            ("Natalia", WordType::Content),
            ("multiplied", WordType::Content),
            ("$1,250.75", WordType::Number),
            ("by", WordType::Function),
            ("12", WordType::Number),
            ("=", WordType::Operator),
            ("So", WordType::Function),
            ("\\frac", WordType::Operator),
            ("\\times", WordType::Operator),
            ("2500", WordType::Number),
            ("≥", WordType::Operator),
            ("####", WordType::Punctuation),
        ] {
            assert!(
                seen.contains(&(word.to_owned(), kind)),
                "{name}: {word} in {seen:?}"
            );
        }
        let number: Vec<&[u8]> = (0..pieces.len())
            .filter(|&i| found.word(i) == "2500")
            .map(|i| pieces[i].as_slice())
            .collect();
        assert!(number.len() > 1, "{name} has 2500 in one token");
        assert_eq!(number.concat().trim_ascii(), b"2500", "{name}");
    }
}

#[test]
fn published_process_labels_become_token_spans_of_their_steps() {
    let Some(data) = std::env::var_os("CDPO_TEST_DATA").map(PathBuf::from) else {
        eprintln!("skipped: CDPO_TEST_DATA is not set");
        return;
    };
    let file = data.join("process_labels_mrgsm8k.jsonl");
    let (solutions, skipped) = given_solutions::read(&file, OnBadRow::Skip).unwrap();
    // 75 rows carry the first line of a worked solution in place of the gold answer.
    assert_eq!((solutions.len(), skipped.count()), (515, 75));
    assert!(
        skipped
            .rows
            .iter()
            .all(|row| row.reason.contains("is the sentence"))
    );
    assert!(solutions.iter().all(|s| !s.steps[0].starts_with("Step 1")));
    for (name, tokenizer) in tokenizers() {
        for solution in &solutions {
            let pieces = pieces(&tokenizer, &solution.response());
            let steps = step_tokens(&solution.step_bytes(), &pieces).unwrap();
            assert_eq!(steps.len(), solution.steps.len());
            assert_eq!(
                (steps[0].start, steps[steps.len() - 1].end),
                (0, pieces.len())
            );
            assert!(
                steps.windows(2).all(|w| w[0].end == w[1].start),
                "{name}: {}",
                solution.id
            );
            let first_error = solution.first_error_step.unwrap();
            let inside = steps[first_error - 1].clone();
            assert!(!inside.is_empty(), "{name}: {}", solution.id);
            let text: Vec<u8> = pieces[inside.clone()].concat();
            let text = String::from_utf8_lossy(&text);
            // Tokens do not cut steps apart but for the line break between them.
            assert_eq!(
                text.trim(),
                solution.steps[first_error - 1].trim(),
                "{name}: {}",
                solution.id
            );
            assert_eq!(
                place(&steps, first_error, inside.start).unwrap().name(),
                "in"
            );
        }
    }
}
