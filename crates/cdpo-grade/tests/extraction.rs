//! Which answer is found in a response, by which rule, and where.

use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome, Rule};

#[track_caller]
fn found(extraction: Extraction, response: &str, text: &str, rule: Rule) {
    let grader = Grader::new(GradeOptions {
        extraction,
        ..GradeOptions::default()
    });
    let found = grader
        .extract(response)
        .unwrap_or_else(|| panic!("nothing found in {response:?}"));
    assert_eq!(
        (found.text.as_ref(), found.rule),
        (text, rule),
        "{response:?}"
    );
    if let std::borrow::Cow::Borrowed(text) = found.text {
        assert_eq!(&response[found.span], text);
    }
}

#[track_caller]
fn nothing(extraction: Extraction, response: &str) {
    let grader = Grader::new(GradeOptions {
        extraction,
        ..GradeOptions::default()
    });
    assert_eq!(grader.extract(response), None);
}

#[test]
fn an_announced_answer_is_found_and_what_follows_it_ignored() {
    let auto = |response, text, rule| found(Extraction::Auto, response, text, rule);
    auto("3 + 4 = 7\n#### 7", "7", Rule::HashMarks);
    auto(
        "She has 3 + 4 = 7 eggs. The answer is 7.",
        "7",
        Rule::AnswerIs,
    );
    auto(
        "The answer is $1,234.50. That is a lot.",
        "$1,234.50",
        Rule::AnswerIs,
    );
    auto("So the answer is: **12**", "12", Rule::AnswerIs);
    auto(
        "Answer: x = 5\nLet me check that 5 works.",
        "x = 5",
        Rule::AnswerIs,
    );
    auto(
        "Thus $x=\\boxed{\\frac{1}{2}}$, since 3 > 2.",
        "\\frac{1}{2}",
        Rule::Boxed,
    );
    auto("Thus $\\boxed 2$.", "2", Rule::Boxed);
    auto("It is \\fbox{7} or so.", "7", Rule::Boxed);
    auto(
        "First \\boxed{1}. No, it must be \\boxed{2}.",
        "2",
        Rule::Boxed,
    );
    auto("$\\boxed{1}$ and $\\boxed{2}$", "1, 2", Rule::Boxed);
    auto(
        "Final Answer: The final answer is $3$. I hope it is correct. Note: 4.",
        "3",
        Rule::AnswerIs,
    );
    auto(
        "$\\boxed{255}$ so far. Final Answer: The final answer is $10,455$.",
        "10,455",
        Rule::AnswerIs,
    );
    auto(
        "Rounding before the final answer is a common one. $\\boxed{80}$",
        "80",
        Rule::Boxed,
    );
    auto(
        "<think>\\boxed{1}</think> It is \\boxed{2}.",
        "2",
        Rule::Boxed,
    );
    auto(
        "The answer is 8.\n\nQuestion: 1+1?\nAnswer: The answer is 2.",
        "8",
        Rule::AnswerIs,
    );
}

#[test]
fn an_announced_number_is_found_among_words() {
    let auto = |response, text| found(Extraction::Auto, response, text, Rule::AnswerIs);
    auto("The answer is approximately 33.3%.", "33.3%");
    auto("So the answer is 3 (three).", "3");
    auto("The answer is 20 x 3 = 60.", "20 x 3 = 60");
    auto("The answer is $20 x 3 = $60.", "$20 x 3 = $60");
    auto("The answer is 25% of 80, which is 20.", "20");
    auto("The answer is 20<|endoftext|>7", "20");
    auto("The answer is 6 feet 2 inches.", "6 feet 2 inches");
    auto("The answer is October 30.", "30");
    auto("The answer is 60 miles per hour.", "60");
    auto("The answer is 5 dollars.", "5 dollars");
    auto("The answer is 15 cm$^2$.", "15 cm$^2$");
    auto("The answer is $15$ cm$^2$.", "15");
    auto("The answer is 5 because $x > 3$.", "5");
}

#[test]
fn an_answer_without_announcement_is_the_whole_or_the_last_formula_or_number() {
    let auto = |response, text, rule| found(Extraction::Auto, response, text, rule);
    auto("x^2+2x+1", "x^2+2x+1", Rule::Whole);
    auto("Evelyn", "Evelyn", Rule::Whole);
    auto("We find that $x < 3$ holds.", "x < 3", Rule::LastFormula);
    auto(
        "Each gets 3 pens, so $3 \\cdot 4$ pens make 12 in all",
        "12",
        Rule::LastNumber,
    );
    auto("It costs -3.50% less", "-3.50%", Rule::LastNumber);
    auto("The part is 3/4 of it", "3/4", Rule::LastNumber);
    nothing(Extraction::Auto, " \n ");
    nothing(Extraction::Math, "It is 12 in all");
}

