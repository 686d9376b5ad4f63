//! Words of a mathematical text and their types: text in; the words in order, with byte ranges and types, out.
//!
//! Words are cut by rule, so that a number, an operator and a word of English are never one:
//!
//! | piece of text | is one word of type |
//! |---|---|
//! | digits with groups and decimals (`2,500`, `.75`, `3.14`), with a currency sign before them (`$20`) or an ordinal's ending (`3rd`); a number written out (`twelve`, `half`) | number |
//! | `+ - * / = < > ^ %`, their Unicode forms (`×`, `÷`, `≤`, `√`, ..) and the LaTeX commands for operations and relations (`\frac`, `\times`, `\sqrt`, `\le`, ..); an `x` between two numbers | operator |
//! | letters, with apostrophes inside, of a closed class ([`WordType::Function`]) or not; LaTeX commands for letters (`\alpha`, `\pi`) | function or content |
//! | every other character; runs of the same one (`####`, `...`), calculator marks (`<<`, `>>`), emphasis (`**`), a bullet (`- ` at a line's start), a hyphen between letters, LaTeX commands for layout (`\boxed`, `\text`), runs of line breaks | punctuation |
//!
//! Other blanks belong to no word.

use serde::{Deserialize, Serialize};

use super::function_words::{is_function_word, is_number_word};

/// The five types of Table 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WordType {
    /// A word of a closed class: determiner, pronoun, preposition, conjunction, auxiliary, particle, connective.
    Function,
    /// Any other word of letters: nouns, verbs, adjectives, adverbs, names, variables.
    Content,
    /// A number, in digits or written out.
    Number,
    /// A mathematical operation or relation.
    Operator,
    /// Everything else.
    Punctuation,
}

impl WordType {
    /// All types, in Table 2's order.
    pub const ALL: [Self; 5] = [
        Self::Function,
        Self::Content,
        Self::Number,
        Self::Operator,
        Self::Punctuation,
    ];

    /// The type's name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Content => "content",
            Self::Number => "number",
            Self::Operator => "operator",
            Self::Punctuation => "punctuation",
        }
    }
}

/// One word: the bytes `start..end` of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// First byte.
    pub start: usize,
    /// One after the last byte.
    pub end: usize,
    /// Its type.
    pub kind: WordType,
}

/// LaTeX commands that are operations or relations.
const LATEX_OPERATORS: &[&str] = &[
    "frac",
    "dfrac",
    "tfrac",
    "times",
    "cdot",
    "div",
    "pm",
    "mp",
    "ast",
    "star",
    "sqrt",
    "sum",
    "prod",
    "int",
    "lim",
    "le",
    "leq",
    "ge",
    "geq",
    "lt",
    "gt",
    "ne",
    "neq",
    "equiv",
    "approx",
    "sim",
    "simeq",
    "cong",
    "propto",
    "to",
    "rightarrow",
    "Rightarrow",
    "implies",
    "iff",
    "mid",
    "nmid",
    "in",
    "notin",
    "subset",
    "subseteq",
    "cup",
    "cap",
    "setminus",
    "binom",
    "dbinom",
    "choose",
    "mod",
    "bmod",
    "pmod",
    "log",
    "ln",
    "exp",
    "sin",
    "cos",
    "tan",
    "cot",
    "sec",
    "csc",
    "arcsin",
    "arccos",
    "arctan",
    "max",
    "min",
    "gcd",
    "lcm",
    "circ",
    "over",
    "%",
];

/// LaTeX commands that are letters or names of quantities.
const LATEX_LETTERS: &[&str] = &[
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "vartheta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "varphi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Phi",
    "Psi",
    "Omega",
    "ell",
    "infty",
    "triangle",
    "angle",
    "degree",
];

/// Single characters that are operations or relations.
const OPERATORS: &str = "+-*/=<>^%×÷·∙⋅±∓−√∑∏∫≤≥≠≈≡∝→⇒∪∩∈";

/// Signs of money.
const CURRENCY: &str = "$€£¥₹";

/// The words of `text`, in order; they do not overlap, and every byte that is no blank lies in one.
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            let blanks = at + run(&text[at..], char::is_whitespace);
            if text[at..blanks].contains('\n') {
                words.push(Word {
                    start: at,
                    end: blanks,
                    kind: WordType::Punctuation,
                });
            }
            at = blanks;
            continue;
        }
        let (length, kind) = word_at(text, at, c);
        words.push(Word {
            start: at,
            end: at + length,
            kind,
        });
        at += length;
    }
    times_signs(text, &mut words);
    words
}

