//! The pre-tokenizers that GGUF files name in `tokenizer.ggml.pre`.
//!
//! Goes in: the name. Comes out: how text is normalised and cut into words before byte-level BPE. The patterns are those
//! of the models' own tokenizer.json files: they are part of the format, as the vocabulary is.

use tokenizers::SplitDelimiterBehavior::Isolated;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};

use crate::error::{Error, Result};

/// How one named pre-tokenizer works.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pre {
    cut: Cut,
    /// Text is brought into Unicode normal form C first.
    pub(super) nfc: bool,
    /// A word that is a token is taken whole, without merging.
    pub(super) ignore_merges: bool,
    /// Whether sequences begin with BOS when the file does not say.
    pub(super) adds_bos: Option<bool>,
}

#[derive(Debug, Clone, Copy)]
enum Cut {
    /// GPT-2's words.
    Gpt2,
    /// Single digits first, then GPT-2's words.
    DigitsThenGpt2,
    /// The matches of each pattern in turn, and what is left between.
    Patterns(&'static [&'static str]),
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const CJK: &str = "[\u{4e00}-\u{9fa5}\u{800}-\u{4e00}\u{ac00}-\u{d7ff}]+";
/// DeepSeek's class of cased letters, as in its tokenizer.json (not quite a Unicode category of any version).
const CASED: &str = concat!(
    r"\s?[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af}",
    r"\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}",
    r"\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}",
    r"\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}",
    r"\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}",
    r"\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}",
    r"\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}",
    r"\x{2124}\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}",
    r"\x{2183}\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}",
    r"\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}",
    r"\x{fb13}-\x{fb17}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}",
    r"\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]+",
);
const DEEPSEEK_PUNCTUATION: &str =
    "\\s?[!-/:-~\u{ff01}-\u{ff0f}\u{ff1a}-\u{ff5e}\u{2018}-\u{201f}\u{3000}-\u{3002}]+";
