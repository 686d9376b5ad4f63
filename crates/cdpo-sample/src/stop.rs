//! Stop strings, matched on a response's bytes as its tokens arrive.
//!
//! Matching is on bytes, not on decoded text: a token may end within a character, and the bytes of a stop string occur in
//! UTF-8 text only where its characters do. A stop string may span any number of tokens.

/// The stop strings of a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopRule {
    stops: Vec<Vec<u8>>,
    longest: usize,
}

impl StopRule {
    /// The rule that ends a response at any of `stops`; empty texts are ignored.
    pub(crate) fn new<S: AsRef<str>>(stops: &[S]) -> Self {
        let stops: Vec<Vec<u8>> = stops
            .iter()
            .map(|stop| stop.as_ref().as_bytes().to_vec())
            .filter(|stop| !stop.is_empty())
            .collect();
        let longest = stops.iter().map(Vec::len).max().unwrap_or(0);
        Self { stops, longest }
    }

    /// Where the first stop string of `bytes` begins, given that there is none in `bytes[..searched]`. Of several that the
    /// new bytes complete, the one that begins first counts.
    fn find(&self, bytes: &[u8], searched: usize) -> Option<usize> {
        if self.longest == 0 {
            return None;
        }
        let from = searched.saturating_sub(self.longest - 1);
        (from..bytes.len()).find(|&at| self.stops.iter().any(|stop| bytes[at..].starts_with(stop)))
    }

    /// A text up to the first stop string in it, if there is one.
    pub(crate) fn cut<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.find(text.as_bytes(), 0).map(|at| &text[..at])
    }

    /// Where a stop string of which `bytes` end with a part would begin; the end if there is none.
    fn begun(&self, bytes: &[u8]) -> usize {
        let from = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (from..bytes.len())
            .find(|&at| self.stops.iter().any(|stop| stop.starts_with(&bytes[at..])))
            .unwrap_or(bytes.len())
    }
}

