//! Regular expressions over module names, as PEFT's configurations hold them: the part of Python's syntax that names of modules are
//! written with. A pattern that uses more is refused, never matched in another sense.
//!
//! Goes in: a pattern's text, then a name. Comes out: whether the whole name matches. All ends that a part can reach are followed
//! together, so the time is bounded by the sizes of name and pattern; whether a repetition is greedy makes no difference to that.

use std::collections::BTreeSet;

/// Limits that no real pattern comes near.
const MAX_LENGTH: usize = 4096;
const MAX_DEPTH: usize = 32;
const MAX_REPEAT: usize = 256;

/// A pattern, ready to match.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// One character of a set.
    One(Set),
    Start,
    End,
    /// One after the other.
    All(Vec<Node>),
    /// One of them.
    Any(Vec<Node>),
    Repeat(Box<Node>, usize, Option<usize>),
    /// Whether what follows matches; nothing is consumed.
    Ahead(Box<Node>, bool),
}

#[derive(Debug, Clone, PartialEq)]
struct Set {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Set {
    fn has(&self, c: char) -> bool {
        self.ranges.iter().any(|&(from, to)| from <= c && c <= to) != self.negated
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What cannot be read, for the message.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("is longer than {MAX_LENGTH} bytes"));
        }
        let mut parser = Parser {
            text: text.chars().collect(),
            at: 0,
            depth: 0,
        };
        let node = parser.alternatives()?;
        match parser.peek() {
            None => Ok(Self(node)),
            Some(c) => Err(format!("has a `{c}` too many")),
        }
    }

    /// The pattern behind any prefix that ends in a dot, or none: PEFT's `(.*\.)?(PATTERN)`.
    pub(super) fn of_last_parts(text: &str) -> Result<Self, String> {
        let Self(node) = Self::new(text)?;
        let dot = Set {
            ranges: vec![('.', '.')],
            negated: false,
        };
        let anything = Set {
            ranges: vec![],
            negated: true,
        };
        let prefix = Node::All(vec![
            Node::Repeat(Box::new(Node::One(anything)), 0, None),
            Node::One(dot),
        ]);
        let prefix = Node::Repeat(Box::new(prefix), 0, Some(1));
        Ok(Self(Node::All(vec![prefix, node])))
    }

    /// Whether the whole of `name` matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        let text: Vec<char> = name.chars().collect();
        ends(&self.0, &text, &BTreeSet::from([0])).contains(&text.len())
    }
}

