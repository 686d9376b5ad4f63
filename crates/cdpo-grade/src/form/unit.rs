//! Units of measure: words go in; the measure they name, if it is a known one, comes out.

/// A known unit, with its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Measure {
    unit: &'static str,
    power: u8,
}

/// Spellings of known units. Two answers with different known units are different; unknown words are passed over.
const UNITS: &[(&str, &[&str])] = &[
    ("%", &["%", "percent", "pct", "percentage", "percents"]),
    ("degree", &["degree", "degrees", "deg", "°"]),
    ("radian", &["radian", "radians", "rad"]),
    ("dollar", &["$", "dollar", "dollars", "usd"]),
    ("cent", &["cent", "cents", "¢"]),
    ("euro", &["€", "euro", "euros"]),
    ("pound", &["£"]),
    ("lb", &["lb", "lbs", "pound", "pounds"]),
    ("ounce", &["oz", "ounce", "ounces"]),
    ("kg", &["kg", "kilogram", "kilograms", "kgs"]),
    ("g", &["g", "gram", "grams"]),
    ("mg", &["mg", "milligram", "milligrams"]),
    (
        "mm",
        &[
            "mm",
            "millimeter",
            "millimeters",
            "millimetre",
            "millimetres",
        ],
    ),
    (
        "cm",
        &[
            "cm",
            "centimeter",
            "centimeters",
            "centimetre",
            "centimetres",
        ],
    ),
    ("m", &["m", "meter", "meters", "metre", "metres"]),
    (
        "km",
        &["km", "kilometer", "kilometers", "kilometre", "kilometres"],
    ),
    ("inch", &["in", "inch", "inches"]),
    ("foot", &["ft", "foot", "feet"]),
    ("yard", &["yd", "yard", "yards"]),
    ("mile", &["mi", "mile", "miles"]),
    ("second", &["s", "sec", "secs", "second", "seconds"]),
    ("minute", &["min", "mins", "minute", "minutes"]),
    ("hour", &["h", "hr", "hrs", "hour", "hours"]),
    ("day", &["day", "days"]),
    ("week", &["week", "weeks"]),
    ("month", &["month", "months"]),
    ("year", &["year", "years"]),
    (
        "celsius",
        &["celsius", "degree celsius", "degrees celsius", "°c"],
    ),
    (
        "fahrenheit",
        &[
            "fahrenheit",
            "degree fahrenheit",
            "degrees fahrenheit",
            "°f",
        ],
    ),
    (
        "mph",
        &[
            "mph",
            "mi/h",
            "mi/hr",
            "mile per hour",
            "miles per hour",
            "miles/hour",
        ],
    ),
    (
        "km/h",
        &[
            "km/h",
            "km/hr",
            "kph",
            "kmh",
            "kilometer per hour",
            "kilometers per hour",
            "kilometres per hour",
        ],
    ),
    (
        "m/s",
        &[
            "m/s",
            "m/sec",
            "meter per second",
            "meters per second",
            "metres per second",
        ],
    ),
    (
        "ft/s",
        &["ft/s", "ft/sec", "foot per second", "feet per second"],
    ),
    ("liter", &["l", "liter", "liters", "litre", "litres"]),
    ("ml", &["ml", "milliliter", "milliliters"]),
    ("gallon", &["gallon", "gallons"]),
    ("am", &["am", "a.m", "a.m."]),
    ("pm", &["pm", "p.m", "p.m."]),
];

impl Measure {
    pub(crate) const DEGREE: Measure = Measure {
        unit: "degree",
        power: 1,
    };

    /// Whether two quantities of these measures can be equal: of one measure, or of degrees and degrees of some kind.
    pub(crate) fn agrees(self, other: Measure) -> bool {
        let of_degrees = |m: Measure| matches!(m.unit, "celsius" | "fahrenheit");
        self == other
            || (self == Self::DEGREE && of_degrees(other))
            || (other == Self::DEGREE && of_degrees(self))
    }

    /// The letter that a unit is written with, and its power: a bare `5m` may be a quantity or a product.
    pub(crate) fn letter(self) -> Option<(&'static str, u8)> {
        let letter = match self.unit {
            "m" => "m",
            "g" => "g",
            "second" => "s",
            "hour" => "h",
            "liter" => "L",
            _ => return None,
        };
        Some((letter, self.power))
    }

    pub(crate) fn is_percent(self) -> bool {
        self.unit == "%"
    }

    /// The measure that words name: `square feet`, `cm^2`, `dollars`.
    pub(crate) fn named(words: &str) -> Option<Measure> {
        let lower = words.trim().to_lowercase();
        let mut text = lower.trim_end_matches('.').trim();
        let mut power = 1;
        for (prefix, raised) in [
            ("square ", 2),
            ("sq. ", 2),
            ("sq ", 2),
            ("cubic ", 3),
            ("cu ", 3),
        ] {
            if let Some(rest) = text.strip_prefix(prefix) {
                (text, power) = (rest, raised);
                break;
            }
        }
        for (suffix, raised) in [("^2", 2), ("^3", 3), (" squared", 2), (" cubed", 3)] {
            if let Some(rest) = text.strip_suffix(suffix) {
                (text, power) = (rest.trim(), raised);
                break;
            }
        }
        let unit = UNITS
            .iter()
            .find(|(_, spellings)| spellings.contains(&text))?
            .0;
        Some(Measure { unit, power })
    }

    /// The name that keys carry.
    pub(crate) fn name(self) -> String {
        if self.power == 1 {
            self.unit.to_owned()
        } else {
            format!("{}^{}", self.unit, self.power)
        }
    }
}
