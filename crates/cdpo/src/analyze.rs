//! `cdpo analyze RUN`: rollout records, labelled solutions and replacements in; the paper's Tables 1 and 2 and Figure 2 out.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use cdpo_critical::analysis::{Place, WordTypeCensus, departure, place, step_tokens};
use cdpo_data::rollout_record::{CriticalKind, ReplacementRecord, RolloutRecord};
use cdpo_data::{GivenSolution, OnBadRow, Problem, given_solutions, jsonl};
use cdpo_model::Tokenizer;
use cdpo_report::bootstrap::{CounterDraws, RESAMPLES};
use cdpo_report::critical_tokens::{error_kind_table, place_table, word_type_table};
use cdpo_report::{CriticalTokens, Findings, ReplacementCurve, ShareTable};

use crate::args::AnalyzeArgs;
use crate::pipeline::{Pipeline, Step};
use crate::stages::TRAIN;
use crate::talk::out;
use crate::{run_folder, talk};

/// Prints the tables, and writes them as `analysis.md` and `analysis.json`.
pub(crate) fn analyze(args: &AnalyzeArgs) -> anyhow::Result<()> {
    let p = run_folder::open(&args.run, &args.sets)?;
    let path = run_folder::records(
        &p.run_dir,
        args.rollouts.as_deref(),
        &["rollouts", "rollouts.jsonl"],
    )?;
    let (records, _): (Vec<RolloutRecord>, _) = jsonl::read(&path, OnBadRow::Fail)?;
    let labels = match &args.labels {
        Some(file) => Labels::given(file)?,
        None if args.by_solutions => Labels::solutions(&p)?,
        None => Labels::None,
    };
    let replacements = replacements(&p, args)?;
    let tokenizer = &p.base.checkpoint.tokenizer;
    let told = CriticalTokens {
        setting: setting(&p, &path, &records),
        findings: findings(&records),
        word_types: word_types(tokenizer, &records)?,
        tenths: tenths(&records)?,
        replacement: replacements,
        ..places(tokenizer, &records, &labels)?
    };
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| p.run_dir.join("analysis"));
    std::fs::create_dir_all(&out)?;
    jsonl::write_json(out.join("analysis.json"), &told)?;
    let text = told.markdown()?;
    crate::command::write(&out.join("analysis.md"), text.as_bytes())?;
    out!("{}", text.trim_end());
    talk::say(format_args!("{}", out.join("analysis.json").display()));
    Ok(())
}

/// Where the first wrong steps come from.
enum Labels {
    None,
    /// A file of labelled solutions, by id.
    Given(HashMap<String, GivenSolution>),
    /// The questions' own solutions, by id: the first sentence that departs from them is the first wrong step.
    Solutions(HashMap<String, String>),
}

/// A response's steps as bytes, the first wrong one from 1, and what kind of error it is.
struct Label {
    steps: Vec<Range<usize>>,
    first_error: usize,
    /// The bytes before the wrong token, of it, and after it, where one can be named.
    token: Option<[Range<usize>; 3]>,
    kind: Option<String>,
}

impl Labels {
    fn given(file: &Path) -> anyhow::Result<Self> {
        let (solutions, skipped) = given_solutions::read(file, OnBadRow::Skip)?;
        if skipped.count() > 0 {
            talk::warn(format_args!(
                "{}: {} rows left out",
                file.display(),
                skipped.count()
            ));
        }
        let by_id = solutions.into_iter().map(|s| (s.id.clone(), s));
        Ok(Self::Given(by_id.collect()))
    }

    fn solutions(p: &Pipeline) -> anyhow::Result<Self> {
        let path = p.path(Step::Problems, TRAIN);
        let (problems, _): (Vec<Problem>, _) = jsonl::read(path, OnBadRow::Fail)?;
        let full = |problem: Problem| {
            let text = format!("{} The answer is {}.", problem.solution?, problem.answer);
            Some((problem.id, text))
        };
        Ok(Self::Solutions(
            problems.into_iter().filter_map(full).collect(),
        ))
    }

