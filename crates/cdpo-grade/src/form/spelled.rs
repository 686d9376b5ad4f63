//! Numbers in words: a text in lower case goes in, the number that it spells, and its unit, come out.

use crate::measure::Measure;
use crate::rational::{Rational, integer};

const ONES: [&str; 20] = [
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
];
const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const SCALES: [(&str, i64); 4] = [
    ("trillion", 1_000_000_000_000),
    ("billion", 1_000_000_000),
    ("million", 1_000_000),
    ("thousand", 1_000),
];
/// Parts from a half to a tenth; more than one of them end in s, or in "halves".
const PARTS: [(&str, i64); 10] = [
    ("half", 2),
    ("third", 3),
    ("quarter", 4),
    ("fourth", 4),
    ("fifth", 5),
    ("sixth", 6),
    ("seventh", 7),
    ("eighth", 8),
    ("ninth", 9),
    ("tenth", 10),
];

/// The number that a whole text spells, with a known unit if it ends in one: "forty-two", "one hundred and five dollars", "three
/// quarters", "two and a half", "one hundred and three quarters". "Half" by itself, "a dozen" and ordinals are words like others.
pub(crate) fn number(text: &str) -> Option<(Rational, Option<Measure>)> {
    if text.len() > 200 {
        return None;
    }
    let words: Vec<&str> = text.split([' ', '-']).collect();
    let begins = |word: &&str| {
        ["minus", "negative", "a"].contains(word) || ONES.contains(word) || TENS.contains(word)
    };
    if !words.first().is_some_and(begins) {
        return None;
    }
    if let Some(number) = signed(&words) {
        return Some((number, None));
    }
    (1..words.len().min(4)).find_map(|count| {
        let (number, unit) = words.split_at(words.len() - count);
        let measure = Measure::named(&unit.join(" "))?;
        Some((signed(number)?, Some(measure)))
    })
}

fn signed(words: &[&str]) -> Option<Rational> {
    match words {
        ["minus" | "negative", rest @ ..] => Some(-unsigned(rest)?),
        words => unsigned(words),
    }
}

fn unsigned(words: &[&str]) -> Option<Rational> {
    if let Some(whole) = cardinal(words) {
        return Some(integer(whole));
    }
    let Some(and) = words.iter().rposition(|word| *word == "and") else {
        return parts(words);
    };
    // "One hundred and three quarters" is 100 3/4. "One hundred and five halves" may be two numbers.
    let part = parts(&words[and + 1..]).filter(|part| *part < integer(1))?;
    Some(integer(cardinal(&words[..and])?) + part)
}

/// "Three quarters", "one half", "a third". Of more than one the plural alone: "twenty fifth" is no number of fifths.
fn parts(words: &[&str]) -> Option<Rational> {
    let (part, count) = words.split_last()?;
    let one = matches!(count, ["a" | "one"]);
    let count = if one { 1 } else { cardinal(count)? };
    let named = |(name, _): &&(&str, i64)| {
        if one {
            name == part
        } else if *name == "half" {
            *part == "halves"
        } else {
            part.strip_suffix('s') == Some(name)
        }
    };
    let (_, whole) = PARTS.iter().find(named)?;
    Some(integer(count) / integer(*whole))
}

/// A whole number in words, "and" only after hundreds and larger: "one hundred and five".
fn cardinal(words: &[&str]) -> Option<i64> {
    if let ["zero"] = words {
        return Some(0);
    }
    let (mut total, mut group, mut next_scale) = (0i64, 0i64, 0);
    for (i, word) in words.iter().enumerate() {
        let is_one = *word == "a" && i == 0 && words.len() > 1;
        let one = ONES.iter().position(|w| w == word).filter(|n| *n > 0);
        let ten = TENS.iter().position(|w| w == word);
        let scale = SCALES.iter().position(|(w, _)| w == word);
        match (one.or(is_one.then_some(1)), ten) {
            (Some(n), _) if group % 100 == 0 || (n < 10 && group % 10 == 0 && group % 100 > 10) => {
                group += n as i64;
            }
            (None, Some(n)) if group % 100 == 0 => group += (n as i64 + 2) * 10,
            (None, None) if *word == "hundred" && (1..100).contains(&group) => group *= 100,
            (None, None) if *word == "and" && i > 0 && i + 1 < words.len() => {
                let after_large =
                    words[i - 1] == "hundred" || SCALES.iter().any(|(w, _)| *w == words[i - 1]);
                if !after_large {
                    return None;
                }
            }
            (None, None) => {
                let scale = scale.filter(|at| group > 0 && *at >= next_scale)?;
                total += group * SCALES[scale].1;
                (group, next_scale) = (0, scale + 1);
            }
            _ => return None,
        }
    }
    (total + group > 0).then_some(total + group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        let (number, measure) = number(text)?;
        Some(match measure {
            Some(measure) => format!("{number} {}", measure.name()),
            None => number.to_string(),
        })
    }

    #[test]
    fn numbers_in_words_have_their_value() {
        for (text, value) in [
            ("zero", "0"),
            ("seven", "7"),
            ("forty-two", "42"),
            ("forty two", "42"),
            ("one hundred", "100"),
            ("a hundred", "100"),
            ("one hundred and five", "105"),
            ("one hundred five", "105"),
            ("twelve hundred", "1200"),
            (
                "nine hundred ninety-nine thousand nine hundred ninety-nine",
                "999999",
            ),
            ("two million three thousand and one", "2003001"),
            ("minus five", "-5"),
            ("negative forty-two", "-42"),
            ("three quarters", "3/4"),
            ("two thirds", "2/3"),
            ("one half", "1/2"),
            ("a third", "1/3"),
            ("three halves", "3/2"),
            ("two and a half", "5/2"),
            ("two and three quarters", "11/4"),
            ("one hundred and three quarters", "403/4"),
            ("one hundred three quarters", "103/4"),
            ("one hundred and five and one third", "316/3"),
            ("minus two and two thirds dollars", "-8/3 $"),
            ("fifty percent", "50 %"),
            ("forty-two dollars", "42 $"),
            ("five square meters", "5 m^2"),
            ("sixty miles per hour", "60 mile/h"),
        ] {
            assert_eq!(told(text).as_deref(), Some(value), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in [
            "",
            "and",
            "half",
            "a",
            "hundred",
            "thousand",
            "a five",
            "forty twelve",
            "two three",
            "one and two",
            "one hundred and five halves",
            "two and five quarters",
            "half and a third",
            "five and",
            "thousand two",
            "two thousand three million",
            "twenty fifth",
            "three third",
            "first",
            "a dozen",
            "zero five",
            "twenty zero",
            "one hundred hundred",
            "four apples",
            "five and six dollars",
            "the two",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
