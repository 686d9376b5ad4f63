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
