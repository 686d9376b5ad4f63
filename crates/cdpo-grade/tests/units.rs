//! Which units and other words behind a number change it.

mod compared;

use cdpo_grade::{GradeOptions, Grader};
use compared::{different, equal};

#[test]
fn words_behind_a_number_change_it_where_they_are_no_units() {
    equal(&[
        ("5 million", "5000000"),
        (r"\$5 \text{ million}", "5,000,000 dollars"),
        ("5 thousand people", "5000"),
    ]);
    different(&[
        ("5 million", "5"),
        (r"5\text{ hundred}", "5"),
        ("5 squared", "5"),
        (r"5\text{ squared}", "5"),
        ("5 factorial", "5"),
        ("5 halves", "5"),
        ("5 tenths", "5"),
        (r"5\text{ and a half}", "5"),
        (r"5\text{ or more}", "5"),
        (r"5\text{ pi}", "5"),
        ("3!!", "720"),
    ]);
}

#[test]
fn units_may_be_left_out_but_not_changed() {
    equal(&[
        ("400 ml", "400"),
        ("400 ml of salt", "400"),
        (r"50\%", "50"),
        ("28 percent", r"28\%"),
        (r"\$36", "36"),
        ("$5", r"5 \text{ dollars}"),
        (r"90^\circ", "90"),
        ("72 degrees", r"72^{\circ}"),
        (r"15\mbox{ cm}^2", "15"),
        (r"15\mbox{ cm}^2", "15 square centimeters"),
        ("5 km", r"5 \text{ kilometers}"),
        ("64 square feet", "64"),
        (r"10 \text{ apples}", r"10 \text{ pieces}"),
        (r"5\text{ m}", "5"),
        (r"5\text{ m}", "5m"),
        (r"5\text{ m}^2", "5 square meters"),
        (r"2\sqrt3\,\mathrm{m/s}", r"2\sqrt3"),
        ("5 in", "5 inches"),
        ("3:30 p.m.", "3:30 PM"),
        (r"\text{5 students}", "5"),
        ("20^\\circ", "20 degrees Celsius"),
        (r"\textcolor{red}{5}\hspace{1cm}", r"\underline{5}"),
        (r"8\!:\!34 \text{ p.m.}", "8:34 pm"),
    ]);
    different(&[
        (r"50\%", "0.5"),
        (r"5 \text{ cm}", r"5 \text{ m}"),
        (r"5 \text{ cm}", r"5 \text{ cm}^2"),
        (r"\$5", r"5 \text{ cents}"),
        ("8:34 am", "8:34 pm"),
        ("5m", "5"),
        (r"5\text{ m}", r"5\text{ m}^2"),
        (r"5\text{ m}", "5g"),
        ("60 miles per hour", "60 km/h"),
        ("20 degrees Celsius", "20 degrees Fahrenheit"),
        (r"\frac{\pi}{6}", r"30^\circ"),
    ]);
    let percent = Grader::new(GradeOptions {
        percent_rule: true,
        ..GradeOptions::default()
    });
    assert!(
        percent.equal(r"50\%", "0.5")
            && percent.equal("0.5", r"50\%")
            && !percent.equal("5", "500")
    );
}

