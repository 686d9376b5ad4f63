//! Units of measure: words or symbols go in; the measure they name, if it is a known one, comes out.

mod symbols;
mod table;

use table::{CODES, CURRENCIES, GENERAL, PREFIXES, PRODUCTS, UNITS};

/// One unit in a measure, with its power; the power is below zero under a fraction bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Part {
    prefix: &'static str,
    unit: &'static str,
    power: i8,
}

const NONE: Part = Part {
    prefix: "",
    unit: "",
    power: 0,
};

/// A product of at most this many units is known.
const MAX_PARTS: usize = 4;

/// A known unit, or a product of known units with their powers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Measure {
    /// In order; behind the last one stand empty ones.
    parts: [Part; MAX_PARTS],
}

impl Measure {
    pub(crate) const DEGREE: Measure = Measure::one("", "degree");
    /// Of any country.
    pub(crate) const DOLLAR: Measure = Measure::one("", "$");

    /// The measure of a currency that [`currency`] found.
    pub(crate) fn currency(code: &'static str) -> Measure {
        Measure::one("", code)
    }

    /// The measure that a whole text of symbols names: `kWh`, `kg/m^3`, `N·m`.
    pub(crate) fn of_symbols(text: &str) -> Option<Measure> {
        symbols::measure(text).map(Measure::contracted)
    }

    const fn one(prefix: &'static str, unit: &'static str) -> Measure {
        let first = Part {
            prefix,
            unit,
            power: 1,
        };
        Measure {
            parts: [first, NONE, NONE, NONE],
        }
    }

    /// The unit, if the measure is one unit to the power of one and without a prefix.
    fn bare(self) -> Option<&'static str> {
        let [first, second, ..] = self.parts;
        (first.power == 1 && first.prefix.is_empty() && second == NONE).then_some(first.unit)
    }

    /// The measure times `other` to `power`; none if it has too many units.
    fn times(self, other: Measure, power: i8) -> Option<Measure> {
        let mut parts: Vec<Part> = self.parts.into_iter().filter(|p| *p != NONE).collect();
        for part in other.parts.into_iter().filter(|p| *p != NONE) {
            let raised = part.power.checked_mul(power)?;
            let same = |p: &&mut Part| p.prefix == part.prefix && p.unit == part.unit;
            match parts.iter_mut().find(same) {
                Some(held) => held.power = held.power.checked_add(raised)?,
                None => parts.push(Part {
                    power: raised,
                    ..part
                }),
            }
        }
        parts.retain(|part| part.power != 0);
        parts.sort_unstable_by_key(|p| (p.power < 0, *p));
        if parts.is_empty() || parts.len() > MAX_PARTS {
            return None;
        }
        let mut all = [NONE; MAX_PARTS];
        all[..parts.len()].copy_from_slice(&parts);
        Some(Measure { parts: all })
    }

    fn raised(self, power: i8) -> Option<Measure> {
        let one = Measure {
            parts: [NONE; MAX_PARTS],
        };
        one.times(self, power)
    }

    /// Whether two quantities of these measures can be equal: of one measure, or one of them says less than the other, as
    /// degrees do of degrees Celsius and `$` of Canadian dollars.
    pub(crate) fn agrees(self, other: Measure) -> bool {
        let covers = |general: Measure, special: Measure| {
            let (Some(general), Some(special)) = (general.bare(), special.bare()) else {
                return false;
            };
            GENERAL
                .iter()
                .any(|(name, those)| *name == general && those.contains(&special))
        };
        self == other || covers(self, other) || covers(other, self)
    }

    /// The letters that a unit is written with, and the power of the last: a bare `5m` may be a quantity or a product.
    pub(crate) fn letters(self) -> Option<(String, u8)> {
        let [first, second, ..] = self.parts;
        let known = UNITS.iter().find(|unit| unit.name == first.unit)?;
        let symbol = format!("{}{}", first.prefix, known.symbols.first()?);
        // e and i are numbers, and the grammar reads some runs as functions.
        let product = symbol.len() <= 3
            && symbol
                .chars()
                .all(|c| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'i'));
        let power = u8::try_from(first.power).ok().filter(|p| *p > 0)?;
        (product && second == NONE).then_some((symbol, power))
    }

    pub(crate) fn is_percent(self) -> bool {
        self.bare() == Some("%")
    }

    /// The measure that words or symbols name: `square feet`, `cm^2`, `dollars`, `kg/m^3`, `miles per hour`.
    pub(crate) fn named(words: &str) -> Option<Measure> {
        let text = words.trim().trim_end_matches('.').trim();
        symbols::measure(text)
            .or_else(|| in_words(&text.to_lowercase()))
            .map(Measure::contracted)
    }

    /// The measure with the product of two units named as the one unit that it is.
    fn contracted(self) -> Measure {
        let mut measure = self;
        for (product, first, second) in PRODUCTS {
            let part = |unit: &str| measure.parts.iter().find(|p| p.unit == unit).copied();
            let (Some(a), Some(b)) = (part(first), part(second)) else {
                continue;
            };
            // As often as both stand there, above or below the fraction bar.
            let power = match (a.power > 0, b.power > 0) {
                (true, true) => a.power.min(b.power),
                (false, false) => a.power.max(b.power),
                _ => continue,
            };
            let Some(back) = power.checked_neg() else {
                continue;
            };
            let of = |prefix, unit| Measure::one(prefix, unit);
            // Times the product first, so that no step is without a unit.
            let contracted = measure
                .times(of(a.prefix, product), power)
                .and_then(|m| m.times(of(a.prefix, first), back))
                .and_then(|m| m.times(of("", second), back));
            measure = contracted.unwrap_or(measure);
        }
        measure
    }

    /// The name that keys carry.
    pub(crate) fn name(self) -> String {
        let mut name = String::new();
        for part in self.parts.iter().filter(|part| **part != NONE) {
            let power = part.power.unsigned_abs();
            if part.power < 0 {
                name.push('/');
            } else if !name.is_empty() {
                name.push('*');
            }
            name.push_str(part.prefix);
            name.push_str(part.unit);
            if power != 1 {
                name.push('^');
                name.push_str(&power.to_string());
            }
        }
        name
    }
}

