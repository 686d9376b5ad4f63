//! The closed classes of English: a lower-case word in, whether it is a function word out; and the words that are numbers.
//!
//! The classes are those of the Universal Dependencies' closed parts of speech (determiners, pronouns, adpositions, conjunctions,
//! auxiliaries, particles), written out in full, and the connective adverbs that link steps of an argument. Everything else is a
//! content word. A word of two classes (`that`, `like`, `since`) is a function word if any of its common readings is one.

/// Articles, demonstratives, quantifiers, possessives.
const DETERMINERS: &[&str] = &[
    "a",
    "all",
    "an",
    "another",
    "any",
    "both",
    "each",
    "either",
    "enough",
    "every",
    "few",
    "fewer",
    "her",
    "his",
    "its",
    "less",
    "many",
    "more",
    "most",
    "much",
    "my",
    "neither",
    "no",
    "other",
    "our",
    "several",
    "some",
    "such",
    "that",
    "the",
    "their",
    "these",
    "this",
    "those",
    "what",
    "whatever",
    "which",
    "whichever",
    "whose",
    "your",
];

/// Personal, reflexive, possessive, indefinite, interrogative and relative pronouns.
const PRONOUNS: &[&str] = &[
    "anybody",
    "anyone",
    "anything",
    "everybody",
    "everyone",
    "everything",
    "he",
    "hers",
    "herself",
    "him",
    "himself",
    "i",
    "it",
    "itself",
    "me",
    "mine",
    "myself",
    "nobody",
    "none",
    "nothing",
    "one's",
    "ours",
    "ourselves",
    "others",
    "she",
    "somebody",
    "someone",
    "something",
    "theirs",
    "them",
    "themselves",
    "there",
    "they",
    "us",
    "we",
    "who",
    "whoever",
    "whom",
    "you",
    "yours",
    "yourself",
    "yourselves",
];

/// Prepositions.
const ADPOSITIONS: &[&str] = &[
    "about",
    "above",
    "across",
    "after",
    "against",
    "along",
    "among",
    "around",
    "as",
    "at",
    "before",
    "behind",
    "below",
    "beneath",
    "beside",
    "besides",
    "between",
    "beyond",
    "by",
    "despite",
    "down",
    "during",
    "except",
    "for",
    "from",
    "in",
    "inside",
    "into",
    "like",
    "near",
    "of",
    "off",
    "on",
    "onto",
    "out",
    "outside",
    "over",
    "past",
    "per",
    "since",
    "than",
    "through",
    "throughout",
    "till",
    "to",
    "toward",
    "towards",
    "under",
    "until",
    "up",
    "upon",
    "via",
    "with",
    "within",
    "without",
];

/// Coordinating and subordinating conjunctions, and the interrogative adverbs that introduce clauses.
const CONJUNCTIONS: &[&str] = &[
    "although", "and", "because", "but", "how", "if", "nor", "once", "or", "so", "though",
    "unless", "when", "whenever", "where", "whereas", "wherever", "whether", "while", "why", "yet",
];

/// Auxiliary and modal verbs, with the forms of be, do and have.
const AUXILIARIES: &[&str] = &[
    "am", "are", "be", "been", "being", "can", "cannot", "could", "did", "do", "does", "doing",
    "done", "had", "has", "have", "having", "is", "may", "might", "must", "ought", "shall",
    "should", "was", "were", "will", "would",
];

/// Negation, and adverbs that link one step to the next.
const PARTICLES_AND_CONNECTIVES: &[&str] = &[
    "also",
    "else",
    "hence",
    "however",
    "instead",
    "not",
    "only",
    "otherwise",
    "then",
    "therefore",
    "thus",
    "too",
];

/// Cardinal numbers, and words for multiples and parts, that stand for a numeral in a problem's text.
const NUMBER_WORDS: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "thousand",
    "million",
    "billion",
    "trillion",
    "dozen",
    "half",
    "twice",
    "thrice",
];

/// Whether a lower-case word belongs to a closed class. Contracted forms count by what they are made of: `it's`, `we'll` and
/// `you're` by their pronoun, every `..n't` as an auxiliary.
pub(super) fn is_function_word(word: &str) -> bool {
    let listed = |word: &str| {
        [
            DETERMINERS,
            PRONOUNS,
            ADPOSITIONS,
            CONJUNCTIONS,
            AUXILIARIES,
            PARTICLES_AND_CONNECTIVES,
        ]
        .iter()
        .any(|class| class.contains(&word))
    };
    let word = word.replace('\u{2019}', "'");
    if listed(&word) || word.ends_with("n't") {
        return true;
    }
    match word.rsplit_once('\'') {
        Some((stem, "s" | "ll" | "re" | "ve" | "d" | "m")) => listed(stem),
        _ => false,
    }
}

/// Whether a lower-case word is a number written out.
pub(super) fn is_number_word(word: &str) -> bool {
    NUMBER_WORDS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_listed_twice_or_both_as_function_and_as_number() {
        let classes = [
            DETERMINERS,
            PRONOUNS,
            ADPOSITIONS,
            CONJUNCTIONS,
            AUXILIARIES,
            PARTICLES_AND_CONNECTIVES,
            NUMBER_WORDS,
        ];
        let mut all: Vec<&str> = classes.concat();
        assert!(all.iter().all(|word| *word == word.to_lowercase()));
        all.sort_unstable();
        let before = all.len();
        let twice: Vec<&str> = all
            .windows(2)
            .filter(|w| w[0] == w[1])
            .map(|w| w[0])
            .collect();
        all.dedup();
        assert_eq!(all.len(), before, "{twice:?}");
    }

    #[test]
    fn contractions_count_by_what_they_are_made_of() {
        for word in [
            "it's",
            "we'll",
            "you\u{2019}re",
            "don't",
            "can't",
            "isn\u{2019}t",
            "i'm",
        ] {
            assert!(is_function_word(word), "{word}");
        }
        for word in ["john's", "let's", "apple's", "n'djamena"] {
            assert!(!is_function_word(word), "{word}");
        }
    }
}