#[test]
fn the_filters_of_lm_evaluation_harness_are_kept() {
    let strict = |response, text, rule| found(Extraction::Gsm8kStrictFilter, response, text, rule);
    strict("… #### 1,234\nmore #### 5", "1,234", Rule::HashMarks);
    strict("The answer is 12. The answer is 13.", "12", Rule::AnswerIs);
    strict("The answer is 12. #### 13", "12", Rule::AnswerIs);
    strict("#### 13 The answer is 12.", "13", Rule::HashMarks);
    strict("#### none. The answer is 12.", "12", Rule::AnswerIs);
    // One character must follow on the line, or the number's last is taken for it.
    strict("The answer is 12\n", "1", Rule::AnswerIs);
    strict("The answer is 12.\n", "12", Rule::AnswerIs);
    strict("##### 5", "5", Rule::HashMarks);
    nothing(Extraction::Gsm8kStrictFilter, "The answer is 1");
    nothing(Extraction::Gsm8kStrictFilter, "The answer is $12.");
    nothing(Extraction::Gsm8kStrictFilter, "the answer is 12.");
    nothing(Extraction::Gsm8kStrictFilter, "####5");
    let flexible =
        |response, text| found(Extraction::Gsm8kFlexible, response, text, Rule::LastNumber);
    flexible("It was 5, now it is -12.50.", "-12.50");
    flexible("He pays $1,200 in all", "$1,200");
    flexible("Seven: 7", "7");
    nothing(Extraction::Gsm8kFlexible, "none.");
}

#[test]
fn the_first_announced_number_is_read_whole() {
    let strict = |response, text, rule| found(Extraction::Gsm8kStrict, response, text, rule);
    strict("The answer is 42", "42", Rule::AnswerIs);
    strict("The answer is 4", "4", Rule::AnswerIs);
    strict("The answer is 42\nand more", "42", Rule::AnswerIs);
    strict("The answer is 42.", "42", Rule::AnswerIs);
    strict("The answer is $1,234.50.", "$1,234.50", Rule::AnswerIs);
    strict(r"The answer is \$12", r"\$12", Rule::AnswerIs);
    strict("The answer is -$5 then", "-$5", Rule::AnswerIs);
    strict("The answer is $-5 then", "$-5", Rule::AnswerIs);
    strict("The answer is  €7", "€7", Rule::AnswerIs);
    // Any currency of the table of units, and the word that makes millions of a number.
    strict("The answer is EUR 7 then", "EUR 7", Rule::AnswerIs);
    strict("The answer is US$7", "US$7", Rule::AnswerIs);
    strict("#### ₽ 7", "₽ 7", Rule::HashMarks);
    strict("The answer is Rs. 7", "Rs. 7", Rule::AnswerIs);
    strict("The answer is -R$ 7", "-R$ 7", Rule::AnswerIs);
    strict("The answer is £-7", "£-7", Rule::AnswerIs);
    strict("The answer is 5 million.", "5 million", Rule::AnswerIs);
    strict("#### $1.5 Billion dollars", "$1.5 Billion", Rule::HashMarks);
    strict("The answer is 5. Million", "5", Rule::AnswerIs);
    strict("The answer is 5 millimeters", "5", Rule::AnswerIs);
    strict("The answer is 3/4 of it", "3/4", Rule::AnswerIs);
    strict("The answer is $12/hour", "$12", Rule::AnswerIs);
    strict("She adds.\n####42", "42", Rule::HashMarks);
    strict("##### 42", "42", Rule::HashMarks);
    strict("… #### 1,234\nmore #### 5", "1,234", Rule::HashMarks);
    strict("The answer is 12. #### 13", "12", Rule::AnswerIs);
    strict("#### none. The answer is 12.", "12", Rule::AnswerIs);
    nothing(Extraction::Gsm8kStrict, "The answer is $x$.");
    nothing(Extraction::Gsm8kStrict, "The answer is -");
    nothing(Extraction::Gsm8kStrict, "the answer is 12.");
}