/// The measure that words in lower case name.
fn in_words(text: &str) -> Option<Measure> {
    // The last one first: "meters per second per second".
    for mark in [" per ", "/", " an hour"] {
        if let Some((top, bottom)) = text.rsplit_once(mark) {
            let bottom = if mark == " an hour" { "hour" } else { bottom };
            let top = in_words(top.trim())?;
            // What money is paid for is left out: "5 dollars per hour" are 5 dollars.
            return if is_currency(top) {
                Some(top)
            } else {
                top.times(in_words(bottom.trim())?, -1)
            };
        }
    }
    for (prefix, power) in [
        ("square ", 2),
        ("sq. ", 2),
        ("sq ", 2),
        ("cubic ", 3),
        ("cu ", 3),
    ] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return word(rest.trim())?.raised(power);
        }
    }
    for (suffix, power) in [("^2", 2), ("^3", 3), (" squared", 2), (" cubed", 3)] {
        if let Some(rest) = text.strip_suffix(suffix) {
            return word(rest.trim())?.raised(power);
        }
    }
    word(text)
}

/// The measure of one word in lower case: singular or plural, with or without a prefix, or a symbol in another case.
fn word(text: &str) -> Option<Measure> {
    let singular = |text: &str, words: &[&'static str]| {
        words
            .iter()
            .any(|word| *word == text || text.strip_suffix('s').is_some_and(|text| text == *word))
    };
    if let Some((code, ..)) = CURRENCIES
        .iter()
        .find(|(code, _, words)| singular(text, words) || code.eq_ignore_ascii_case(text))
    {
        return Some(Measure::one("", code));
    }
    for unit in UNITS {
        if singular(text, unit.words) {
            return Some(Measure::one("", unit.name));
        }
        for (symbol, word, other) in PREFIXES.iter().filter(|_| unit.prefixed) {
            let bare = text.strip_prefix(word).or_else(|| text.strip_prefix(other));
            if bare.is_some_and(|text| singular(text, unit.words)) {
                let prefix = if symbol.is_empty() { word } else { symbol };
                return Some(Measure::one(prefix, unit.name));
            }
        }
    }
    symbols::in_any_case(text)
}

fn is_currency(measure: Measure) -> bool {
    let one_of =
        |name: &str| CURRENCIES.iter().any(|(code, ..)| *code == name) || CODES.contains(&name);
    measure.bare().is_some_and(one_of)
}

