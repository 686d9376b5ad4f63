//! Every kind of answer that the documentation names, with an equal pair and one that is not.

mod compared;

use compared::{different, equal};

#[test]
fn numbers_of_every_spelling() {
    // Integers, decimals, separators.
    equal(&[
        ("007", "7"),
        ("+5", "5"),
        ("2.50", "2.5"),
        ("1,234,567", "1234567"),
    ]);
    equal(&[
        ("1{,}000", "1000"),
        (r"1\!000", "1000"),
        (r"1\,000", "1000"),
    ]);
    different(&[
        ("1,000", "1.000"),
        ("1,00", "100"),
        ("10,20,30", "102030"),
        ("5 0", "50"),
    ]);
    // Fractions.
    equal(&[
        (r"\frac{1}{2}", r"\dfrac12"),
        (r"\tfrac 1 2", "1/2"),
        (r"-\frac{1}{2}", r"\frac{-1}{2}"),
    ]);
    equal(&[
        (r"3\frac12", "7/2"),
        (r"-1\frac12", "-3/2"),
        (r"\frac{6}{4}", "1.5"),
    ]);
    different(&[
        (r"\frac12", "12"),
        (r"\frac{12}3", "1/23"),
        (r"1\frac12", "11/2"),
        (r"-1\frac12", "-1/2"),
    ]);
    different(&[
        ("1/2x", "2/x"),
        (r"\frac{1}{2}x", r"\frac{1}{2x}"),
        ("1/2/3", "3/2"),
    ]);
    // Scientific notation.
    equal(&[
        (r"1.2\times10^{3}", "1200"),
        ("1.2e3", "1200"),
        (r"3\cdot 10^{-2}", "0.03"),
    ]);
    different(&[
        (r"1.2\times 10^3", r"1.2\times 10^{-3}"),
        ("1e3", "e^3"),
        ("1e-3", "1000"),
    ]);
    // Repeating decimals and bases.
    equal(&[
        (r"0.\overline{12}", "12/99"),
        (r"1.2\overline{3}", "37/30"),
        ("12_3", "012_{3}"),
    ]);
    different(&[
        (r"0.\overline{12}", "0.12"),
        (r"0.\overline{3}", "0.3"),
        ("12_3", "12"),
        ("12_3", "21_3"),
    ]);
}

#[test]
fn constants_powers_and_functions() {
    equal(&[
        (r"2\pi r", r"r\cdot 2\pi"),
        ("e^2e^3", "e^5"),
        ("i^3", "-i"),
        ("2^3^2", "512"),
    ]);
    different(&[
        ("2^3^2", "64"),
        (r"\pi", "22/7"),
        ("e", "2.718"),
        ("i", "-i"),
        ("-2^2", "4"),
    ]);
    equal(&[
        (r"\sqrt{50}", r"5\sqrt2"),
        (r"\sqrt[3]{54}", r"3\sqrt[3]{2}"),
        ("8^{2/3}", "4"),
    ]);
    different(&[
        (r"2\sqrt3", r"3\sqrt2"),
        (r"\sqrt[3]{8}", r"3\sqrt8"),
        (r"\sqrt{2}3", r"\sqrt{23}"),
    ]);
    equal(&[
        (r"\log_2 32", "5"),
        (r"\ln\sqrt e", r"\frac12"),
        (r"\log_4 8", "1.5"),
    ]);
    different(&[
        (r"\log_2 3", r"\log_3 2"),
        (r"\ln 10", "1"),
        (r"\log_{10}100", "10"),
    ]);
    equal(&[
        (r"\sin 30^\circ", "0.5"),
        (r"\tan\frac\pi3", r"\sqrt3"),
        (r"\cos^2x+\sin^2x", "1"),
    ]);
    different(&[
        (r"\sin 2x", r"2\sin x"),
        (r"\sin 30", "0.5"),
        (r"\arctan 1", "45"),
        (r"\sin^2x", r"\sin x^2"),
    ]);
    equal(&[
        ("|-7|", "7"),
        ("5!", "120"),
        (r"\binom52", "10"),
        (r"\frac{6!}{4!}", "30"),
    ]);
    different(&[
        ("|x|", "x"),
        ("5!", "5"),
        (r"\binom52", r"\frac52"),
        ("(2n)!", "2n!"),
    ]);
    equal(&[
        ("(2+i)(2-i)", "5"),
        (r"\frac{1}{i}", "-i"),
        ("3-2i", "-2i+3"),
    ]);
    different(&[("1+2i", "1-2i"), ("1+2i", "2+i"), (r"|3+4i|", "7")]);
}

