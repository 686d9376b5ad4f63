//! The words of the stories: people, things, and the sentences with what each is misread as, and how often.
//!
//! `misread` is no property of the data set, whose solutions are always right. It is the share of the *pre-training corpus's*
//! solutions that take the sentence for something else. Above one half, a model that learned the corpus well reads the sentence
//! wrongly when it decodes greedily; below, only now and then when it is sampled.

/// Somebody in a story.
#[derive(Debug, PartialEq)]
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) he: &'static str,
    pub(super) him: &'static str,
    pub(super) his: &'static str,
}

const fn he(name: &'static str) -> Person {
    Person {
        name,
        he: "he",
        him: "him",
        his: "his",
    }
}

const fn she(name: &'static str) -> Person {
    Person {
        name,
        he: "she",
        him: "her",
        his: "her",
    }
}

pub(super) const PEOPLE: [Person; 16] = [
    he("Tom"),
    he("Ben"),
    he("Sam"),
    he("Max"),
    he("Leo"),
    he("Jack"),
    he("Omar"),
    he("Paul"),
    she("Anna"),
    she("Mia"),
    she("Lily"),
    she("Sara"),
    she("Nina"),
    she("Emma"),
    she("Ruth"),
    she("Zoe"),
];

pub(super) const THINGS: [&str; 20] = [
    "apples", "pears", "plums", "eggs", "books", "pens", "coins", "cards", "stamps", "shells",
    "marbles", "stones", "beads", "cookies", "candies", "toys", "stickers", "buttons", "flowers",
    "tickets",
];

pub(super) const CONTAINERS: [&str; 5] = ["boxes", "bags", "packs", "jars", "baskets"];

/// A step of arithmetic on the amount at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
}

impl Op {
    pub(super) fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Sub => '-',
            Self::Mul => '*',
            Self::Div => '/',
        }
    }

    /// The result, if it is a number that occurs in stories: 2 to 150, and whole.
    pub(super) fn of(self, a: u32, b: u32) -> Option<u32> {
        let result = match self {
            Self::Add => a + b,
            Self::Sub => a.checked_sub(b)?,
            Self::Mul => a * b,
            Self::Div if a.is_multiple_of(b) => a / b,
            Self::Div => return None,
        };
        (2..=150).contains(&result).then_some(result)
    }
}

/// A sentence, what it means, and what it is misread as with which frequency.
#[derive(Debug, PartialEq)]
pub(super) struct Phrase {
    pub(super) text: &'static str,
    pub(super) op: Op,
    /// The operand, where the sentence fixes it (`twice`); 0 where it is drawn.
    pub(super) operand: u32,
    pub(super) misread_as: Op,
    pub(super) misread: f64,
}

const fn phrase(text: &'static str, op: Op, misread_as: Op, misread: f64) -> Phrase {
    Phrase {
        text,
        op,
        operand: 0,
        misread_as,
        misread,
    }
}

const fn fixed(text: &'static str, operand: u32, op: Op, misread_as: Op, misread: f64) -> Phrase {
    Phrase {
        text,
        op,
        operand,
        misread_as,
        misread,
    }
}

use Op::{Add, Div, Mul, Sub};

pub(super) const STARTS: [&str; 4] = [
    "{A} has {n} {items}.",
    "{A} starts with {n} {items}.",
    "{A} has {n} {items} at home.",
    "In the morning {A} has {n} {items}.",
];

