//! Which lists, sets, tuples, matrices, equations and regions are equal.

mod compared;

use cdpo_grade::{GradeOptions, Grader};
use compared::{different, equal};

#[test]
fn collections_keep_what_their_brackets_say() {
    equal(&[
        ("1, 2", r"\{2, 1\}"),
        (r"3 \text{ and } 5", "5, 3"),
        ("19, 46, and 82", r"82, 19 \text{ and } 46"),
        (r"\pm 3", "-3, 3"),
        (r"1 \pm \sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
        ("(0;0),(1;2)", "(1,2),(0,0)"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "(1,2)"),
        (
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
            r"\begin{bmatrix}1 & 2 \\ 3 & \frac{8}{2}\end{bmatrix}",
        ),
        (
            r"\begin{pmatrix}1&0\\0&1\end{pmatrix}+\begin{pmatrix}1&1\\1&1\end{pmatrix}",
            r"\begin{pmatrix}2&1\\1&2\end{pmatrix}",
        ),
        (r"\begin{vmatrix}2&1\\1&2\end{vmatrix}", "3"),
        ("2:3", "4:6"),
        ("1:2", r"\frac12"),
        (r"\{-1\} \cup [0,7)", r"[0,7) \cup \{-1\}"),
        (r"(0,1] \cup (1,2)", "(0,2)"),
        (r"\mathbb{R} \setminus \{1\}", r"(-\infty,1)\cup(1,\infty)"),
        (r"\emptyset", r"\{\}"),
        (r"\begin{pmatrix}1&\phantom-1\end{pmatrix}", "(1,1)"),
        ("p=1,q=2;p=3,q=4", "(1,2),(3,4)"),
    ]);
    different(&[
        ("(1,2)", "(2,1)"),
        ("(1,2)", "[1,2]"),
        ("(1,2)", r"\{1,2\}"),
        ("1, 1, 2", "1, 2"),
        ("1, 2", "1"),
        (r"\pm 3", "3"),
        ("2:3", "3:2"),
        ("1:00", "12:00"),
        ("10:15", "20:30"),
        ("12:00", "12"),
        (r"(0,1) \cup (1,2)", "(0,2)"),
        (
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
            r"\begin{pmatrix}1&3\\2&4\end{pmatrix}",
        ),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "(2,1)"),
        (r"\emptyset", "0"),
    ]);
    let ordered = Grader::new(GradeOptions {
        ordered_lists: true,
        ..GradeOptions::default()
    });
    assert!(!ordered.equal("1, 2", "2, 1") && ordered.equal("1, 2", "1, 2"));
}

#[test]
fn names_may_be_left_out_but_not_changed() {
    equal(&[
        ("x = 5", "5"),
        ("5 = x", "5"),
        ("y = 2x+3", "2x+3"),
        ("y = 2x+3", "2x - y + 3 = 0"),
        ("xy = 1", r"y = \frac1x"),
        ("2x = 4", "x = 2"),
        ("f(x) = x+1", "1+x"),
        (r"x = 1 \text{ or } x = 2", "2, 1"),
        ("AB = 4, CD = 5", "4, 5"),
        (r"k = 3+3 = 6", "6"),
        (r"x = \frac13 \approx 0.33", r"\frac13"),
        (r"\frac{AB}{CD} = \frac{2}{3}", r"\frac23"),
        ("(p,q) = (3,2)", "(3,2)"),
        ("x^2/16 + y^2/12 = 1/4", "x^2/4 + y^2/3 = 1"),
    ]);
    different(&[
        ("x = 5", "y = 5"),
        ("a = 1, b = 2", "a = 2, b = 1"),
        ("11a+c", "7 = 11a+c"),
        ("a^2 + b = 0", "0"),
        ("x + y = 1", "x - y = 1"),
        ("x = 5", "x = 6"),
        ("f(x) = x", "g(x) = x"),
    ]);
}

#[test]
fn inequalities_are_regions() {
    equal(&[
        ("x > 5", r"(5,\infty)"),
        ("5 < x", "x > 5"),
        (r"-x \ge -1", r"x \leq 1"),
        (
            r"1 \le |z| \le \frac32",
            r"z \in [-\frac32,-1] \cup [1,\frac32]",
        ),
        (r"x < 1 \text{ or } x > 3", r"(-\infty,1)\cup(3,\infty)"),
        (r"x > 1 \text{ and } x < 3", "(1,3)"),
        (r"x > 1 \text{ or } x < 2", r"\mathbb{R}"),
        (r"\text{all real numbers}", r"(-\infty,\infty)"),
        (r"x \neq 1", r"\mathbb{R} \setminus \{1\}"),
        (r"\{x \mid x > 3\}", r"(3,\infty)"),
        ("f(2) < f(1) < f(4)", "f(4) > f(1) > f(2)"),
        (r"0 < f(x) < 1", "(0,1)"),
    ]);
    different(&[
        ("x < 5", "x > 5"),
        (r"x > 1 \text{ or } x < 2", "(1,2)"),
        (r"x < 1 \text{ or } y < 2", "x < 2"),
        (r"x \le 5", "x < 5"),
        ("x > 5", "y > 5"),
        ("x > 5", "5"),
        ("x > 5", "x = 5"),
    ]);
}