/// A response as it grows: ids, the bytes they stand for, and where each token's bytes end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    ids: Vec<u32>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Response {
    /// The ids so far.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Appends a token. True if it completes a stop string, which is then cut off: the response ends before the token in
    /// which the stop string begins, and keeps that token if it also carries bytes from before the stop string. The text
    /// always ends where the stop string begins.
    pub(crate) fn push(&mut self, id: u32, piece: &[u8], rule: &StopRule) -> bool {
        let searched = self.bytes.len();
        self.ids.push(id);
        self.bytes.extend_from_slice(piece);
        self.ends.push(self.bytes.len());
        let Some(at) = rule.find(&self.bytes, searched) else {
            return false;
        };
        // The token in which the stop string begins is the first that ends after `at`.
        let token = self.ends.partition_point(|&end| end <= at);
        let start = if token == 0 { 0 } else { self.ends[token - 1] };
        self.ids
            .truncate(if start < at { token + 1 } else { token });
        self.ends.truncate(self.ids.len());
        self.bytes.truncate(at);
        true
    }

    /// Whether `settled`, which says how many bytes of a text decide it, finds them in what is certain to stay: a stop
    /// string that may have begun may yet be cut off.
    pub(crate) fn is_settled(
        &self,
        rule: &StopRule,
        settled: &dyn Fn(&str) -> Option<usize>,
    ) -> bool {
        let text = self.bytes.utf8_chunks().next();
        let text = text.map_or("", |chunk| chunk.valid());
        settled(text).is_some_and(|bytes| bytes <= rule.begun(&self.bytes))
    }

    /// The text and the ids. Bytes that are no UTF-8 (a response cut within a character) become U+FFFD, as decoding does.
    pub(crate) fn finish(self) -> (String, Vec<u32>) {
        let text = match String::from_utf8(self.bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        (text, self.ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the pieces until one completes a stop string: (text, number of tokens kept, tokens consumed, stopped).
    fn run<P: AsRef<[u8]>>(stops: &[&str], pieces: &[P]) -> (String, usize, usize, bool) {
        let rule = StopRule::new(stops);
        let mut response = Response::default();
        for (index, piece) in pieces.iter().enumerate() {
            if response.push(index as u32, piece.as_ref(), &rule) {
                let (text, ids) = response.finish();
                assert_eq!(ids, (0..ids.len() as u32).collect::<Vec<_>>());
                return (text, ids.len(), index + 1, true);
            }
        }
        let (text, ids) = response.finish();
        (text, ids.len(), pieces.len(), false)
    }

    #[test]
    fn a_stop_string_across_tokens_is_cut_at_its_first_token() {
        let got = run(
            &["\n\nQuestion:"],
            &["42", ".", "\n", "\n", "Quest", "ion", ":", " never"],
        );
        assert_eq!(got, ("42.".into(), 2, 7, true));
    }

    #[test]
    fn a_token_that_also_carries_response_text_is_kept() {
        let got = run(&["\n\nQuestion:"], &["42", ".\n\n", "Question", ":"]);
        assert_eq!(got, ("42.".into(), 2, 4, true));
    }

    #[test]
    fn a_stop_string_within_one_token_is_found() {
        assert_eq!(
            run(&["\n\n"], &["ab", "c\n\nd"]),
            ("abc".into(), 2, 2, true)
        );
        assert_eq!(run(&["\n\n"], &["ab", "\n\nd"]), ("ab".into(), 1, 2, true));
    }

    #[test]
    fn a_response_may_be_empty() {
        assert_eq!(run(&["\n"], &["\n"]), (String::new(), 0, 1, true));
    }

    #[test]
    fn a_false_start_does_not_stop_and_a_later_match_does() {
        let got = run(
            &["\n\nQuestion:"],
            &["a\n\nQues", "t", "\n\n", "\n\n", "Question", ":"],
        );
        // The stop string begins with the second line feed pair, which is the fourth token alone.
        assert_eq!(got, ("a\n\nQuest\n\n".into(), 3, 6, true));
        assert_eq!(
            run(&["aab"], &["a", "a", "a", "b"]),
            ("a".into(), 1, 4, true)
        );
    }

    #[test]
    fn of_several_completed_at_once_the_one_that_begins_first_counts() {
        assert_eq!(
            run(&["cd", "bcde"], &["a", "bcde"]),
            ("a".into(), 1, 2, true)
        );
        assert_eq!(
            run(&["cd", "bcde"], &["ab", "cd", "e"]),
            ("ab".into(), 1, 2, true),
            "the first to be complete ends it"
        );
    }

    #[test]
    fn a_token_without_bytes_before_the_stop_string_is_kept() {
        assert_eq!(run(&["\n"], &["a", "", "\n"]), ("a".into(), 2, 3, true));
    }

    #[test]
    fn characters_split_between_tokens_are_whole_in_the_text() {
        let bytes = "é→é".as_bytes();
        let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(
            run(&["none"], &pieces),
            ("é→é".into(), pieces.len(), pieces.len(), false)
        );
        // A stop string of several bytes, one byte a token; its lead byte 0xe2 alone is no match.
        assert_eq!(run(&["→"], &pieces), ("é".into(), 2, 5, true));
        let other: Vec<&[u8]> = "é←é".as_bytes().chunks(1).collect();
        assert_eq!(run(&["→"], &other), ("é←é".into(), 7, 7, false));
    }

    #[test]
    fn a_token_that_ends_a_character_and_begins_the_stop_string_is_kept_with_its_text() {
        let first = &"é".as_bytes()[..1];
        let second = [&"é".as_bytes()[1..], b"\n"].concat();
        assert_eq!(
            run(&["\n\n"], &[first, &second, b"\n"]),
            ("é".into(), 2, 3, true)
        );
    }

    #[test]
    fn a_cut_character_is_shown_as_the_replacement_character() {
        assert_eq!(
            run(&["x"], &[&b"a"[..], &"é".as_bytes()[..1]]).0,
            "a\u{fffd}"
        );
    }

    #[test]
    fn a_text_is_settled_once_what_decides_it_cannot_be_cut_off() {
        // Decided by the first `!` and one character behind it.
        let settled = |text: &str| {
            let at = text.find('!')? + 1;
            Some(at + text[at..].chars().next()?.len_utf8())
        };
        let when = |stops: &[&str], pieces: &[&[u8]]| {
            let rule = StopRule::new(stops);
            let mut response = Response::default();
            pieces.iter().position(|piece| {
                assert!(!response.push(0, piece, &rule));
                response.is_settled(&rule, &settled)
            })
        };
        assert_eq!(when(&[], &[b"a", b"!", b"\n", b"b"]), Some(2));
        // The line feed may belong to a stop string, until it cannot.
        assert_eq!(when(&["\n\nQ"], &[b"a!", b"\n", b"\n", b"R"]), Some(3));
        assert_eq!(when(&["\n\nQ"], &[b"a!", b"\nR"]), Some(1));
        assert_eq!(when(&["\n\nQ", "R."], &[b"a!", b"bR", b"\n"]), Some(1));
        // So may the mark itself.
        assert_eq!(when(&["!bcd"], &[b"!b", b"c", b"c"]), Some(2));
        // A character that is not whole decides nothing.
        let e = "é".as_bytes();
        assert_eq!(when(&["x"], &[b"!", &e[..1], &e[1..]]), Some(2));
        assert_eq!(when(&["x"], &[b"a", b"b"]), None);
    }

    #[test]
    fn no_stop_strings_never_stop() {
        assert_eq!(
            run(&[], &["\n\n", "Question:"]),
            ("\n\nQuestion:".into(), 2, 2, false)
        );
    }

    /// Every way of cutting a text into tokens finds the same stop and text, and keeps the tokens the rule names.
    #[test]
    fn where_it_stops_does_not_depend_on_the_tokens() {
        let text = "ab\n\nQ: cd\n\nQuestion: e";
        let stop = "\n\nQuestion:";
        let at = text.find(stop).unwrap();
        for mask in 0u32..1 << (text.len() - 1) {
            if mask % 7 != 3 {
                continue; // a seventh of the two million cuts
            }
            let mut pieces = Vec::new();
            let mut start = 0;
            for end in 1..=text.len() {
                if end == text.len() || mask >> (end - 1) & 1 == 1 {
                    pieces.push(&text[start..end]);
                    start = end;
                }
            }
            let (got, kept, _, stopped) = run(&[stop], &pieces);
            assert!(stopped && got == text[..at], "{pieces:?}");
            let lengths: usize = pieces[..kept].iter().map(|piece| piece.len()).sum();
            let fewer: usize = pieces[..kept.saturating_sub(1)]
                .iter()
                .map(|piece| piece.len())
                .sum();
            assert!(lengths >= at && fewer < at, "{pieces:?}: {kept} kept");
        }
    }
}