    /// The label of a response of this text.
    fn of(&self, record: &RolloutRecord, text: &[u8]) -> Option<Label> {
        match self {
            Self::None => None,
            Self::Given(solutions) => {
                let solution = solutions.get(&record.problem_id)?;
                if solution.response().as_bytes() != text {
                    talk::warn(format_args!(
                        "{}: the response that was rolled out is not the labelled one, and is left out",
                        record.problem_id
                    ));
                    return None;
                }
                Some(Label {
                    steps: solution.step_bytes(),
                    first_error: solution.first_error_step?,
                    token: None,
                    kind: solution.error_kind.clone(),
                })
            }
            Self::Solutions(solutions) => {
                let text = std::str::from_utf8(text).ok()?;
                let found = departure(text, solutions.get(&record.problem_id)?)?;
                Some(Label {
                    token: found
                        .token
                        .map(|wrong| [0..wrong.start, wrong.clone(), wrong.end..text.len()]),
                    steps: found.steps,
                    first_error: found.step,
                    kind: Some(found.kind.name().to_owned()),
                })
            }
        }
    }
}

fn replacements(p: &Pipeline, args: &AnalyzeArgs) -> anyhow::Result<Option<ReplacementCurve>> {
    let usual = p.run_dir.join("replacements").join("replacements.jsonl");
    let path = match &args.replacements {
        Some(path) => path.clone(),
        // The run's own replacements belong to its own rollouts.
        None if args.rollouts.is_none() && usual.is_file() => usual,
        None => return Ok(None),
    };
    let (records, _): (Vec<ReplacementRecord>, _) = jsonl::read(&path, OnBadRow::Fail)?;
    let mut draws = CounterDraws::new(p.recipe.run.seed);
    Ok(Some(ReplacementCurve::of(
        &records,
        RESAMPLES,
        &mut || draws.draw(),
    )?))
}

/// What every table rests on.
pub(crate) fn setting(
    p: &Pipeline,
    path: &Path,
    records: &[RolloutRecord],
) -> Vec<(String, String)> {
    let distinct = |values: Vec<String>| {
        let counts =
            values
                .into_iter()
                .fold(BTreeMap::new(), |mut counts: BTreeMap<String, u64>, v| {
                    *counts.entry(v).or_default() += 1;
                    counts
                });
        counts.into_keys().collect::<Vec<_>>().join(", ")
    };
    let sample = &p.recipe.sample;
    let file = path.strip_prefix(&p.run_dir).unwrap_or(path);
    let tokens: usize = records.iter().map(|r| r.ids.len()).sum();
    let pair = |name: &str, value: String| (name.to_owned(), value);
    vec![
        pair("model", p.base.checkpoint.origin.clone()),
        pair("rollouts", file.display().to_string()),
        pair("responses", records.len().to_string()),
        pair(
            "mean tokens",
            format!("{:.1}", tokens as f64 / records.len().max(1) as f64),
        ),
        pair(
            "rollouts a position",
            distinct(records.iter().map(|r| r.n.to_string()).collect()),
        ),
        pair(
            "temperature, top-p",
            format!("{}, {}", sample.temperature, sample.top_p),
        ),
    ]
}

fn findings(records: &[RolloutRecord]) -> Findings {
    let mut findings = Findings::default();
    for record in records {
        *match record.kind {
            CriticalKind::Both => &mut findings.both,
            CriticalKind::OnlyFirst => &mut findings.only_first,
            CriticalKind::None => &mut findings.none,
            CriticalKind::Unsettled => &mut findings.unsettled,
        } += 1;
    }
    findings
}

/// The bytes of each of a response's tokens.
fn pieces(tokenizer: &Tokenizer, ids: &[u32]) -> anyhow::Result<Vec<Vec<u8>>> {
    let bytes = ids.iter().map(|&id| tokenizer.token_bytes(id));
    Ok(bytes.collect::<cdpo_model::Result<_>>()?)
}

fn word_types(tokenizer: &Tokenizer, records: &[RolloutRecord]) -> anyhow::Result<ShareTable> {
    let mut census = WordTypeCensus::default();
    for record in records {
        if let Some(position) = record.position {
            census.add(&pieces(tokenizer, &record.ids)?, position);
        }
    }
    let mut table = word_type_table()?;
    let total = |counts: &[u64; 5]| counts.iter().sum();
    table.counted(
        "critical tokens, here",
        &census.critical,
        total(&census.critical),
    )?;
    table.counted(
        "all tokens of these responses",
        &census.all,
        total(&census.all),
    )?;
    Ok(table)
}

