//! SentencePiece's BPE, rebuilt from the pieces and scores of a GGUF file.
//!
//! SentencePiece joins, again and again, the two neighbours whose joint piece has the highest score. As merges: of every piece each cut
//! into two pieces, in the order of the joint piece's score, as the converters of `transformers` list them.

use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::replace::Replace;
use tokenizers::normalizers::{NormalizerWrapper, Prepend, Sequence as Normalizers};

use super::{Core, Spelling, Tokens, UNKNOWN, damaged, failed};
use crate::error::Result;
use crate::source::gguf::Metadata;

/// What stands for a space.
const MARK: &str = "▁";
/// GGML's types of pieces.
const NORMAL: u64 = 1;
/// Bytes of the longest piece that is cut.
const MAX_PIECE: usize = 1 << 10;

/// The tokenizer as Llama 2 and Mistral v0.1 have it in their `tokenizer.json`.
///
/// # Errors
/// Missing or inconsistent metadata.
pub(super) fn build(meta: &Metadata, tokens: &Tokens<'_>) -> Result<Core> {
    let scores = meta
        .numbers("tokenizer.ggml.scores")?
        .ok_or_else(|| meta.missing("tokenizer.ggml.scores"))?;
    if scores.len() != tokens.texts.len() {
        return Err(damaged(
            meta,
            &format!("{} tokens but {} scores", tokens.texts.len(), scores.len()),
        ));
    }
    let vocab = tokens.vocab(meta)?;
    let merges = merges(tokens, &scores, &vocab);
    let space_prefix = meta
        .flag("tokenizer.ggml.add_space_prefix")?
        .unwrap_or(true);
    let mut model = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .byte_fallback(true)
        .fuse_unk(true);
    if let Some(unknown) = tokens.kinds.iter().position(|&kind| kind == UNKNOWN) {
        model = model.unk_token(tokens.texts[unknown].to_owned());
    }
    let model = model
        .build()
        .map_err(|e| damaged(meta, &format!("the pieces do not fit together ({e})")))?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let replace = |from: &str, to: &str| {
        Replace::new(from, to).map_err(|e| failed("cannot make the space's mark", &e))
    };
    let mut normalizers: Vec<NormalizerWrapper> = Vec::new();
    let mut decoders: Vec<DecoderWrapper> = vec![
        replace(MARK, " ")?.into(),
        ByteFallback::new().into(),
        Fuse::new().into(),
    ];
    if space_prefix {
        normalizers.push(Prepend::new(MARK.to_owned()).into());
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    normalizers.push(replace(" ", MARK)?.into());
    inner
        .with_normalizer(Some(Normalizers::new(normalizers)))
        .map_err(|e| failed("cannot set the normaliser", &e))?;
    inner.with_decoder(Some(Decoders::new(decoders)));

    let mut content = vec![format!("sentencepiece {space_prefix}")];
    for (text, score) in tokens.texts.iter().zip(&scores) {
        content.extend([(*text).to_owned(), score.to_string()]);
    }
    Ok(Core {
        inner,
        spelling: Spelling::ByteFallback,
        adds_bos: Some((true, "the convention of SentencePiece's models".to_owned())),
        notes: Vec::new(),
        content,
    })
}

/// Every cut of a piece into two pieces, by the joint piece's score, then by the lengths of left and right, the best and longest first:
/// the order in which `transformers` makes merges of scores. Only normal pieces are joined: others are matched as they are written,
/// or stand for bytes.
fn merges(tokens: &Tokens<'_>, scores: &[f64], vocab: &Vocab) -> Vec<(String, String)> {
    let mut cuts = Vec::new();
    for (id, &text) in tokens.texts.iter().enumerate() {
        // Nobody's pieces are as long as this; a damaged file must not hold up for hours.
        if tokens.kinds[id] != NORMAL || text.len() > MAX_PIECE {
            continue;
        }
        let mut own: Vec<_> = text
            .char_indices()
            .skip(1)
            .map(|(at, _)| text.split_at(at))
            .filter_map(|(left, right)| Some((*vocab.get(left)?, *vocab.get(right)?, left, right)))
            .collect();
        own.sort_unstable();
        cuts.extend(own.into_iter().map(|(.., left, right)| {
            let lengths = (left.chars().count(), right.chars().count());
            (scores[id], lengths, left, right)
        }));
    }
    cuts.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    cuts.into_iter()
        .map(|(.., left, right)| (left.to_owned(), right.to_owned()))
        .collect()
}