#[test]
fn a_response_is_settled_where_the_first_announced_number_ends() {
    let strict = Grader::new(GradeOptions {
        extraction: Extraction::Gsm8kStrict,
        ..GradeOptions::default()
    });
    for (response, settled) in [
        ("", None),
        ("The answer is", None),
        ("The answer is 12", None),
        ("The answer is 12.", None),
        ("The answer is 12/", None),
        ("The answer is 1\n", Some(15)),
        ("The answer is 12.\n", Some(17)),
        ("The answer is 12. So", Some(17)),
        ("The answer is $12é", Some(17)),
        ("The answer is $x. The answer is 3 or", Some(33)),
        ("The answer is $x. The answer is 3", None),
        ("The answer is $ 12. The answer is 3", Some(19)),
        ("The answer is 12 ", None),
        ("The answer is 12 mil", None),
        ("The answer is 12 mile", Some(16)),
        ("The answer is 12 million", None),
        ("The answer is 12 million.", Some(24)),
        ("The answer is 12 millions", None),
        ("The answer is 12 millionaires", Some(25)),
        ("####5\n", Some(5)),
    ] {
        assert_eq!(strict.settled_at(response), settled, "{response:?}");
    }
}

#[test]
fn a_response_is_settled_where_the_filters_first_match_is_whole() {
    let strict = Grader::new(GradeOptions {
        extraction: Extraction::Gsm8kStrictFilter,
        ..GradeOptions::default()
    });
    for (response, settled) in [
        ("", None),
        ("The answer is", None),
        ("The answer is 12", None),
        ("The answer is 12.", None),
        ("The answer is 12.\n", Some(17)),
        ("The answer is 12. So", Some(18)),
        ("The answer is 12é", Some(18)),
        ("The answer is 1\n", None),
        ("The answer is $12. The answer is 3 or", Some(35)),
        ("The answer is $12. The answer is 3", None),
        ("#### 5", None),
        ("#### 5\n", Some(6)),
        ("#### 5 ", Some(6)),
        ("#### 5 The answer is 3 or", Some(6)),
    ] {
        assert_eq!(strict.settled_at(response), settled, "{response:?}");
    }
    for extraction in [
        Extraction::Auto,
        Extraction::Gsm8kFlexible,
        Extraction::Math,
        Extraction::Plain,
        Extraction::Choice,
    ] {
        let grader = Grader::new(GradeOptions {
            extraction,
            ..GradeOptions::default()
        });
        assert_eq!(grader.settled_at("#### 5\nThe answer is 5. (A)"), None);
    }
}

#[test]
fn an_option_is_found_and_denied_options_are_not() {
    let choice = |response, text| found(Extraction::Choice, response, text, Rule::Choice);
    choice("The answer is for sure D, it can't be A or B", "D");
    choice("It's not A, therefore I think it's B", "B");
    choice("(C) Cecile", "C");
    nothing(Extraction::Choice, "Alina");
}

#[test]
fn one_value_written_twice_is_one_answer() {
    let outcome = |response| Grader::default().grade(response, "0.5").outcome;
    assert_eq!(
        outcome("The answer is $\\frac{1}{2}$ or $0.5$."),
        Outcome::Correct
    );
    assert_eq!(
        outcome("It is $\\boxed{\\frac12} = \\boxed{0.5}$."),
        Outcome::Correct
    );
    assert_eq!(
        outcome("The answer is $\\frac{1}{2}$ or $2$."),
        Outcome::Wrong
    );
}

#[test]
fn the_two_gsm8k_conventions_differ_where_they_should() {
    let grade = |extraction| {
        let grader = Grader::new(GradeOptions {
            extraction,
            ..GradeOptions::default()
        });
        grader
            .grade("The answer is 7. She bought 3 more.", "#### 7")
            .outcome
    };
    assert_eq!(grade(Extraction::Gsm8kStrict), Outcome::Correct);
    assert_eq!(grade(Extraction::Gsm8kStrictFilter), Outcome::Correct);
    assert_eq!(grade(Extraction::Gsm8kFlexible), Outcome::Wrong);
}

