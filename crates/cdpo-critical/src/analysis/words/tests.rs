use super::*;

fn split(text: &str) -> Vec<(&str, &'static str)> {
    words(text)
        .into_iter()
        .map(|w| (&text[w.start..w.end], w.kind.name()))
        .collect()
}

#[test]
fn a_gsm8k_line_is_cut_into_numbers_operators_and_words() {
    assert_eq!(
        split("She earned $2,500.75 - 10% = <<5*2=10>>10."),
        [
            ("She", "function"),
            ("earned", "content"),
            ("$2,500.75", "number"),
            ("-", "operator"),
            ("10", "number"),
            ("%", "operator"),
            ("=", "operator"),
            ("<<", "punctuation"),
            ("5", "number"),
            ("*", "operator"),
            ("2", "number"),
            ("=", "operator"),
            ("10", "number"),
            (">>", "punctuation"),
            ("10", "number"),
            (".", "punctuation"),
        ]
    );
}

#[test]
fn latex_commands_are_operators_letters_or_layout() {
    assert_eq!(
        split("$\\frac{\\pi}{2} \\le \\boxed{3}\\%$"),
        [
            ("$", "punctuation"),
            ("\\frac", "operator"),
            ("{", "punctuation"),
            ("\\pi", "content"),
            ("}", "punctuation"),
            ("{", "punctuation"),
            ("2", "number"),
            ("}", "punctuation"),
            ("\\le", "operator"),
            ("\\boxed", "punctuation"),
            ("{", "punctuation"),
            ("3", "number"),
            ("}", "punctuation"),
            ("\\%", "operator"),
            ("$", "punctuation"),
        ]
    );
}

#[test]
fn a_number_takes_its_groups_decimals_and_ending_and_no_more() {
    assert_eq!(
        split("1,000 1,00 .5 3. 2nd 5km 1,2345 7x8 3 x 4"),
        [
            ("1,000", "number"),
            ("1", "number"),
            (",", "punctuation"),
            ("00", "number"),
            (".5", "number"),
            ("3", "number"),
            (".", "punctuation"),
            ("2nd", "number"),
            ("5", "number"),
            ("km", "content"),
            ("1", "number"),
            (",", "punctuation"),
            ("2345", "number"),
            ("7", "number"),
            ("x", "operator"),
            ("8", "number"),
            ("3", "number"),
            ("x", "operator"),
            ("4", "number"),
        ]
    );
    assert_eq!(split("5 x + 3")[1], ("x", "content"), "a variable");
}

#[test]
fn marks_of_the_text_are_no_operators() {
    assert_eq!(
        split("- twenty-five **So** 2**3\n* x - y\n#### --5"),
        [
            ("-", "punctuation"),
            ("twenty", "number"),
            ("-", "punctuation"),
            ("five", "number"),
            ("**", "punctuation"),
            ("So", "function"),
            ("**", "punctuation"),
            ("2", "number"),
            ("**", "operator"),
            ("3", "number"),
            ("\n", "punctuation"),
            ("*", "punctuation"),
            ("x", "content"),
            ("-", "operator"),
            ("y", "content"),
            ("\n", "punctuation"),
            ("####", "punctuation"),
            ("-", "operator"),
            ("-", "operator"),
            ("5", "number"),
        ]
    );
}

#[test]
fn words_cover_every_byte_that_is_no_blank_and_do_not_overlap() {
    for text in [
        "",
        "  ",
        "a\\",
        "\\",
        "é² 5€ \u{2019}s don\u{2019}t…\t\n \n x",
        "$",
        "1.",
        "''",
    ] {
        let mut at = 0;
        for word in words(text) {
            assert!(
                text[at..word.start].chars().all(char::is_whitespace),
                "{text:?}"
            );
            assert!(word.end > word.start, "{text:?}");
            at = word.end;
        }
        assert!(text[at..].chars().all(char::is_whitespace), "{text:?}");
    }
}
