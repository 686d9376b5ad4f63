//! Pairs of answers that the default grader takes for equal, or keeps apart, in either order.

use cdpo_grade::Grader;

#[track_caller]
pub(crate) fn equal(pairs: &[(&str, &str)]) {
    let grader = Grader::default();
    for (a, b) in pairs {
        assert!(
            grader.equal(a, b) && grader.equal(b, a),
            "not shown equal: {:#?}",
            grader.explain(a, b)
        );
    }
}

#[track_caller]
pub(crate) fn different(pairs: &[(&str, &str)]) {
    let grader = Grader::default();
    for (a, b) in pairs {
        assert!(
            !grader.equal(a, b) && !grader.equal(b, a),
            "equal: {:#?}",
            grader.explain(a, b)
        );
    }
}