#[test]
fn a_number_in_words_that_change_it_is_not_the_answer() {
    let graded = |response: &str, gold: &str| Grader::default().grade(response, gold).outcome;
    for (response, gold) in [
        ("The answer is not 5 but 6.", "5"),
        ("The answer is between 5 and 6.", "5"),
        ("The answer is less than 5.", "5"),
        ("The answer is twice 5.", "5"),
        ("The answer is half of 5.", "5"),
        ("The answer is negative 5.", "5"),
        ("The answer is 5 squared.", "5"),
        ("The answer is 5 million.", "5"),
        ("The answer is 5 times 6.", "5"),
        ("The answer is 8 hours and 30 minutes.", "8"),
        ("The answer is 3 and 1/2 cups.", "3"),
        ("The answer is <8 apples", "8"),
        ("The answer is 8, because 9 is too large.", "9"),
    ] {
        assert_eq!(graded(response, gold), Outcome::Wrong, "{response}");
    }
    for (response, gold) in [
        ("The answer is about 5 apples.", "5"),
        ("The answer is 5, not 6.", "5"),
        ("The answer is 5 (not 6).", "5"),
        ("The answer is 8, because 9 is too large.", "8"),
        ("The answer is 5 eggs for 3 days.", "5"),
        ("The answer is $5 million dollars.", "5000000"),
        ("ANSWER: 5", "5"),
        ("So it is 7", "7"),
        ("The answer is 5:30 p.m.", "5:30 pm"),
    ] {
        assert_eq!(graded(response, gold), Outcome::Correct, "{response}");
    }
}

#[test]
fn a_letter_is_found_in_words_where_the_gold_answer_is_one() {
    let verdict = |response: &str| Grader::default().grade(response, "D");
    for response in [
        "The answer is for sure D, it can't be A or B",
        "D. it can't be A or B",
        "D。不是 A",
    ] {
        let verdict = verdict(response);
        assert_eq!(
            (verdict.outcome, verdict.rule.as_str()),
            (Outcome::Correct, "choice")
        );
        assert_eq!(verdict.answer.as_deref(), Some("D"));
    }
    for response in [
        "The answer is A, not D",
        "Does it matter which",
        "A. D is wrong",
    ] {
        assert_ne!(verdict(response).outcome, Outcome::Correct, "{response}");
    }
    let grader = Grader::default();
    assert_ne!(
        grader.grade("The answer is A lot of money", "A").outcome,
        Outcome::Correct
    );
}

#[test]
fn a_formula_in_words_that_change_it_is_not_the_answer() {
    let graded = |response: &str, gold: &str| Grader::default().grade(response, gold).outcome;
    for (response, gold) in [
        ("The answer is not $5$.", "5"),
        ("The answer cannot be $5$.", "5"),
        ("It is not $5$.", "5"),
        ("The answer is twice $5$.", "5"),
        ("The answer is half of $5$.", "5"),
        ("The answer is less than $5$.", "5"),
        ("The answer is the square root of $5$.", "5"),
        ("The answer is minus $5$.", "5"),
        ("The answer is -$5$.", "5"),
        ("The answer is $5$ squared.", "5"),
        ("The answer is $5$ million.", "5"),
        ("The answer is $5$ times $3$.", "5"),
        ("The answer is $5$ over $6$.", "5"),
        ("So we get $x = 5$ or $x = 6$.", "6"),
        ("The answer is $5$, not $6$.", "6"),
    ] {
        assert_ne!(graded(response, gold), Outcome::Correct, "{response}");
    }
    for (response, gold) in [
        ("The answer is -$5$.", "-5"),
        ("The answer is $5$ million.", "5000000"),
        ("The roots are $2$ and $3$.", "2,3"),
        ("The answer is the negative root, which is $-5$.", "-5"),
        ("The answer is $5$ square units.", "5"),
        ("The answer is $5$ when $x > 2$.", "5"),
        ("The number of integers less than 100 is $5$.", "5"),
        ("The answer is $5$, not $6$.", "5"),
    ] {
        assert_eq!(graded(response, gold), Outcome::Correct, "{response}");
    }
}

#[test]
fn what_is_denied_or_counts_a_step_is_not_the_last_number() {
    let auto = |response, text| found(Extraction::Auto, response, text, Rule::LastNumber);
    auto("It is 6, not 5", "6");
    auto("That makes 6 rather than 5.", "6");
    auto("That makes 6 instead of 5.", "6");
    auto("It has to be 6, it can't be 5.", "6");
    auto("There are 8 days left.\n5. Print the total.", "8");
    auto("Step 4: there are 8 days.\nStep 5: print(total)", "8");
    auto("There are 8 left, so\n5.", "5");
    let grader = Grader::default();
    assert_eq!(
        grader.grade("The answer is 6 rather than 5.", "6").outcome,
        Outcome::Correct
    );
    assert_eq!(
        grader
            .grade("The answer is 5, which is less than 6.", "5")
            .outcome,
        Outcome::Correct
    );
    assert_eq!(
        grader.grade("The answer is never 5.", "5").outcome,
        Outcome::Wrong
    );
}

