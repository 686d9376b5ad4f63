//! The table of units and currencies: names, symbols with the prefixes they take, and words.

/// One unit of measure.
pub(super) struct Unit {
    /// The name that keys carry; the symbol where there is one.
    pub(super) name: &'static str,
    /// Symbols, in the letters' case.
    pub(super) symbols: &'static [&'static str],
    /// Whether symbols and words may carry a prefix.
    pub(super) prefixed: bool,
    /// Words in the singular, lower case.
    pub(super) words: &'static [&'static str],
}

const fn plain(
    name: &'static str,
    symbols: &'static [&'static str],
    words: &'static [&'static str],
) -> Unit {
    Unit {
        name,
        symbols,
        prefixed: false,
        words,
    }
}

const fn si(
    name: &'static str,
    symbols: &'static [&'static str],
    words: &'static [&'static str],
) -> Unit {
    Unit {
        name,
        symbols,
        prefixed: true,
        words,
    }
}

/// The prefixes of the SI: symbol, word, and the word's other spelling (the same where there is none). Every spelling of micro stands for `µ`. Those
/// without a symbol are read in words alone: their letters are seldom used, and make words and variables of other units ("as", "Em").
pub(super) const PREFIXES: &[(&str, &str, &str)] = &[
    ("", "quetta", "quetta"),
    ("", "ronna", "ronna"),
    ("", "yotta", "yotta"),
    ("", "zetta", "zetta"),
    ("", "exa", "exa"),
    ("P", "peta", "peta"),
    ("T", "tera", "tera"),
    ("G", "giga", "giga"),
    ("M", "mega", "mega"),
    ("k", "kilo", "kilo"),
    ("h", "hecto", "hecto"),
    ("", "deca", "deka"),
    ("d", "deci", "deci"),
    ("c", "centi", "centi"),
    ("m", "milli", "milli"),
    ("µ", "micro", "micro"),
    ("n", "nano", "nano"),
    ("p", "pico", "pico"),
    ("f", "femto", "femto"),
    ("", "atto", "atto"),
    ("", "zepto", "zepto"),
    ("", "yocto", "yocto"),
    ("", "ronto", "ronto"),
    ("", "quecto", "quecto"),
];

