//! A trajectory for the terminal: a report's response goes in; text with colour escapes, or with plain marks, comes out.

use std::fmt::Write as _;

use crate::grid::{Align, Grid};
use crate::page::{ReportData, TrajectoryView};

/// How colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Not at all: tokens of at least `HIGH` stand in `[ ]`, the critical token in `>> <<`.
    None,
    /// The 256-colour palette.
    Palette,
    /// 24-bit colours.
    True,
}

/// From here on a token is marked (1 - s_t).
const HIGH: f32 = 0.5;

/// Below this a token keeps the terminal's own colours.
const FAINT: f32 = 0.05;

/// Rows of the table of critical tokens.
const ROWS: usize = 5;

/// Backgrounds from faint to strong, for black text: 24-bit ends, and the palette's steps.
const LOW: [f32; 3] = [255.0, 238.0, 214.0];
const TOP: [f32; 3] = [240.0, 130.0, 30.0];
const STEPS: [u8; 5] = [230, 223, 216, 215, 208];

/// A response with its question, its tokens coloured by 1 - s_t, a table of its most critical tokens, and the right solutions.
pub fn trajectory(data: &ReportData, view: &TrajectoryView, colour: Colour) -> String {
    let mut out = String::new();
    let heading = |text: &str| match colour {
        Colour::None => format!("{text}\n"),
        _ => format!("\x1b[1m{text}\x1b[0m\n"),
    };
    out.push_str(&heading(&view.id));
    let _ = writeln!(out, "{}\n", clean(&view.question));
    let answer = view.verdict.as_ref().and_then(|v| v.answer.as_deref());
    let _ = writeln!(
        out,
        "answer {}, gold {}\n",
        answer.map_or_else(|| "–".into(), clean),
        view.gold.as_deref().map_or_else(|| "–".into(), clean)
    );
    out.push_str(&heading("Wrong solution, coloured by 1 - s"));
    for (t, &number) in view.tokens.iter().enumerate() {
        if t >= view.content() {
            out.push_str(&painted("<end>", view.scores[t], false, colour));
            continue;
        }
        let text = clean(&data.texts[number as usize]);
        // White space and line breaks at a token's ends stay bare, so that no colour runs to the edge of the screen.
        let body = text.trim_matches('\n');
        let (before, after) = match text.find(body) {
            Some(at) if !body.is_empty() => (&text[..at], &text[at + body.len()..]),
            _ => (text.as_str(), ""),
        };
        out.push_str(before);
        if !body.is_empty() {
            out.push_str(&painted(body, view.scores[t], t == view.critical, colour));
        }
        out.push_str(after);
    }
    out.push_str("\n\n");
    out.push_str(&heading("Most critical tokens"));
    out.push_str(&most_critical(data, view));
    out.push('\n');
    out.push_str(&heading("Chosen solution"));
    let _ = writeln!(out, "{}", clean(view.chosen.trim()));
    if let Some(solution) = &view.gold_solution {
        out.push('\n');
        out.push_str(&heading("Gold solution"));
        let _ = writeln!(out, "{}", clean(solution.trim()));
    }
    out
}

/// One line for each response: its name, the 1 - s_t of its top critical token, that token, and the question's beginning.
pub fn list(data: &ReportData) -> String {
    let mut grid = Grid::new([
        ("id", Align::Left),
        ("highest 1-s", Align::Right),
        ("critical token", Align::Left),
        ("question", Align::Left),
    ]);
    for view in &data.trajectories {
        let question: String = clean(&view.question).chars().take(60).collect();
        grid.push(vec![
            clean(&view.id),
            format!("{:.4}", view.highest),
            quoted(data, view.tokens[view.critical]),
            question.replace('\n', " "),
        ]);
    }
    grid.plain()
}

fn most_critical(data: &ReportData, view: &TrajectoryView) -> String {
    let mut order: Vec<usize> = (0..view.content()).collect();
    order.sort_by(|&a, &b| {
        let top = |t: usize| t != view.critical;
        (top(a), view.scores[a])
            .partial_cmp(&(top(b), view.scores[b]))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut grid = Grid::new([
        ("position", Align::Right),
        ("token", Align::Left),
        ("1-s", Align::Right),
        ("P positive", Align::Right),
        ("P negative", Align::Right),
        ("rank", Align::Right),
        ("positive model's best alternatives", Align::Left),
    ]);
    let probability = |logps: &[f32], t: usize| {
        let p = logps.get(t).map(|logp| f64::from(*logp).exp());
        p.map_or_else(|| "–".into(), probability)
    };
    for &t in order.iter().take(ROWS) {
        let best = view.alternatives.get(t).map(Vec::as_slice);
        let best: Vec<String> = best
            .unwrap_or_default()
            .iter()
            .map(|&(text, p)| format!("{} {:.3}", quoted(data, text), f64::from(p) / 1000.0))
            .collect();
        grid.push(vec![
            (t + 1).to_string(),
            quoted(data, view.tokens[t]),
            format!("{:.4}", 1.0 - view.scores[t]),
            probability(&view.positive, t),
            probability(&view.negative, t),
            view.ranks
                .get(t)
                .map_or_else(|| "–".into(), ToString::to_string),
            best.join("  "),
        ]);
    }
    grid.plain()
}

fn probability(p: f64) -> String {
    if p >= 0.001 {
        format!("{p:.3}")
    } else {
        format!("{p:.1e}")
    }
}

fn painted(text: &str, score: f32, critical: bool, colour: Colour) -> String {
    let weight = 1.0 - score;
    if colour == Colour::None {
        return match (critical, weight >= HIGH) {
            (true, _) => format!(">>{text}<<"),
            (false, true) => format!("[{text}]"),
            (false, false) => text.to_owned(),
        };
    }
    if weight < FAINT && !critical {
        return text.to_owned();
    }
    let background = if colour == Colour::True {
        let [r, g, b] = [0, 1, 2].map(|i| (LOW[i] + (TOP[i] - LOW[i]) * weight).round() as u8);
        format!("48;2;{r};{g};{b}")
    } else {
        let step = (weight * STEPS.len() as f32) as usize;
        format!("48;5;{}", STEPS[step.min(STEPS.len() - 1)])
    };
    let more = match (critical, weight >= HIGH) {
        (true, _) => ";1;4",
        (false, true) => ";4",
        (false, false) => "",
    };
    format!("\x1b[{background};38;5;16{more}m{text}\x1b[0m")
}

/// A token with its white space visible.
fn quoted(data: &ReportData, number: u32) -> String {
    let text = clean(&data.texts[number as usize]);
    format!("\"{}\"", text.replace('\n', "\\n"))
}

/// Text that cannot steer the terminal: control characters but line breaks become the replacement character.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => c,
            '\t' => ' ',
            c if c.is_control() => '\u{FFFD}',
            c => c,
        })
        .collect()
}