/// Length in bytes and type of the word that begins with `c` at `at`.
fn word_at(text: &str, at: usize, c: char) -> (usize, WordType) {
    let rest = &text[at..];
    let after = &rest[c.len_utf8()..];
    if c == '\\' {
        return latex(rest);
    }
    if let Some(length) = number(rest) {
        return (length, WordType::Number);
    }
    if CURRENCY.contains(c)
        && let Some(length) = number(after)
    {
        return (c.len_utf8() + length, WordType::Number);
    }
    if c.is_alphabetic() {
        let length = letters(rest);
        let word = rest[..length].to_lowercase();
        let kind = if is_number_word(&word) {
            WordType::Number
        } else if is_function_word(&word) {
            WordType::Function
        } else {
            WordType::Content
        };
        return (length, kind);
    }
    let length = run(rest, |other| other == c);
    if OPERATORS.contains(c) {
        if is_mark(text, at, c, length) {
            return (length, WordType::Punctuation);
        }
        // `**` is one operator; of `--5` the second sign is another.
        let one = if c == '*' { length } else { c.len_utf8() };
        return (one, WordType::Operator);
    }
    (length, WordType::Punctuation)
}

/// Whether a run of an operator's character is a mark of the text instead: a calculator's bracket, emphasis, a bullet, a hyphen.
fn is_mark(text: &str, at: usize, c: char, length: usize) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at + length..].chars().next();
    let count = length / c.len_utf8();
    let at_line_start = text[..at]
        .trim_end_matches([' ', '\t'])
        .chars()
        .next_back()
        .is_none_or(|b| b == '\n');
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    match c {
        '<' | '>' => count == 2,
        '*' if count > 1 => !(digit(before) && digit(after)),
        '=' | '-' if count > 2 => true,
        '*' | '-' | '+' if at_line_start && after == Some(' ') => true,
        '-' => count == 1 && letter(before) && letter(after),
        _ => false,
    }
}

/// A LaTeX command: a backslash and letters, or a backslash and one character.
fn latex(rest: &str) -> (usize, WordType) {
    let name = &rest[1..];
    let length = match run(name, |c| c.is_ascii_alphabetic()) {
        0 => name.chars().next().map_or(0, char::len_utf8),
        letters => letters,
    };
    let name = &name[..length];
    let kind = if LATEX_OPERATORS.contains(&name) {
        WordType::Operator
    } else if LATEX_LETTERS.contains(&name) {
        WordType::Content
    } else {
        WordType::Punctuation
    };
    (1 + length, kind)
}

/// The length of the number that `rest` begins with: digits, groups of three behind commas, decimals, an ordinal's ending.
fn number(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut end = digits(0);
    while end > 0 && bytes.get(end) == Some(&b',') && digits(end + 1) == 3 {
        end += 4;
    }
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if end == 0 {
        return None;
    }
    let letters = run(&rest[end..], char::is_alphabetic);
    if ["st", "nd", "rd", "th"].contains(&rest[end..end + letters].to_lowercase().as_str()) {
        end += letters;
    }
    Some(end)
}

/// The length of the word of letters that `rest` begins with; an apostrophe between letters belongs to it.
fn letters(rest: &str) -> usize {
    let mut end = run(rest, char::is_alphabetic);
    while let Some(mark) = rest[end..]
        .chars()
        .next()
        .filter(|c| ['\'', '\u{2019}'].contains(c))
    {
        match run(&rest[end + mark.len_utf8()..], char::is_alphabetic) {
            0 => break,
            more => end += mark.len_utf8() + more,
        }
    }
    end
}

/// An `x` between two numbers is a times sign.
fn times_signs(text: &str, words: &mut [Word]) {
    for i in 1..words.len().saturating_sub(1) {
        let is_x = matches!(&text[words[i].start..words[i].end], "x" | "X");
        if is_x && words[i - 1].kind == WordType::Number && words[i + 1].kind == WordType::Number {
            words[i].kind = WordType::Operator;
        }
    }
}

/// Bytes of the longest beginning of `text` all of whose characters satisfy `is`.
fn run(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests;