#[test]
fn polynomials_and_rational_expressions() {
    equal(&[
        ("(x-1)(x+2)", "x^2+x-2"),
        ("-(2-x)", "x-2"),
        ("yx^2", "x^2y"),
        ("3(a+b)", "3b+3a"),
    ]);
    equal(&[
        (r"\frac{1}{x}+\frac{1}{y}", r"\frac{x+y}{xy}"),
        (r"\frac{x^2-4}{x+2}", "x-2"),
    ]);
    different(&[
        ("(x+1)^2", "x^2+1"),
        ("x^{2y}", "x^2y"),
        ("ab", "a+b"),
        ("5k", "5n"),
        ("x", "X"),
    ]);
    different(&[
        (r"\frac{x}{y}", r"\frac{y}{x}"),
        ("x^{-1}", "-x"),
        ("-x^2", "(-x)^2"),
    ]);
}

#[test]
fn units_percents_degrees_and_times() {
    equal(&[
        (r"\$5", "5"),
        (r"5\%", "5"),
        (r"5^\circ", "5"),
        (r"5\text{ cm}^2", "5"),
        ("8:30 am", "8:30 a.m."),
    ]);
    different(&[
        (r"5\%", "0.05"),
        (r"5\text{ cm}", r"5\text{ km}"),
        (r"5\%", r"5^\circ"),
        (r"90^\circ", r"\frac\pi2"),
    ]);
    different(&[("8:30 am", "8:30 pm"), ("5:00", "17:00"), ("5:00", "5")]);
    equal(&[("2:3", "4:6"), ("2:3", r"\frac23"), ("1:2:3", "2:4:6")]);
    different(&[("2:3", "3:2"), ("1:2:3", "1:2"), ("2:3", "23")]);
}

#[test]
fn intervals_inequalities_sets_and_lists() {
    equal(&[
        ("(1,3]", r"1<x\le3"),
        (r"[2,\infty)", r"x\ge2"),
        (r"(-\infty,1)\cup(1,\infty)", r"x\ne1"),
    ]);
    different(&[
        ("(1,2]", "[1,2)"),
        ("x>5", r"x\ge5"),
        ("[1,2]", r"\{1,2\}"),
        (r"[1,2]\cup[3,4]", "[1,4]"),
    ]);
    different(&[
        ("|x|<1", "x<1"),
        ("-x>1", "x>-1"),
        ("0<x<1", "x>0"),
        (r"x\in[0,1]", r"y\in[0,1]"),
    ]);
    equal(&[
        (r"\{3,1,2\}", "1,2,3"),
        (r"\{1,1,2\}", r"\{1,2\}"),
        (r"3\text{ or }4", "4,3"),
        ("3 and 4", "3,4"),
    ]);
    different(&[
        (r"\{1,2\}", "3"),
        ("1,2", "1,2,2"),
        ("1,2", "12"),
        ("5 or 6", "5"),
        (r"\emptyset", r"\{0\}"),
    ]);
    equal(&[
        (r"\pm 5", "5,-5"),
        (r"x=\pm1", "x=1,x=-1"),
        (r"2\pm\sqrt3", r"2+\sqrt3,2-\sqrt3"),
    ]);
    different(&[
        (r"\pm 5", "5"),
        (r"\pm\sqrt2", r"\sqrt2"),
        (r"1\pm2", "3"),
        (r"6k\pm1", "6k+1"),
    ]);
}

