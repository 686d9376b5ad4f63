#![allow(clippy::print_stdout, missing_docs)]
fn main() {
    let grader = cdpo_grade::Grader::default();
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    for line in text.lines() {
        if let Some((a, b)) = line.split_once(" || ") {
            let start = std::time::Instant::now();
            let e = grader.explain(a, b);
            println!(
                "{} {:?}  [{}: {}] [{}: {}]",
                if e.equal { "EQ" } else { "ne" },
                start.elapsed(),
                e.a.kind,
                e.a.form.chars().take(100).collect::<String>(),
                e.b.kind,
                e.b.form.chars().take(100).collect::<String>()
            );
        } else {
            println!("{:?}", grader.grade(line, "1"));
        }
    }
}