/// The sign or code of a currency at the head of a text, and its length in bytes: `€`, `US$`, `EUR`. The sign `$` may stand
/// behind a backslash.
pub(crate) fn currency(text: &str) -> Option<(&'static str, usize)> {
    // Letters are a sign only where no other letter follows: "kr", not "krypton".
    let apart = |sign: &str, rest: &str| {
        !(sign.ends_with(char::is_alphabetic) && rest.starts_with(char::is_alphabetic))
    };
    let at = |sign: &&'static str| {
        let Some(letters) = sign.strip_suffix('$') else {
            let rest = text.strip_prefix(*sign)?;
            return (!sign.is_ascii() || apart(sign, rest)).then_some(sign.len());
        };
        let rest = text.strip_prefix(letters)?;
        let slash = usize::from(rest.starts_with('\\'));
        rest[slash..]
            .starts_with('$')
            .then_some(letters.len() + slash + 1)
    };
    for (code, signs, _) in CURRENCIES {
        if let Some(len) = signs.iter().find_map(at) {
            return Some((code, len));
        }
    }
    for rupees in ["Rs.", "Rs"] {
        if text
            .strip_prefix(rupees)
            .is_some_and(|rest| apart("s", rest))
        {
            return Some(("Rs", rupees.len()));
        }
    }
    let len = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let code = |code: &&&'static str| code.len() == 3 && **code == &text[..len];
    let named = CURRENCIES
        .iter()
        .map(|(code, ..)| code)
        .chain(CODES)
        .find(code)?;
    Some((named, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(words: &str) -> Option<String> {
        Measure::named(words).map(Measure::name)
    }

    #[test]
    fn one_measure_has_one_name_in_words_and_symbols() {
        for (name_of, spellings) in [
            (
                "kWh",
                &["kWh", "kilowatt hours", "kilowatt-hour", "kW·h", "h·kW"][..],
            ),
            ("kWh^2", &["kWh^2", "kW^2 h^2"]),
            ("kWh/m^2", &["kWh/m^2", r"kW\cdot h/m^2"]),
            ("h*kWh", &["kW h^2", "kWh·h"]),
            ("mAh", &["mAh", "mA·h"]),
            ("decam", &["decameters", "dekameters", "dekametre"]),
            (
                "m/s^2",
                &[
                    "m/s^2",
                    "m/s/s",
                    "meters per second squared",
                    "meters per second per second",
                    "m s^{-2}",
                ],
            ),
            (
                "m^2",
                &["m^2", "square meters", "sq m", "metres squared", "m^{2}"],
            ),
            ("mile/h", &["mph", "mi/h", "miles per hour", "miles/hour"]),
            (
                "kg/m^3",
                &[
                    "kg/m^3",
                    "kilograms per cubic meter",
                    "kg m^{-3}",
                    r"kg\cdot m^{-3}",
                ],
            ),
            ("µs", &["µs", "μs", "us", "microseconds"]),
            ("kB", &["kB", "KB", "kilobytes"]),
            ("kg", &["kg", "kgs", "kilograms", "kilo", "KG"]),
            ("mL", &["ml", "mL", "millilitres"]),
            ("attos", &["attoseconds"]),
            ("TW", &["TW", "terawatt"]),
            ("pm", &["pm", "p.m.", "PM"]),
            ("pound", &["pounds"]),
            ("mW", &["mW", "milliwatts"]),
            ("MW", &["MW", "megawatts"]),
            ("EUR", &["€", "EUR", "euros"]),
            ("$", &["$", "dollars", "dollars per hour"]),
            ("celsius", &["degrees Celsius", "°C"]),
        ] {
            for spelling in spellings {
                assert_eq!(name(spelling).as_deref(), Some(name_of), "{spelling}");
            }
        }
        for unknown in ["apples", "kkg", "kin", "mpm", "", "/", "per", "m^", "of"] {
            assert_eq!(name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_currency_is_found_at_the_head_alone() {
        assert_eq!(currency("€5"), Some(("EUR", 3)));
        assert_eq!(currency("US$5"), Some(("USD", 3)));
        assert_eq!(currency(r"US\$5"), Some(("USD", 4)));
        assert_eq!(currency("Rs. 5"), Some(("Rs", 3)));
        assert_eq!(currency("CHF 5"), Some(("CHF", 3)));
        assert_eq!(currency("kr 5"), Some(("kr", 2)));
        assert_eq!(currency("krypton"), None);
        assert_eq!(currency("ABC 5"), None);
        assert_eq!(currency("EURO"), None);
        for text in ["", "\u{20ac}", "é5", "𝟓", "k", "F\u{301}", "U"] {
            let _ = currency(text);
        }
        assert_eq!(currency("zł"), Some(("PLN", 3)));
    }
}