#[test]
fn a_formula_that_breaks_off_is_not_its_last_number() {
    let grade = |response: &str, gold: &str| Grader::default().grade(response, gold).outcome;
    assert_eq!(grade("So we get \\[ g(p) = 15 + 15", "15"), Outcome::Wrong);
    assert_eq!(
        grade("So we get \\( x = \\frac{31", "31"),
        Outcome::Unparsed
    );
    assert_eq!(
        grade("Take the first \\(4\\) apples: \\[ 3 + 4 = 7", "7"),
        Outcome::Correct
    );
    assert_eq!(
        grade("As \\[ 3 + 4 = 7, \\] there are 7", "7"),
        Outcome::Correct
    );
}

#[test]
fn one_option_of_two_is_not_the_answer() {
    let grader = Grader::default();
    for response in [
        "The answer is (A) or (B)",
        "The answer is A and B",
        "The answer is A/B",
    ] {
        assert_ne!(
            grader.grade(response, "A").outcome,
            Outcome::Correct,
            "{response}"
        );
        assert_ne!(
            grader.grade(response, "B").outcome,
            Outcome::Correct,
            "{response}"
        );
    }
}

#[test]
fn a_verdict_says_where_its_answer_stands() {
    let at = |response: &str| {
        let verdict = Grader::default().grade(response, "D");
        let (start, end) = verdict.span.expect("an answer");
        response[start..end].to_owned()
    };
    assert_eq!(at("Ä 3 + 4 = 7\n#### 7"), "7");
    assert_eq!(at("So $x=\\boxed{\\frac{1}{2}}$."), "\\frac{1}{2}");
    assert_eq!(
        at("$\\boxed{1}$ and $\\boxed{2}$."),
        "\\boxed{1}$ and $\\boxed{2}"
    );
    assert_eq!(at("The answer is for sure D, it can't be A"), "D");
    assert_eq!(at("It has 8 legs"), "8");
    assert_eq!(Grader::default().grade(" ", "D").span, None);
}

#[test]
fn the_length_of_a_row_break_opens_no_formula() {
    let response = "$$\\begin{aligned} x &= 1 \\\\[2pt] y &= 2 \\end{aligned}$$ so the total is 7";
    found(Extraction::Auto, response, "7", Rule::LastNumber);
}

#[test]
fn a_list_of_formulas_is_denied_as_a_whole_and_operands_are_no_list() {
    let auto = |response, text| found(Extraction::Auto, response, text, Rule::LastFormula);
    auto("So $4$ is it, not $2$ or $3$.", "4");
    auto("We know $7$ first. Then it is not $5$ and $6$.", "7");
    auto("So we get $2$ or $3$.", "2$ or $3");
    auto("We take the gcd of $12$ and $18$.", "18");
    auto("We use $a=1$ and $b=2$ and $c=3$.", "c=3");
    auto("So we get $x=5$ or $x=6$.", "x=5$ or $x=6");
}

#[test]
fn an_announced_formula_that_goes_on_is_not_the_formula_alone() {
    let grader = Grader::default();
    for behind in ["+ 3", "/6", "^2", ", or 6."] {
        let response = format!("The answer is $5$ {behind}")
            .replace("$ /", "$/")
            .replace("$ ^", "$^")
            .replace("$ ,", "$,");
        assert_ne!(
            grader.grade(&response, "5").outcome,
            Outcome::Correct,
            "{response}"
        );
    }
    for before in ["a third of", "the reciprocal of", "the cube of"] {
        for response in [
            format!("The answer is {before} $5$."),
            format!("The answer is {before} 5."),
        ] {
            assert_ne!(
                grader.grade(&response, "5").outcome,
                Outcome::Correct,
                "{response}"
            );
        }
    }
    for response in [
        "The answer is $5$ cm, but not exact.",
        "The answer is **$5$**.",
        "The answer is $5$/hour.",
    ] {
        assert_eq!(
            grader.grade(response, "5").outcome,
            Outcome::Correct,
            "{response}"
        );
    }
}

#[test]
fn two_options_are_none() {
    let choice = Grader::new(cdpo_grade::GradeOptions {
        extraction: Extraction::Choice,
        ..cdpo_grade::GradeOptions::default()
    });
    for response in [
        "The answer is A, or B",
        "Option C is tempting. The answer is A or B.",
    ] {
        for gold in ["A", "B", "C"] {
            assert_ne!(
                choice.grade(response, gold).outcome,
                Outcome::Correct,
                "{response}: {gold}"
            );
        }
    }
    assert_eq!(
        choice.grade("The answer is A, and B is wrong", "A").outcome,
        Outcome::Correct
    );
}