/// Shares of critical tokens in each tenth of their response: position t of T lies in tenth ceil(10 t / T).
fn tenths(records: &[RolloutRecord]) -> anyhow::Result<ShareTable> {
    let mut counts = [0u64; 10];
    let mut total = 0;
    for record in records {
        if let Some(position) = record.position {
            let tenth = (10 * position).div_ceil(record.ids.len().max(1));
            counts[tenth.clamp(1, 10) - 1] += 1;
            total += 1;
        }
    }
    let mut table = ShareTable::new("tenth of the response", (1..=10).map(|i| i.to_string()));
    table.counted("critical tokens, here", &counts, total)?;
    Ok(table)
}

/// The two tables that need labels; every other part is empty.
fn places(
    tokenizer: &Tokenizer,
    records: &[RolloutRecord],
    labels: &Labels,
) -> anyhow::Result<CriticalTokens> {
    let mut all = PlaceCounts::default();
    let mut tokens = PlaceCounts::default();
    let mut kinds: BTreeMap<String, PlaceCounts> = BTreeMap::new();
    for record in records {
        let Some(position) = record.position else {
            continue;
        };
        let pieces = pieces(tokenizer, &record.ids)?;
        let Some(label) = labels.of(record, &pieces.concat()) else {
            continue;
        };
        let Some(steps) = step_tokens(&label.steps, &pieces) else {
            continue;
        };
        all.add(&steps, label.first_error, position);
        if let Some(parts) = label.token
            && let Some(parts) = step_tokens(&parts, &pieces)
        {
            tokens.add(&parts, 2, position);
        }
        if let Some(kind) = label.kind {
            let counts = kinds.entry(kind).or_default();
            counts.add(&steps, label.first_error, position);
        }
    }
    let mut told = CriticalTokens {
        setting: Vec::new(),
        findings: Findings::default(),
        word_types: ShareTable::default(),
        tenths: ShareTable::default(),
        places: None,
        error_kinds: None,
        replacement: None,
    };
    if all.critical.iter().sum::<u64>() == 0 {
        return Ok(told);
    }
    let mut places = place_table()?;
    places.counted(
        "critical tokens, here (error: a step)",
        &all.critical,
        all.total(),
    )?;
    places.published(
        "a random token of these responses (error: a step)",
        &all.random().map(|share| Some(100.0 * share)),
    )?;
    if tokens.total() > 0 {
        places.counted(
            "critical tokens, here (error: a token)",
            &tokens.critical,
            tokens.total(),
        )?;
    }
    let mut table = error_kind_table()?;
    let outside = |counts: &PlaceCounts| [counts.total() - counts.critical[1]];
    table.counted("here, all (error: a step)", &outside(&all), all.total())?;
    table.published(
        "a random token of these responses (error: a step)",
        &[Some(100.0 * (1.0 - all.random()[1]))],
    )?;
    if tokens.total() > 0 {
        table.counted(
            "here, all (error: a token)",
            &outside(&tokens),
            tokens.total(),
        )?;
    }
    for (kind, counts) in &kinds {
        table.counted(&format!("here, {kind}"), &outside(counts), counts.total())?;
    }
    told.places = Some(places);
    told.error_kinds = Some(table);
    Ok(told)
}

/// Critical tokens by place, and the sum over responses of the share of their tokens there.
#[derive(Default)]
struct PlaceCounts {
    critical: [u64; 3],
    shares: [f64; 3],
}

impl PlaceCounts {
    fn add(&mut self, steps: &[Range<usize>], first_error: usize, position: usize) {
        let index = |found: Place| Place::ALL.iter().position(|&p| p == found);
        let Some(own) = place(steps, first_error, position - 1).and_then(index) else {
            return;
        };
        self.critical[own] += 1;
        let tokens: usize = steps.iter().map(ExactSizeIterator::len).sum();
        for (i, step) in steps.iter().enumerate() {
            let place = (i + 1).cmp(&first_error) as i8 + 1;
            self.shares[place as usize] += step.len() as f64 / tokens as f64;
        }
    }

    fn total(&self) -> u64 {
        self.critical.iter().sum()
    }

    fn random(&self) -> [f64; 3] {
        self.shares.map(|share| share / self.total().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::PlaceCounts;

    /// Two tokens before, one in and one after: a random token is before with chance one half.
    #[test]
    fn a_random_tokens_place_is_the_mean_share_of_the_tokens_there() {
        let mut counts = PlaceCounts::default();
        counts.add(&[0..1, 1..2, 2..3, 3..4], 3, 3);
        counts.add(&[0..1, 1..2], 1, 2);
        assert_eq!(counts.critical, [0, 1, 1]);
        assert_eq!(counts.random(), [0.25, 0.375, 0.375]);
    }
}