/// Known units. Two answers with different known units are different; unknown words are passed over. A unit of the SI takes every
/// prefix: the table is of units, and what they are written with is a product of the two.
pub(super) const UNITS: &[Unit] = &[
    plain("%", &["%"], &["percent", "pct", "percentage"]),
    // Length, area, volume.
    si("m", &["m"], &["meter", "metre"]),
    plain("inch", &["in"], &["inch", "inches"]),
    plain("foot", &["ft"], &["foot", "feet"]),
    plain("yard", &["yd", "yds"], &["yard"]),
    plain("mile", &["mi"], &["mile"]),
    plain("nautical mile", &["nmi"], &["nautical mile"]),
    plain("ly", &["ly"], &["light year", "light-year", "lightyear"]),
    plain("Å", &["Å"], &["angstrom", "ångström"]),
    plain("ha", &["ha"], &["hectare"]),
    plain("acre", &["ac"], &["acre"]),
    si("L", &["L", "l"], &["liter", "litre"]),
    plain("gallon", &["gal"], &["gallon"]),
    plain("quart", &["qt"], &["quart"]),
    plain("pint", &["pt"], &["pint"]),
    plain("fluid ounce", &["fl oz"], &["fluid ounce"]),
    // Mass.
    si("g", &["g", "gs"], &["gram", "gramme"]),
    plain("t", &["t"], &["tonne", "metric ton"]),
    plain("lb", &["lb", "lbs"], &[]),
    // Of mass or of money.
    plain("pound", &[], &["pound"]),
    plain("ounce", &["oz"], &["ounce"]),
    // Time and angles.
    si("s", &["s", "sec", "secs"], &["second"]),
    plain("min", &["min", "mins"], &["minute"]),
    plain("h", &["h", "hr", "hrs"], &["hour"]),
    plain("day", &[], &["day"]),
    plain("week", &["wk", "wks"], &["week"]),
    plain("month", &[], &["month"]),
    plain("year", &["yr", "yrs"], &["year"]),
    plain("am", &["am", "a.m", "a.m.", "AM", "A.M", "A.M."], &[]),
    plain("pm", &["pm", "p.m", "p.m.", "PM", "P.M", "P.M."], &[]),
    plain("degree", &["°"], &["degree", "deg"]),
    si("rad", &["rad"], &["radian"]),
    plain("sr", &["sr"], &["steradian"]),
    plain("rev", &["rev"], &["revolution"]),
    // Temperature: a lone letter may be another unit.
    plain(
        "celsius",
        &["°C", "℃"],
        &["celsius", "degree celsius", "degrees celsius", "centigrade"],
    ),
    plain(
        "fahrenheit",
        &["°F", "℉"],
        &["fahrenheit", "degree fahrenheit", "degrees fahrenheit"],
    ),
    plain("C", &["C"], &[]),
    plain("F", &["F"], &[]),
    si("K", &["K"], &["kelvin"]),
    // Mechanics, electricity, light, radiation, chemistry.
    si("N", &["N"], &["newton"]),
    si("Pa", &["Pa"], &["pascal"]),
    si("bar", &["bar"], &["bar"]),
    plain("atm", &["atm"], &["atmosphere"]),
    plain("psi", &["psi"], &[]),
    plain("mmHg", &["mmHg"], &[]),
    si("J", &["J"], &["joule"]),
    si("cal", &["cal"], &["calorie"]),
    si("eV", &["eV"], &["electronvolt", "electron volt"]),
    plain("BTU", &["BTU", "Btu"], &[]),
    si("W", &["W"], &["watt"]),
    si("Wh", &["Wh"], &["watt hour", "watt-hour", "watthour"]),
    plain("horsepower", &["hp"], &["horsepower"]),
    si("A", &["A"], &["ampere", "amp"]),
    si("Ah", &["Ah"], &["ampere hour", "amp hour", "amp-hour"]),
    si("coulomb", &[], &["coulomb"]),
    si("V", &["V"], &["volt"]),
    si("farad", &[], &["farad"]),
    si("Ω", &["Ω", "\u{3a9}", "ohm"], &["ohm"]),
    si("siemens", &[], &["siemens"]),
    si("T", &["T"], &["tesla"]),
    si("H", &["H"], &["henry"]),
    si("Wb", &["Wb"], &["weber"]),
    si("Hz", &["Hz"], &["hertz"]),
    si("cd", &["cd"], &["candela"]),
    si("lm", &["lm"], &["lumen"]),
    si("lx", &["lx"], &["lux"]),
    plain("dB", &["dB"], &["decibel"]),
    si("Bq", &["Bq"], &["becquerel"]),
    si("Gy", &["Gy"], &[]),
    si("Sv", &["Sv"], &["sievert"]),
    si("kat", &["kat"], &["katal"]),
    si("mol", &["mol"], &["mole"]),
    plain("ppm", &["ppm"], &[]),
    plain("ppb", &["ppb"], &[]),
    // Data.
    si("B", &["B"], &["byte"]),
    plain("KiB", &["KiB"], &["kibibyte"]),
    plain("MiB", &["MiB"], &["mebibyte"]),
    plain("GiB", &["GiB"], &["gibibyte"]),
    plain("TiB", &["TiB"], &["tebibyte"]),
    si("bit", &["bit", "bits"], &["bit"]),
    plain("px", &["px"], &["pixel"]),
];

/// Other spellings of symbols with their prefix.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("kgs", "kg"),
    ("kilo", "kg"),
    ("kilos", "kg"),
    ("KB", "kB"),
    ("Kg", "kg"),
    ("KG", "kg"),
    ("°K", "K"),
];

/// Units of one word that are quotients: symbol or words, what is counted, and for what.
pub(super) const QUOTIENTS: &[(&str, &str, &str)] = &[
    ("mph", "mi", "h"),
    ("kph", "km", "h"),
    ("kmh", "km", "h"),
    ("fps", "ft", "s"),
    ("mpg", "mi", "gal"),
    ("rpm", "rev", "min"),
    ("bps", "bit", "s"),
    ("kbps", "kbit", "s"),
    ("Mbps", "Mbit", "s"),
    ("Gbps", "Gbit", "s"),
    ("knots", "nmi", "h"),
    ("knot", "nmi", "h"),
];

/// Units that are products of two others: the name, and the two, the first of which has the prefix. `kW·h` is `kWh`.
pub(super) const PRODUCTS: &[(&str, &str, &str)] = &[("Wh", "W", "h"), ("Ah", "A", "h")];

/// A name that says less than others, and those: quantities of the one and of any of the others may be equal.
pub(super) const GENERAL: &[(&str, &[&str])] = &[
    ("degree", &["celsius", "fahrenheit"]),
    ("C", &["celsius", "coulomb"]),
    ("F", &["fahrenheit", "farad"]),
    (
        "pound",
        &[
            "lb", "GBP", "£", "EGP", "LBP", "SYP", "SDG", "SSP", "FKP", "GIP", "SHP",
        ],
    ),
    (
        "$",
        &[
            "USD", "AUD", "CAD", "NZD", "SGD", "HKD", "TWD", "BBD", "BMD", "BND", "BSD", "BZD",
            "FJD", "GYD", "JMD", "KYD", "LRD", "NAD", "SBD", "SRD", "TTD", "XCD", "MXN", "ARS",
            "CLP", "COP", "UYU", "DOP",
        ],
    ),
    ("£", &["GBP", "EGP", "LBP", "SYP", "FKP", "GIP", "SHP"]),
    ("¥", &["JPY", "CNY"]),
    ("Rs", &["INR", "PKR", "LKR", "NPR", "MUR", "SCR"]),
    ("kr", &["SEK", "NOK", "DKK", "ISK"]),
    (
        "peso",
        &["MXN", "ARS", "CLP", "COP", "UYU", "DOP", "PHP", "CUP"],
    ),
    (
        "franc",
        &[
            "CHF", "XAF", "XOF", "XPF", "RWF", "GNF", "KMF", "DJF", "BIF", "CDF",
        ],
    ),
];

