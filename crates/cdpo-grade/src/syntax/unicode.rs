//! Unicode signs as the grammar knows them: digits of other scripts, raised and lowered digits, mathematical signs.

/// The first digit of runs of ten.
const ZEROS: [char; 7] = ['٠', '۰', '०', '০', '๐', '𝟎', '𝟘'];

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
    let code = u32::from(c);
    let digit = |zero: &char| code.checked_sub(u32::from(*zero)).filter(|n| *n < 10);
    match c {
        '＼' => None,
        '！'..='～' => char::from_u32(code - 0xFEE0),
        _ => char::from_digit(ZEROS.iter().find_map(digit)?, 10),
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
        '、' => ",",
        '。' => ".",
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