const DEEPSEEK_LLM: &[&str] = &[
    "[\r\n]",
    CASED,
    DEEPSEEK_PUNCTUATION,
    r"\s+$",
    CJK,
    r"\p{N}+",
];
const DEEPSEEK_CODER: &[&str] = &["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, r"\p{N}"];

const KNOWN: &[(&str, Pre)] = &[
    (
        "llama-bpe",
        Pre {
            cut: Cut::Patterns(&[LLAMA3]),
            nfc: false,
            ignore_merges: true,
            adds_bos: Some(true),
        },
    ),
    (
        "llama3",
        Pre {
            cut: Cut::Patterns(&[LLAMA3]),
            nfc: false,
            ignore_merges: true,
            adds_bos: Some(true),
        },
    ),
    (
        "llama-v3",
        Pre {
            cut: Cut::Patterns(&[LLAMA3]),
            nfc: false,
            ignore_merges: true,
            adds_bos: Some(true),
        },
    ),
    (
        "qwen2",
        Pre {
            cut: Cut::Patterns(&[QWEN2]),
            nfc: true,
            ignore_merges: false,
            adds_bos: None,
        },
    ),
    (
        "deepseek-r1-qwen",
        Pre {
            cut: Cut::Patterns(&[QWEN2]),
            nfc: true,
            ignore_merges: false,
            adds_bos: None,
        },
    ),
    (
        "smollm",
        Pre {
            cut: Cut::DigitsThenGpt2,
            nfc: false,
            ignore_merges: false,
            adds_bos: None,
        },
    ),
    (
        "starcoder",
        Pre {
            cut: Cut::DigitsThenGpt2,
            nfc: false,
            ignore_merges: false,
            adds_bos: None,
        },
    ),
    (
        "refact",
        Pre {
            cut: Cut::DigitsThenGpt2,
            nfc: false,
            ignore_merges: false,
            adds_bos: None,
        },
    ),
    (
        "gpt-2",
        Pre {
            cut: Cut::Gpt2,
            nfc: false,
            ignore_merges: false,
            adds_bos: None,
        },
    ),
    (
        "phi-2",
        Pre {
            cut: Cut::Gpt2,
            nfc: false,
            ignore_merges: false,
            adds_bos: None,
        },
    ),
    (
        "deepseek-llm",
        Pre {
            cut: Cut::Patterns(DEEPSEEK_LLM),
            nfc: false,
            ignore_merges: false,
            adds_bos: None,
        },
    ),
    (
        "deepseek-coder",
        Pre {
            cut: Cut::Patterns(DEEPSEEK_CODER),
            nfc: false,
            ignore_merges: false,
            adds_bos: None,
        },
    ),
];

impl Pre {
    /// The pre-tokenizer called `name`; `origin` is the file, for the message.
    ///
    /// # Errors
    /// An unknown name: guessing would give other ids without a sign of it.
    pub(super) fn named(name: &str, origin: &str) -> Result<Self> {
        KNOWN.iter().find(|(known, _)| *known == name).map(|&(_, pre)| pre).ok_or_else(|| {
            Error::Tokenizer(format!(
                "{origin}: unknown pre-tokenizer `{name}` (tokenizer.ggml.pre); known are {}; use the model's Hugging \
                 Face folder instead",
                Self::known()
            ))
        })
    }

    /// The names that are known, for messages.
    pub(super) fn known() -> String {
        let names: Vec<&str> = KNOWN.iter().map(|(known, _)| *known).collect();
        names.join(", ")
    }

    /// The pre-tokenizer itself.
    pub(super) fn build(self) -> Result<PreTokenizerWrapper> {
        let words =
            |use_regex| PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, use_regex));
        let mut steps = Vec::new();
        match self.cut {
            Cut::Gpt2 => steps.push(words(true)),
            Cut::DigitsThenGpt2 => {
                steps.push(PreTokenizerWrapper::Digits(Digits::new(true)));
                steps.push(words(true));
            }
            Cut::Patterns(patterns) => {
                for &pattern in patterns {
                    let split =
                        Split::new(SplitPattern::Regex(pattern.to_string()), Isolated, false)
                            .map_err(|e| {
                                super::failed("a pre-tokenizer pattern was refused", &e)
                            })?;
                    steps.push(PreTokenizerWrapper::Split(split));
                }
                steps.push(words(false));
            }
        }
        Ok(PreTokenizerWrapper::Sequence(Sequence::new(steps)))
    }
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, Pre};
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    /// The words of `text`, in the original spelling.
    fn words(name: &str, text: &str) -> Vec<String> {
        let mut cut = PreTokenizedString::from(text);
        let pre = Pre::named(name, "test")
            .and_then(Pre::build)
            .expect("known");
        pre.pre_tokenize(&mut cut).expect("cuts");
        cut.get_splits(OffsetReferential::Original, OffsetType::Byte)
            .into_iter()
            .map(|(_, (from, to), _)| text[from..to].to_string())
            .collect()
    }

    #[test]
    fn numbers_are_cut_as_each_model_was_trained() {
        let text = "costs $12345.6";
        assert_eq!(
            words("llama-bpe", text),
            ["costs", " $", "123", "45", ".", "6"]
        );
        assert_eq!(
            words("qwen2", text),
            ["costs", " $", "1", "2", "3", "4", "5", ".", "6"]
        );
        assert_eq!(words("gpt-2", text), ["costs", " $", "12345", ".", "6"]);
        assert_eq!(
            words("smollm", text),
            ["costs", " $", "1", "2", "3", "4", "5", ".", "6"]
        );
        assert_eq!(
            words("deepseek-coder", text),
            ["costs", " $", "1", "2", "3", "4", "5", ".", "6"]
        );
        assert_eq!(
            words("deepseek-llm", text),
            ["costs", " $", "12345", ".", "6"]
        );
    }

    #[test]
    fn line_ends_contractions_and_scripts_are_cut_as_each_model_was_trained() {
        let text = "It's x\n\n  Größe 数学!";
        assert_eq!(
            words("qwen2", text),
            ["It", "'s", " x", "\n\n", " ", " Größe", " 数学", "!"]
        );
        assert_eq!(
            words("gpt-2", text),
            ["It", "'s", " x", "\n\n ", " Größe", " 数学", "!"]
        );
        // The punctuation class runs from `:` to `~` and so cuts ASCII letters off others; the models saw it so.
        assert_eq!(
            words("deepseek-llm", text),
            [
                "It", "'", "s", " x", "\n", "\n", " ", " Gr", "öß", "e", " ", "数学", "!"
            ]
        );
        assert_eq!(words("qwen2", "DON'T"), ["DON", "'T"]);
        assert_eq!(words("gpt-2", "DON'T"), ["DON", "'", "T"]);
    }

    #[test]
    fn every_known_name_builds_and_an_unknown_one_lists_them() {
        for (name, pre) in KNOWN {
            assert!(pre.build().is_ok(), "{name}");
        }
        let message = Pre::named("default", "m.gguf")
            .expect_err("unknown")
            .to_string();
        assert!(
            message.contains("`default`")
                && message.contains("smollm")
                && message.contains("m.gguf"),
            "{message}"
        );
    }
}