/// Currencies: the code, or the name of a sign that several share; signs, and words in the singular. A sign of several
/// characters ends in its `$`.
pub(super) const CURRENCIES: &[(&str, &[&str], &[&str])] = &[
    ("$", &["$"], &["dollar"]),
    ("USD", &["US$", "U.S.$"], &["us dollar", "u.s. dollar"]),
    ("AUD", &["A$", "AU$"], &["australian dollar"]),
    ("CAD", &["C$", "CA$"], &["canadian dollar"]),
    ("NZD", &["NZ$"], &[]),
    ("SGD", &["S$"], &[]),
    ("HKD", &["HK$"], &[]),
    ("TWD", &["NT$"], &[]),
    ("BRL", &["R$"], &["real", "reais"]),
    ("MXN", &["Mex$", "MX$"], &[]),
    ("cent", &["¢"], &["cent"]),
    ("EUR", &["€"], &["euro"]),
    ("£", &["£"], &[]),
    (
        "GBP",
        &[],
        &["pound sterling", "pounds sterling", "british pound"],
    ),
    ("¥", &["¥"], &[]),
    ("JPY", &["円"], &["yen"]),
    ("CNY", &["元"], &["yuan", "renminbi", "rmb"]),
    ("INR", &["₹"], &["indian rupee"]),
    ("Rs", &["₨"], &["rupee", "rs"]),
    ("KRW", &["₩"], &["won"]),
    ("RUB", &["₽"], &["ruble", "rouble"]),
    ("TRY", &["₺"], &["lira"]),
    ("UAH", &["₴"], &["hryvnia"]),
    ("VND", &["₫"], &["dong"]),
    ("ILS", &["₪"], &["shekel"]),
    ("NGN", &["₦"], &["naira"]),
    ("PHP", &["₱"], &[]),
    ("THB", &["฿"], &["baht"]),
    ("KZT", &["₸"], &["tenge"]),
    ("AZN", &["₼"], &[]),
    ("GEL", &["₾"], &["lari"]),
    ("GHS", &["₵"], &["cedi"]),
    ("CRC", &["₡"], &[]),
    ("PYG", &["₲"], &["guarani"]),
    ("LAK", &["₭"], &["kip"]),
    ("MNT", &["₮"], &["tugrik"]),
    ("BTC", &["₿"], &["bitcoin"]),
    ("kr", &["kr"], &["krona", "krone", "kronor", "kroner"]),
    ("PLN", &["zł"], &["zloty", "złoty"]),
    ("CZK", &["Kč"], &[]),
    ("HUF", &["Ft"], &["forint"]),
    ("peso", &[], &["peso"]),
    ("franc", &[], &["franc"]),
    ("CHF", &["Fr."], &["swiss franc"]),
    ("ZAR", &[], &["rand"]),
];

/// The codes of ISO 4217 that have no sign or word of their own above.
pub(super) const CODES: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AWG", "BAM", "BBD", "BDT", "BGN", "BHD",
    "BIF", "BMD", "BND", "BOB", "BSD", "BTN", "BWP", "BYN", "BZD", "CDF", "CLP", "COP", "CUP",
    "CVE", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "FJD", "FKP", "GIP", "GMD", "GNF",
    "GTQ", "GYD", "HNL", "HTG", "IDR", "IQD", "IRR", "ISK", "JMD", "JOD", "KES", "KGS", "KHR",
    "KMF", "KPW", "KWD", "KYD", "LBP", "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD",
    "MMK", "MOP", "MRU", "MUR", "MVR", "MWK", "MYR", "MZN", "NAD", "NIO", "NOK", "NPR", "OMR",
    "PAB", "PEN", "PGK", "PKR", "QAR", "RON", "RSD", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK",
    "SHP", "SLE", "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "TJS", "TMT", "TND", "TOP",
    "TTD", "TZS", "UGX", "UYU", "UZS", "VES", "VUV", "WST", "XAF", "XCD", "XOF", "XPF", "YER",
    "ZMW",
];