/// Where a match of `node` can end that begins at one of `from`.
fn ends(node: &Node, text: &[char], from: &BTreeSet<usize>) -> BTreeSet<usize> {
    match node {
        Node::One(set) => from
            .iter()
            .filter(|&&i| text.get(i).is_some_and(|&c| set.has(c)))
            .map(|i| i + 1)
            .collect(),
        Node::Start => from.iter().copied().filter(|&i| i == 0).collect(),
        Node::End => from.iter().copied().filter(|&i| i == text.len()).collect(),
        Node::All(parts) => parts
            .iter()
            .fold(from.clone(), |from, part| ends(part, text, &from)),
        Node::Any(parts) => parts
            .iter()
            .flat_map(|part| ends(part, text, from))
            .collect(),
        Node::Repeat(part, min, max) => {
            let mut last = from.clone();
            for _ in 0..*min {
                last = ends(part, text, &last);
            }
            let mut reached = last.clone();
            let mut times = *min;
            while !last.is_empty() && max.is_none_or(|max| times < max) {
                last = &ends(part, text, &last) - &reached;
                reached.extend(&last);
                times += 1;
            }
            reached
        }
        Node::Ahead(part, wanted) => from
            .iter()
            .copied()
            .filter(|&i| ends(part, text, &BTreeSet::from([i])).is_empty() != *wanted)
            .collect(),
    }
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += 1;
        c
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = text
            .chars()
            .enumerate()
            .all(|(i, c)| self.text.get(self.at + i) == Some(&c));
        if found {
            self.at += text.len();
        }
        found
    }

    fn alternatives(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("has more than {MAX_DEPTH} groups in each other"));
        }
        let mut all = vec![self.sequence()?];
        while self.eat("|") {
            all.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(Node::Any(all))
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            let part = self.atom()?;
            parts.push(self.repeated(part)?);
        }
        Ok(Node::All(parts))
    }

    fn atom(&mut self) -> Result<Node, String> {
        let one = |ranges, negated| Node::One(Set { ranges, negated });
        Ok(match self.take() {
            Some('.') => one(vec![('\n', '\n')], true),
            Some('^') => Node::Start,
            Some('$') => Node::End,
            Some('(') => return self.group(),
            Some('[') => return self.class(),
            Some('\\') => {
                let (ranges, negated) = self.escape()?;
                one(ranges, negated)
            }
            Some(c @ ('*' | '+' | '?' | '{')) => return Err(format!("has a `{c}` after nothing")),
            Some(c) => one(vec![(c, c)], false),
            None => return Err("ends too early".into()),
        })
    }

    fn group(&mut self) -> Result<Node, String> {
        let mut ahead = None;
        if self.eat("?=") {
            ahead = Some(true);
        } else if self.eat("?!") {
            ahead = Some(false);
        } else if self.eat("?P<") {
            while self.take().is_some_and(|c| c != '>') {}
        } else if !self.eat("?:") && self.peek() == Some('?') {
            return Err("has a group of a kind that is not known here; known are (..), (?:..), (?P<..>..), (?=..), (?!..)".into());
        }
        let node = self.alternatives()?;
        if !self.eat(")") {
            return Err("has a group that is not closed".into());
        }
        Ok(match ahead {
            Some(wanted) => Node::Ahead(Box::new(node), wanted),
            None => node,
        })
    }

    /// What stands after a backslash.
    fn escape(&mut self) -> Result<(Vec<(char, char)>, bool), String> {
        let word = || vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')];
        match self.take() {
            Some('d') => Ok((vec![('0', '9')], false)),
            Some('D') => Ok((vec![('0', '9')], true)),
            Some('w') => Ok((word(), false)),
            Some('W') => Ok((word(), true)),
            Some(c) if c.is_ascii_punctuation() => Ok((vec![(c, c)], false)),
            Some(c) => Err(format!("has `\\{c}`, which is not known here")),
            None => Err("ends in a backslash".into()),
        }
    }

    fn class(&mut self) -> Result<Node, String> {
        let negated = self.eat("^");
        let mut ranges: Vec<(char, char)> = Vec::new();
        let mut first = true;
        loop {
            match self.take() {
                None => return Err("has a `[` that is not closed".into()),
                Some(']') if !first => break,
                Some('[') => return Err("has a `[` within `[..]`".into()),
                Some('\\') => match self.escape()? {
                    (more, false) => ranges.extend(more),
                    (_, true) => return Err("has a negated class within `[..]`".into()),
                },
                Some(from) => {
                    let ranged =
                        self.peek() == Some('-') && self.text.get(self.at + 1) != Some(&']');
                    let mut to = from;
                    if ranged {
                        self.at += 1;
                        to = self.take().ok_or("has a `[` that is not closed")?;
                        if to < from || to == '\\' || to == '[' {
                            return Err(format!("has the range `{from}-{to}`"));
                        }
                    }
                    ranges.push((from, to));
                }
            }
            first = false;
        }
        Ok(Node::One(Set { ranges, negated }))
    }

    fn repeated(&mut self, node: Node) -> Result<Node, String> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => self.counts()?,
            _ => return Ok(node),
        };
        self.at += 1;
        self.eat("?");
        if matches!(self.peek(), Some('*' | '+' | '?' | '{')) {
            return Err("has a repetition of a repetition".into());
        }
        Ok(Node::Repeat(Box::new(node), min, max))
    }

    /// `{m}`, `{m,}`, `{,n}` or `{m,n}`, up to the closing brace.
    fn counts(&mut self) -> Result<(usize, Option<usize>), String> {
        let close = self.text[self.at..].iter().position(|&c| c == '}');
        let close = self.at + close.ok_or("has a `{` that is not closed")?;
        let inner: String = self.text[self.at + 1..close].iter().collect();
        self.at = close;
        let number = |text: &str| match text.parse::<usize>() {
            Ok(n) if n <= MAX_REPEAT => Ok(n),
            _ => Err(format!("has the repetition {{{inner}}}")),
        };
        match inner.split_once(',') {
            None => number(&inner).map(|n| (n, Some(n))),
            Some((min, max)) => {
                let min = if min.is_empty() { 0 } else { number(min)? };
                let max = if max.is_empty() {
                    None
                } else {
                    Some(number(max)?)
                };
                match max {
                    Some(max) if max < min => Err(format!("has the repetition {{{inner}}}")),
                    _ => Ok((min, max)),
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Verdicts of Python 3.11's `re.fullmatch`.
    #[test]
    fn names_match_as_pythons_fullmatch_has_them() {
        let name = "model.layers.12.self_attn.q_proj";
        for (pattern, expected) in [
            (r".*\.(q|v)_proj", true),
            (r".*\.(k|v)_proj", false),
            (r"q_proj", false),
            (r".*q_proj$", true),
            (r"^model\.layers\.\d+\.self_attn\.[qkv]_proj$", true),
            (r"model.layers.(1[0-3]|2).self_attn.q_proj", true),
            (r"model.layers.(1|2).self_attn.q_proj", false),
            (r"model\.layers\.(?:[02468]|1[02])\..*", true),
            (r"^(?!.*lm_head).*_proj", true),
            (r"^(?!.*self_attn).*_proj", false),
            (r"(?=.*\.12\.).*?", true),
            (r"(?P<start>model)(\.\w+)*", true),
            (r"(\.\w+)*", false),
            (r".*[^k]_proj", true),
            (r"[a-z_.0-9]{32}", true),
            (r"[a-z_.0-9]{33,}", false),
            (r"[a-z_.0-9]{,32}?", true),
            (r"", false),
            (r"(.*)*(.*)*x", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).unwrap().matches(name),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_pattern_of_last_parts_stands_behind_a_dot_or_nothing() {
        let pattern = Pattern::of_last_parts("q_proj|0.self_attn.k_proj").unwrap();
        for (name, expected) in [
            ("model.layers.0.self_attn.q_proj", true),
            ("q_proj", true),
            ("x_q_proj", false),
            ("model.layers.0.self_attn.k_proj", true),
            ("model.layers.10.self_attn.k_proj", false),
        ] {
            assert_eq!(pattern.matches(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_with_the_reason() {
        for (pattern, reason) in [
            ("(q_proj", "not closed"),
            ("q_proj)", "too many"),
            ("*q", "after nothing"),
            (r"\bq_proj", "\\b"),
            ("(?i)Q_PROJ", "kind that is not known"),
            ("(?<=x)q", "kind that is not known"),
            ("[a", "not closed"),
            ("a{2", "not closed"),
            ("a{3,2}", "{3,2}"),
            ("a{99999}", "{99999}"),
            ("a**", "repetition of a repetition"),
            ("a\\", "backslash"),
        ] {
            let error = Pattern::new(pattern).unwrap_err();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
        assert!(
            Pattern::new(&"(".repeat(100))
                .unwrap_err()
                .contains("groups")
        );
    }
}
