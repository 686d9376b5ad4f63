//! A story: its facts and its sentences, drawn; the question's text.

use super::draw::Draw;
use super::phrases::{
    ASIDES, CHANGES, COMPARISONS, CONTAINERS, GROUPS, HAVE, PEOPLE, Person, Phrase, SALES, SHARES,
    STARTS, THINGS, TOGETHER,
};

/// One sentence between the start and the question.
#[derive(Debug)]
pub(super) enum Part {
    /// The amount changes by `n`.
    Change { n: u32, phrase: &'static Phrase },
    /// `groups` times `n` are added.
    Groups {
        groups: u32,
        n: u32,
        container: &'static str,
        phrase: &'static Phrase,
    },
    /// A number that is not needed.
    Aside { n: u32, phrase: &'static Phrase },
}

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// The amount at the end.
    Have { text: &'static str },
    /// The other person's amount.
    Other { n: u32, comparison: &'static Phrase },
    /// Both amounts.
    Together {
        n: u32,
        comparison: &'static Phrase,
        text: &'static str,
        stops_early: f64,
    },
    /// What all of it is worth, at `n` each.
    Sale { n: u32, phrase: &'static Phrase },
    /// A part of it, of `n` equal ones.
    Share {
        n: u32,
        container: &'static str,
        phrase: &'static Phrase,
    },
}

#[derive(Debug)]
pub(super) struct Story {
    pub(super) a: &'static Person,
    pub(super) b: &'static Person,
    pub(super) items: &'static str,
    others: &'static str,
    pub(super) start: u32,
    start_text: &'static str,
    pub(super) parts: Vec<Part>,
    pub(super) ask: Ask,
}

impl Story {
    /// Draws a story; some have no whole or no positive solution.
    pub(super) fn draw(d: &mut Draw) -> Self {
        let a = d.pick(&PEOPLE);
        let b = another(d, &PEOPLE, a);
        let items = d.pick(&THINGS);
        let others = another(d, &THINGS, items);
        let changes = d.between(1, 2);
        let mut parts: Vec<Part> = (0..changes).map(|_| change(d)).collect();
        if d.chance(0.5) {
            let at = d.between(0, changes) as usize;
            let n = d.between(2, 12);
            let phrase = d.pick(&ASIDES);
            parts.insert(at, Part::Aside { n, phrase });
        }
        Self {
            a,
            b,
            items: *items,
            others: *others,
            start: d.between(4, 30),
            start_text: d.word(&STARTS),
            ask: ask(d),
            parts,
        }
    }

    /// The question as it is put.
    pub(super) fn question(&self) -> String {
        let mut sentences = vec![self.fill(self.start_text, self.start, 0, "")];
        for part in &self.parts {
            sentences.push(match *part {
                Part::Change { n, phrase } | Part::Aside { n, phrase } => {
                    self.fill(phrase.text, n, 0, "")
                }
                Part::Groups {
                    groups,
                    n,
                    container,
                    phrase,
                } => self.fill(phrase.text, n, groups, container),
            });
        }
        match self.ask {
            Ask::Have { text } => sentences.push(self.fill(text, 0, 0, "")),
            Ask::Other { n, comparison } => {
                sentences.push(self.fill(comparison.text, n, 0, ""));
                sentences.push(self.fill("How many {items} does {B} have?", 0, 0, ""));
            }
            Ask::Together {
                n,
                comparison,
                text,
                ..
            } => {
                sentences.push(self.fill(comparison.text, n, 0, ""));
                sentences.push(self.fill(text, 0, 0, ""));
            }
            Ask::Sale { n, phrase } => sentences.push(self.fill(phrase.text, n, 0, "")),
            Ask::Share {
                n,
                container,
                phrase,
            } => sentences.push(self.fill(phrase.text, n, 0, container)),
        }
        sentences.join(" ")
    }

    fn fill(&self, text: &str, n: u32, groups: u32, container: &str) -> String {
        let he = self.a.he;
        let capital = if he == "he" { "He" } else { "She" };
        [
            ("{A}", self.a.name),
            ("{B}", self.b.name),
            ("{He}", capital),
            ("{he}", he),
            ("{him}", self.a.him),
            ("{his}", self.a.his),
            ("{items}", self.items),
            ("{others}", self.others),
            ("{boxes}", container),
            ("{n}", &n.to_string()),
            ("{g}", &groups.to_string()),
        ]
        .iter()
        .fold(text.to_owned(), |text, (mark, value)| {
            text.replace(mark, value)
        })
    }
}

fn another<T: PartialEq>(d: &mut Draw, table: &'static [T], first: &T) -> &'static T {
    loop {
        let other = d.pick(table);
        if other != first {
            return other;
        }
    }
}

fn change(d: &mut Draw) -> Part {
    if d.chance(0.25) {
        Part::Groups {
            groups: d.between(2, 5),
            n: d.between(2, 9),
            container: d.word(&CONTAINERS),
            phrase: d.pick(&GROUPS),
        }
    } else {
        Part::Change {
            n: d.between(2, 15),
            phrase: d.pick(&CHANGES),
        }
    }
}

fn ask(d: &mut Draw) -> Ask {
    let comparison = |d: &mut Draw| {
        let phrase: &'static Phrase = d.pick(&COMPARISONS);
        let n = if phrase.operand > 0 {
            phrase.operand
        } else {
            d.between(2, 12)
        };
        (n, phrase)
    };
    match d.between(0, 9) {
        0..=2 => Ask::Have {
            text: d.word(&HAVE),
        },
        3..=4 => {
            let (n, comparison) = comparison(d);
            Ask::Other { n, comparison }
        }
        5..=6 => {
            let (n, comparison) = comparison(d);
            let &(text, stops_early) = d.pick(&TOGETHER);
            Ask::Together {
                n,
                comparison,
                text,
                stops_early,
            }
        }
        7..=8 => Ask::Sale {
            n: d.between(2, 5),
            phrase: d.pick(&SALES),
        },
        _ => Ask::Share {
            n: d.between(2, 5),
            container: d.word(&CONTAINERS),
            phrase: d.pick(&SHARES),
        },
    }
}
