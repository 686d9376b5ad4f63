//! Content identifiers for cache keys.
//!
//! Goes in: named byte strings (mapped files, configuration text). Comes out: 32 hexadecimal digits that depend on
//! every byte and every name, and on neither paths nor times, so that a moved or re-downloaded model keeps its caches.

use rayon::prelude::*;

/// Bytes hashed as one piece, in parallel with the others.
const PIECE: usize = 1 << 22;

/// The first 128 bits of BLAKE3 over each part's name, length and piecewise BLAKE3 hashes, in hexadecimal.
pub(crate) fn id(parts: &[(&str, &[u8])]) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in parts {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        let pieces: Vec<blake3::Hash> = bytes.par_chunks(PIECE).map(blake3::hash).collect();
        for piece in pieces {
            hasher.update(piece.as_bytes());
        }
    }
    hasher.finalize().to_hex()[..32].to_string()
}

#[cfg(test)]
mod tests {
    use super::id;

    #[test]
    fn every_byte_and_name_changes_the_identifier() {
        let big = vec![7u8; PIECE_AND_MORE];
        let base = id(&[("a", &big), ("b", b"x")]);
        assert_eq!(base, id(&[("a", &big), ("b", b"x")]));
        for at in [0, super::PIECE - 1, super::PIECE, big.len() - 1] {
            let mut changed = big.clone();
            changed[at] ^= 1;
            assert_ne!(base, id(&[("a", &changed), ("b", b"x")]), "byte {at}");
        }
        assert_ne!(base, id(&[("a", &big), ("c", b"x")]));
        assert_ne!(
            id(&[("a", b"xy"), ("b", b"")]),
            id(&[("a", b"x"), ("b", b"y")])
        );
    }

    const PIECE_AND_MORE: usize = super::PIECE + 100;
}