/// A number with a unit or a currency, in every place and form, is the bare number and no other one.
#[test]
fn currencies_and_units_stand_before_or_after_as_sign_code_or_word() {
    let dressed = [
        "5€",
        "€5",
        "5 €",
        "€ 5",
        "5 EUR",
        "EUR 5",
        "5EUR",
        "5 euros",
        "euro 5",
        "USD 5",
        "5 USD",
        "US$5",
        "$5 USD",
        "₹5",
        "5₹",
        "INR 5",
        "5 rupees",
        "Rs. 5",
        "£5",
        "5 GBP",
        "5 pounds",
        "¥5",
        "5 yen",
        "JPY 5",
        "CHF 5",
        "5 francs",
        "5 kr",
        "R$ 5",
        "5 zł",
        "₩5",
        "₽ 5",
        "5°C",
        "5 °C",
        "5 ℃",
        "5 degrees Celsius",
        r"5^\circ C",
        r"5^{\circ}\text{C}",
        "5 m²",
        "5m²",
        "5 m³",
        "5 kWh",
        "5kWh",
        "5 MHz",
        "5 GB",
        "5 Pa",
        "5 kPa",
        "5 mmol",
        "5 µm",
        "5 μg",
        "5 kΩ",
        "5 km/h",
        "5 kg/m³",
        "5 N·m",
        "5 kilowatt-hours",
        "5 megabytes",
        "5 kilograms per cubic meter",
        r"5\,kWh",
        r"5\text{ kWh}",
        r"5\ \mathrm{kWh}",
        r"\text{5 kWh}",
    ];
    for answer in dressed {
        equal(&[(answer, "5")]);
        different(&[
            (answer, "50"),
            (answer, "15"),
            (answer, "25"),
            (answer, "-5"),
        ]);
        for response in [
            format!("The answer is {answer}"),
            format!("The answer is {answer}."),
            format!("She adds.\n#### {answer}"),
            format!("\\boxed{{{answer}}}"),
        ] {
            let outcome = |gold| Grader::default().grade(&response, gold).outcome;
            assert_eq!(outcome("5"), cdpo_grade::Outcome::Correct, "{response}");
            assert_eq!(outcome("6"), cdpo_grade::Outcome::Wrong, "{response}");
        }
    }
    equal(&[
        ("€1,234.50", "1234.5"),
        ("-€5", "-5"),
        ("€5 million", "5000000"),
        ("5 1/2 kWh", "5.5"),
        ("5 kWh", r"5\text{ kilowatt hours}"),
        ("5 °C", "5 degrees Celsius"),
        ("$5", "5 USD"),
        ("£5", "5 pounds"),
        ("5 lb", "5 pounds"),
        ("5 kgs", "5 kilograms"),
        ("5 m²", "5m^2"),
        ("5ms", "5 ms"),
    ]);
    different(&[
        ("5€", "5 USD"),
        ("5 kWh", "5 Wh"),
        ("5 MW", "5 mW"),
        ("5 °C", "5 °F"),
        ("5 m²", "5 m³"),
        ("5 km/h", "5 m/s"),
        ("5 GBP", "5 lb"),
        ("5 kilobytes", "5 megabytes"),
        // Variables.
        ("5m", "5"),
        ("5 m", "5"),
        ("5m^2", "5"),
        ("5 ac", "5"),
        ("5ms", "5"),
        ("5x", "5"),
        ("5 J/K", "5"),
        ("kWh", "1"),
    ]);
}

/// See "When letters are a unit" in docs/inputs.md.
#[test]
fn letters_after_a_number_are_a_unit_only_where_they_are_no_variables() {
    different(&[
        (r"2L\cdot W", "2"),
        ("2L·W", "2"),
        (r"$2 L \cdot W$", "2"),
        ("$5A$", "5"),
        ("$5A$", "5 AUD"),
        ("$5C$", "$5"),
        ("3kT", "3"),
        ("3 kT", "3"),
        ("2mg", "2"),
        ("$2mg$", "2"),
        ("6s²", "6"),
        ("6 s²", "6"),
        ("5g³", "5"),
        ("2 MN", "2"),
        (r"5\mu m", "5"),
        (r"2\Omega", "2"),
        ("5 mg", "5 g"),
    ]);
    equal(&[
        (r"2L\cdot W", "2LW"),
        ("$5A$", "5A"),
        ("6s²", "6s^2"),
        ("2mg", "2gm"),
        ("3kT", "3Tk"),
        // The unit beside the same letters.
        ("2mg", "2 mg"),
        ("2mg", r"2\text{ mg}"),
        (r"2\text{mg}", "2"),
        (r"3\text{kT}", "3"),
        ("2 mg", "2"),
        ("5 kT", "5kT"),
        ("5kWh", "5"),
        ("5MHz", "5"),
        ("5kW", "5"),
        ("5 s⁻¹", "5"),
        (r"5\,\mu m", "5 µm"),
        (r"5\,k\Omega", "5 kΩ"),
        ("US$5", "5 USD"),
    ]);
}