#[test]
fn tuples_vectors_and_matrices() {
    equal(&[
        ("(1, 2)", "(1,2)"),
        ("(1/2,0.5)", "(0.5,1/2)"),
        (r"\langle1,2\rangle", "(1,2)"),
    ]);
    different(&[
        ("(1,2)", "(2,1)"),
        ("(1,2,3)", "(1,2)"),
        ("((1,2),(3,4))", "(1,2,3,4)"),
        ("1,2", "(2,1)"),
    ]);
    let column = r"\begin{pmatrix}1\\2\end{pmatrix}";
    equal(&[
        (column, "(1,2)"),
        (
            r"2\begin{pmatrix}1\\2\end{pmatrix}",
            r"\begin{bmatrix}2\\4\end{bmatrix}",
        ),
    ]);
    different(&[
        (column, r"\begin{pmatrix}1&2\end{pmatrix}"),
        (column, "(2,1)"),
        (column, r"\{1,2\}"),
    ]);
}

#[test]
fn equations() {
    equal(&[("f(x)=2x", "2x"), ("f(2)=3", "3"), ("P(A)=1/2", "1/2")]);
    different(&[
        ("f(2)=3", "f(3)=3"),
        ("P(A)=1/2", "P(B)=1/2"),
        ("f(x)=2x", "g(x)=2x"),
    ]);

    equal(&[
        ("x = 5", "5"),
        ("y = 2x+3", "2x - y + 3 = 0"),
        ("2x+2y=2", "x+y=1"),
        ("x=1,y=2", "y=2,x=1"),
    ]);
    different(&[
        ("x = 5", "y = 5"),
        ("y=2x+3", "x=2y+3"),
        ("x=1,y=2", "x=2,y=1"),
        ("x^2=1", "x=1"),
    ]);
    different(&[
        ("x=3=4", "3"),
        ("3=4", "3"),
        ("a=b", "a=c"),
        ("xy=0", "x=0"),
        ("(x,y)=(1,2)", "(y,x)=(1,2)"),
    ]);
}

#[test]
fn words_and_options() {
    equal(&[
        (r"\text{Evelyn}", "evelyn"),
        (r"\mbox{even}", r"\text{even}"),
        ("(B)", r"\text{B}"),
    ]);
    different(&[
        ("yes", "no"),
        (r"\text{not even}", "even"),
        ("A", "B"),
        (r"\text{Evelyn or Bob}", "Evelyn"),
    ]);
}

#[test]
fn what_denies_or_breaks_off_is_no_answer() {
    different(&[
        ("not 5", "5"),
        (r"\text{not }5", "5"),
        (r"5\text{ not}", "5"),
        (r"5\text{ is wrong}", "5"),
    ]);
    different(&[
        (r"\ne 5", "5"),
        ("<5", "5"),
        ("at most 5", "at least 5"),
        (r"5\text{ or more}", "5"),
    ]);
    different(&[
        (r"\frac{1", "1"),
        (r"\frac{5}{}", "5"),
        (r"\frac5", "5"),
        ("5+", "5"),
        ("5^", "5"),
        ("5/", "5"),
    ]);
    different(&[
        ("(5", "5"),
        ("5)", "5"),
        ("[5", "5"),
        (r"5, \dots", "5"),
        (r"\sqrt", "0"),
    ]);
    different(&[
        ("0", r"\text{undefined}"),
        ("0", r"\text{none}"),
        (r"\infty", "1000000000000"),
    ]);
}

#[test]
fn lists_are_paired_whatever_their_order() {
    // A name may be left out, so that an item may have several partners.
    equal(&[
        ("r, 8, (0)=r, 0, b=0", "r, 8, (0)=r, 0, b=0"),
        ("a=0, 0, b=0", "0, b=0, a=0"),
    ]);
    equal(&[("0, a=0", "b=0, 0")]);
    different(&[("a=0, b=0", "a=0, c=0")]);
}

#[test]
fn values_of_a_function_at_other_places_are_other_values() {
    different(&[
        ("f(a)=3", "f(b)=3"),
        ("f(x)=x", "f(y)=x"),
        ("f(x,y)=3", "f(x)=3"),
        ("P(a)=1/2", "P(b)=1/2"),
    ]);
    equal(&[("f(x)=2x", "2x"), ("f(x)=2x+2", "f(x)=2(x+1)")]);
}
