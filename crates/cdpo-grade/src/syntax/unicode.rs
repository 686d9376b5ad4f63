//! Unicode signs as the grammar knows them: digits of other scripts, raised and lowered digits, mathematical signs.

/// The zeros of all scripts but ASCII, in order: Unicode's decimal digits (category Nd, version 14) stand in runs of ten.
#[rustfmt::skip]
const ZEROS: [u32; 65] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66,
    0x0DE6, 0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90,
    0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
    0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730,
    0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC,
    0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0,
];

/// The value of a decimal digit of any script.
pub(crate) fn digit(c: char) -> Option<u32> {
    if c.is_ascii() {
        return c.to_digit(10);
    }
    let code = u32::from(c);
    let at = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?;
    Some(code - ZEROS[at]).filter(|value| *value < 10)
}

/// Writes what stands at the head of `text` in plain characters, and says how many bytes of it were read.
pub(super) fn plain(text: &str, out: &mut String) -> usize {
    for (mark, small) in [('^', raised as fn(char) -> Option<char>), ('_', lowered)] {
        let run: String = text.chars().map_while(small).collect();
        if !run.is_empty() {
            out.push(mark);
            if run.len() == 1 {
                out.push_str(&run);
            } else {
                out.push('{');
                out.push_str(&run);
                out.push('}');
            }
            return text.chars().take(run.len()).map(char::len_utf8).sum();
        }
    }
    let Some(c) = text.chars().next() else {
        return 0;
    };
    match (sign(c), ascii(c)) {
        (Some(sign), _) => out.push_str(sign),
        (None, Some(plain)) => out.push(plain),
        (None, None) => out.push(c),
    }
    c.len_utf8()
}

/// The ASCII character that a digit of another script, or a character of full width, stands for.
fn ascii(c: char) -> Option<char> {
    match c {
        '＼' => None,
        '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0),
        _ => char::from_digit(digit(c)?, 10),
    }
}

fn raised(c: char) -> Option<char> {
    Some(match c {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴'..='⁹' => char::from_digit(u32::from(c) - 0x2070, 10)?,
        '⁺' => '+',
        '⁻' => '-',
        'ⁿ' => 'n',
        'ⁱ' => 'i',
        _ => return None,
    })
}

fn lowered(c: char) -> Option<char> {
    Some(match c {
        '₀'..='₉' => char::from_digit(u32::from(c) - 0x2080, 10)?,
        '₊' => '+',
        '₋' => '-',
        'ₙ' => 'n',
        _ => return None,
    })
}

/// What stands for a Unicode sign.
fn sign(c: char) -> Option<&'static str> {
    Some(match c {
        '−' | '–' | '﹣' => "-",
        '×' | '✕' => "\\times ",
        '·' | '⋅' | '∙' => "\\cdot ",
        '÷' => "\\div ",
        '√' => "\\sqrt ",
        'π' => "\\pi ",
        '∞' => "\\infty ",
        '≤' | '⩽' | '≦' => "\\le ",
        '≥' | '⩾' | '≧' => "\\ge ",
        '≠' => "\\ne ",
        '≈' => "\\approx ",
        '±' => "\\pm ",
        '∓' => "\\mp ",
        '∪' => "\\cup ",
        '∩' => "\\cap ",
        '∈' => "\\in ",
        '∅' => "\\emptyset ",
        'ℝ' => "\\mathbb{R}",
        '°' | '˚' => "^\\circ ",
        '½' => "\\frac{1}{2}",
        '¼' => "\\frac{1}{4}",
        '¾' => "\\frac{3}{4}",
        '⅓' => "\\frac{1}{3}",
        '⅔' => "\\frac{2}{3}",
        '⅕' => "\\frac{1}{5}",
        '⅖' => "\\frac{2}{5}",
        '⅗' => "\\frac{3}{5}",
        '⅘' => "\\frac{4}{5}",
        '⅙' => "\\frac{1}{6}",
        '⅚' => "\\frac{5}{6}",
        '⅛' => "\\frac{1}{8}",
        '⅜' => "\\frac{3}{8}",
        '⅝' => "\\frac{5}{8}",
        '⅞' => "\\frac{7}{8}",
        '⁄' | '∕' => "/",
        '…' => "...",
        '′' | '’' => "'",
        '、' | '٬' => ",",
        '。' | '٫' => ".",
        'α' => "\\alpha ",
        'β' => "\\beta ",
        'θ' => "\\theta ",
        'λ' => "\\lambda ",
        '⟨' => "\\langle ",
        '⟩' => "\\rangle ",
        '⌊' => "\\lfloor ",
        '⌋' => "\\rfloor ",
        '⌈' => "\\lceil ",
        '⌉' => "\\rceil ",
        c if c.is_whitespace() => " ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_script_have_their_value() {
        assert!(ZEROS.is_sorted());
        for text in [
            "٤٢",
            "۴۲",
            "४२",
            "৪২",
            "４２",
            "๔๒",
            "𝟒𝟐",
            "𝟺𝟸",
            "\u{1e954}\u{1e952}",
        ] {
            let digits: Vec<u32> = text.chars().filter_map(digit).collect();
            assert_eq!(digits, [4, 2], "{text}");
        }
        // Numbers that are no decimal digits, and what stands beside the runs.
        for c in ['²', '½', '四', 'Ⅳ', '④', '\u{65f}', '\u{66a}', 'x'] {
            assert_eq!(digit(c), None, "{c}");
        }
    }
}