/// The amount goes up or down by a number.
pub(super) const CHANGES: [Phrase; 14] = [
    phrase("{He} buys {n} more {items}.", Add, Sub, 0.02),
    phrase("{He} finds {n} {items}.", Add, Sub, 0.05),
    phrase("Then {he} makes {n} more.", Add, Sub, 0.02),
    phrase("{B} gives {him} {n} {items}.", Add, Sub, 0.25),
    phrase("{He} gets {n} {items} from {B}.", Add, Sub, 0.2),
    phrase("{He} gets back {n} {items} that {B} took.", Add, Sub, 0.65),
    phrase("{He} takes {n} {items} from {B}.", Add, Sub, 0.65),
    phrase("{He} loses {n} {items}.", Sub, Add, 0.02),
    phrase("{He} sells {n} of them.", Sub, Add, 0.05),
    phrase("{He} gives {n} {items} to {B}.", Sub, Add, 0.2),
    phrase("{B} takes {n} of {his} {items}.", Sub, Add, 0.25),
    phrase("{He} lends {n} {items} to {B}.", Sub, Add, 0.6),
    phrase("{B} gets {n} {items} from {him}.", Sub, Add, 0.65),
    phrase("{He} pays {B} with {n} {items}.", Sub, Add, 0.6),
];

/// Groups of a size are added; misread, size and number are added up.
pub(super) const GROUPS: [Phrase; 2] = [
    phrase(
        "{He} buys {g} {boxes} with {n} {items} in each.",
        Mul,
        Add,
        0.25,
    ),
    phrase("{He} finds {g} {boxes} of {n} {items}.", Mul, Add, 0.4),
];

/// Numbers that the question does not need; misread, they are added.
pub(super) const ASIDES: [Phrase; 6] = [
    phrase("{He} also has {n} {others}.", Add, Add, 0.3),
    phrase("There are {n} {others} on the table.", Add, Add, 0.15),
    phrase("{B} has {n} {others}.", Add, Add, 0.1),
    phrase("{He} is {n} years old.", Add, Add, 0.05),
    phrase("{B} also buys {n} {items}.", Add, Add, 0.6),
    phrase("{He} wants to buy {n} {items} later.", Add, Add, 0.65),
];

/// What the other one has, seen from the first one's amount.
pub(super) const COMPARISONS: [Phrase; 8] = [
    phrase("{B} has {n} more {items} than {A}.", Add, Sub, 0.1),
    phrase("{B} has {n} fewer {items} than {A}.", Sub, Add, 0.3),
    phrase("{A} now has {n} more {items} than {B}.", Sub, Add, 0.65),
    phrase("{A} now has {n} fewer {items} than {B}.", Add, Sub, 0.65),
    fixed("{B} has twice as many {items} as {A}.", 2, Mul, Add, 0.15),
    fixed("{B} has half as many {items} as {A}.", 2, Div, Mul, 0.3),
    fixed(
        "{A} now has twice as many {items} as {B}.",
        2,
        Div,
        Mul,
        0.65,
    ),
    fixed("{A} now has half as many {items} as {B}.", 2, Mul, Div, 0.6),
];

/// Selling all: the price is drawn.
pub(super) const SALES: [Phrase; 2] = [
    phrase(
        "{He} sells all of them for {n} dollars each. How many dollars does {he} get?",
        Mul,
        Add,
        0.2,
    ),
    phrase(
        "Each one costs {n} dollars. How many dollars do they all cost?",
        Mul,
        Add,
        0.35,
    ),
];

/// Sharing all: the number of parts is drawn.
pub(super) const SHARES: [Phrase; 2] = [
    phrase(
        "{He} puts them into {n} {boxes} equally. How many {items} are in each?",
        Div,
        Sub,
        0.2,
    ),
    phrase(
        "{He} shares all of them with {n} friends equally. How many {items} does each friend get?",
        Div,
        Sub,
        0.35,
    ),
];

pub(super) const HAVE: [&str; 2] = [
    "How many {items} does {A} have now?",
    "How many {items} does {he} have in the end?",
];

/// The sum of both; misread, the last step is left out.
pub(super) const TOGETHER: [(&str, f64); 2] = [
    ("How many {items} do they have together?", 0.15),
    ("How many {items} do {A} and {B} have in all?", 0.3),
];

/// How a line of a solution begins.
pub(super) const CONNECTORS: [&str; 3] = ["Then", "Now", "So"];