#[test]
fn names_of_one_unit_are_equal_however_they_are_spelt_and_dressed() {
    equal(&[
        ("5 kW·h", "5 kWh"),
        (r"5\,\mathrm{kW\cdot h}", "5 kilowatt-hours"),
        ("5 A·h", "5 Ah"),
        ("5 decameters", "5 dekametres"),
        ("5 m/s/s", "5 m/s²"),
        ("5 meters per second per second", "5 m/s²"),
        ("20° C", "20 °C"),
        (r"20^\circ \text{ C}", "20 degrees Celsius"),
        ("20° F", "20°F"),
        ("300 °K", "300 K"),
        ("**5 kWh**", "5 kWh"),
        ("**5** kWh", "5 kWh"),
        ("*5 kWh*", "5"),
        ("`5 kWh`", "5"),
        ("**€5**", "5 EUR"),
        ("_5 kWh_", "5"),
    ]);
    different(&[
        ("5 kW·h", "5 kW"),
        ("5 kW·h", "5 MWh"),
        ("5 decameters", "5 decimeters"),
        ("20° C", "20 °F"),
        ("**5 kWh**", "5 MWh"),
        ("**5 kWh**", "6"),
    ]);
}

#[test]
fn numbers_in_words_are_compared_as_numbers_with_words_and_with_percentages() {
    equal(&[
        ("one hundred and three quarters", "100.75"),
        ("one hundred three quarters", "103/4"),
        ("two and three quarters", "2.75"),
        ("forty-two", "forty-two dollars"),
        ("forty-two dollars", "forty-two us dollars"),
        ("one half", "two quarters"),
        ("a hundred", "one hundred"),
        ("fifty percent", r"50\%"),
        ("fifty percent", "fifty"),
        (r"\text{forty-two}", "42"),
    ]);
    different(&[
        ("one hundred and three quarters", "103/4"),
        // Either of two numbers.
        ("one hundred and five halves", "102.5"),
        ("one hundred and five halves", "52.5"),
        ("forty-two dollars", "forty-two euros"),
        ("fifty percent", "0.5"),
        ("fifty percent", "one half"),
    ]);
    let percent = Grader::new(GradeOptions {
        percent_rule: true,
        ..GradeOptions::default()
    });
    for half in ["0.5", "one half", "1/2"] {
        assert!(percent.equal("fifty percent", half) && percent.equal(half, "fifty percent"));
    }
    let key = |answer| Grader::default().key(answer);
    assert_eq!(key("Forty-two"), key("42"));
}

#[test]
fn numbers_in_words_and_in_other_scripts_are_numbers() {
    equal(&[
        ("forty-two", "42"),
        ("Forty two", "42"),
        ("one hundred and five", "105"),
        ("three quarters", r"\frac{3}{4}"),
        ("two and a half", "2.5"),
        ("minus five", "-5"),
        ("forty-two dollars", "42"),
        ("forty-two dollars", "$42"),
        ("forty-two", "forty two"),
        ("٤٢", "42"),
        ("४२", "42"),
        ("４２", "42"),
        ("৪২", "42"),
        ("۴۲", "42"),
        ("٤٢٫٥", "42.5"),
        ("٥ kWh", "5"),
    ]);
    different(&[
        ("forty-two", "40"),
        ("forty-two", "2"),
        ("forty-two", "fifty-two"),
        ("one hundred and five", "100"),
        ("forty-second", "42"),
        ("half a dozen", "6"),
        ("three quarters", "3"),
        ("forty-two dollars", "42 euros"),
        ("one and two", "3"),
        ("٤٢", "24"),
    ]);
    let outcome = |response, gold| Grader::default().grade(response, gold).outcome;
    assert_eq!(
        outcome("The answer is forty-two.", "42"),
        cdpo_grade::Outcome::Correct
    );
    assert_eq!(
        outcome("The answer is forty-two.", "2"),
        cdpo_grade::Outcome::Wrong
    );
    assert_eq!(outcome("#### ٤٢", "42"), cdpo_grade::Outcome::Correct);
}
