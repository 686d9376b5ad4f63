//! The command line.
#![allow(rustdoc::broken_intra_doc_links)] // brackets are defaults here, as help shows them

use std::path::PathBuf;

use cdpo_train::Method;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::grade_options::GradeOptionArgs;
use crate::paths;
use crate::recipe::Shard;

mod rollout;

pub(crate) use rollout::RolloutArgs;

/// Finds the critical tokens of wrong reasoning by contrastive estimation and trains them out (cDPO, Lin et al. 2025).
///
/// stdout carries results (tables, paths), stderr messages and progress. Exit codes: 0 done, 1 failed, 2 a fault in the command
/// or the recipe, 130 interrupted. A run that ended early goes on where it was when the same command is given again.
#[derive(Debug, Parser)]
#[command(name = "cdpo", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a recipe, from the questions to the table of methods.
    ///
    /// Stages that are done and whose inputs and settings did not change are not done again.
    #[command(
        after_help = "Example:\n  cdpo run recipes/gsm8k-qwen2.5-0.5b.toml --set model.path=qwen2.5-coder-0.5b-instruct-q4_k_m.gguf \\
      --set data.train=gsm8k_train.jsonl --set data.test=gsm8k_test.jsonl --set eval.limit=50"
    )]
    Run(RunSeedsArgs),

    /// Say what a recipe will take before it is run: parameters, operations, memory and time of each stage.
    ///
    /// Needs no weights: the model may be a folder with config.json alone (and a tokenizer, to measure lengths with), and of a hub name
    /// the small files alone are fetched. Where the recipe names no questions, GSM8K or MATH is taken by its framing.
    #[command(
        after_help = "Examples:\n  cdpo plan recipes/quickstart.toml\n  cdpo plan recipes/gsm8k-llama3-8b.toml --config llama3-8b/config.json --hardware h100-80gb\n  cdpo plan recipes/gsm8k-llama3-8b.toml --config config.json --hardware 64,3000,400,512 --response-tokens 110 --json"
    )]
    Plan(PlanArgs),

    /// Run the whole method on the built-in model and word problems: every method of the paper, and a report, in minutes.
    ///
    /// Needs no download and no network. What it does is a recipe (--print-recipe): with another model and other questions the same
    /// recipe does it on yours.
    #[command(
        after_help = "Examples:\n  cdpo quickstart\n  cdpo quickstart --fast                     # about a minute\n  cdpo quickstart --print-recipe > mine.toml && cdpo run mine.toml --set model.path=..."
    )]
    Quickstart(QuickstartArgs),

    /// Run recipes with several methods, seeds and data sets, and write one table of all, in the shape of the paper's Table 3.
    ///
    /// Stages that several of its runs share are done once. Writes experiment.md, .csv and .json beside the runs.
    #[command(
        after_help = "Examples:\n  cdpo experiment recipes/table3-wordmath.toml\n  cdpo experiment recipes/table3-wordmath.toml --set eval.limit=200 --dry-run"
    )]
    Experiment(ExperimentArgs),

    /// Run a recipe as far as the samples of the training questions.
    #[command(
        after_help = "Examples:\n  cdpo sample recipes/tiny.toml --set sample.temperature=0.7\n  cdpo sample recipes/tiny.toml --shard 2/8        # a part, for one of eight machines; it lies in RUN/samples.2-of-8\n  cdpo sample recipes/tiny.toml                    # takes the parts that lie in RUN, and draws what is missing"
    )]
    Sample(SampleArgs),

    /// Run a recipe as far as the graded samples, grade a file of responses, or explain how two answers compare.
    #[command(
        after_help = "Examples:\n  cdpo grade recipes/tiny.toml\n  cdpo grade responses.jsonl        # rows with `response` and `gold` (or `answer`); verdicts on stdout, counts on stderr;\n                                    # with `label` or `correct` (true, false): where they disagree\n  cdpo grade responses.jsonl --extraction gsm8k_strict\n  cdpo grade --explain '\\frac{1}{2}' 0.5"
    )]
    Grade(GradeArgs),

    /// Run a recipe as far as the positive set, the negative set and the pairs.
    #[command(
        after_help = "Example:\n  cdpo select recipes/tiny.toml --set select.wrong_top_p=0.3"
    )]
    Select(RunArgs),

    /// Run a recipe as far as the contrastive scores of the pairs (this trains the two contrastive models).
    #[command(after_help = "Example:\n  cdpo score recipes/tiny.toml --set ce.ce_beta=0.5")]
    Score(RunArgs),

    /// Run a recipe as far as the adapter of a method.
    #[command(
        after_help = "Example:\n  cdpo train recipes/tiny.toml --method cdpo --set train.gamma=1.0"
    )]
    Train(TrainArgs),

    /// Answer a recipe's held-out questions with the base model or an adapter, and print the accuracy.
    #[command(
        after_help = "Examples:\n  cdpo eval recipes/tiny.toml                                     # the base model\n  cdpo eval recipes/tiny.toml --adapter demo/runs/tiny/cdpo/adapter"
    )]
    Eval(EvalArgs),

    /// Show a run in the terminal: its table of methods, or a wrong solution with every token coloured by how critical it is.
    #[command(
        after_help = "Examples:\n  cdpo show runs/quickstart\n  cdpo show runs/quickstart --list | head\n  cdpo show runs/quickstart --trajectory train/3#5"
    )]
    Show(ShowArgs),

    /// Write a run's report anew: report.html, one page that loads nothing, and report.json.
    ///
    /// `cdpo run` writes it at its end; this adds what came later, such as rollouts.
    #[command(after_help = "Example:\n  cdpo report runs/quickstart")]
    Report(ReportArgs),

    /// Tell what a run's critical tokens are: word types, places against labelled errors, Pass@k without them.
    ///
    /// Reads RUN/rollouts and RUN/replacements, prints the tables beside the paper's and writes RUN/analysis.
    #[command(
        after_help = "Examples:\n  cdpo analyze runs/gsm8k\n  cdpo analyze runs/quickstart --by-solutions             # word problems: labels by rule\n  cdpo analyze runs/gsm8k --rollouts runs/gsm8k/rollouts-given/rollouts.jsonl --labels labelled.jsonl --out runs/gsm8k/analysis-given"
    )]
    Analyze(AnalyzeArgs),

    /// Judge contrastive estimation by the definition: where does it rank the true critical tokens that rollouts found?
    ///
    /// Ranks every token of every rolled-out response by 1 - s_t and by simpler signals, prints top-1, top-3, top tenth, mean
    /// reciprocal rank and AUC with intervals, and writes RUN/judge. Needs RUN/rollouts and RUN's contrastive models.
    #[command(
        after_help = "Examples:\n  cdpo judge runs/gsm8k --ce-beta 0.5,1,2\n  cdpo judge runs/gsm8k --models runs/gsm8k-top-0.25     # contrastive models of other negative sets, same responses"
    )]
    Judge(JudgeArgs),

    /// Find the critical tokens of wrong responses by rollouts, exactly, and replace them.
    ///
    /// The critical token of a wrong response is the first one from which no completion is right and behind which every position
    /// stays under 5 % (N = 64 completions of each position). What is drawn is what that answer depends on, and rollouts share what they
    /// have in common; the token found is the one that --exhaustive finds. Records go to RUN/rollouts/rollouts.jsonl.
    #[command(
        after_help = "Examples:\n  cdpo rollout recipes/gsm8k-qwen2.5-0.5b.toml --limit 8\n  cdpo rollout recipes/tiny.toml --limit 4 --exhaustive      # the definition, rollout by rollout\n  cdpo rollout recipes/tiny.toml --replace                   # Pass@k with and without the critical token\n  cdpo rollout recipes/tiny.toml --trajectories mine.jsonl   # rows with question, response, gold"
    )]
    Rollout(RolloutArgs),

    /// Merge an adapter into its base model and write the result as a Hugging Face folder.
    #[command(
        after_help = "Example:\n  cdpo merge demo/model demo/runs/tiny/cdpo/adapter demo/merged"
    )]
    Merge(MergeArgs),

    /// Train a small model from random values on the built-in word problems, as the built-in base model was made.
    ///
    /// Stopped with Ctrl-C or killed, it goes on from its last checkpoint when the same command is given again, and ends with the
    /// same bits. `model/` in the run's folder is a Hugging Face folder of the newest checkpoint.
    #[command(
        after_help = "Example:\n  cdpo pretrain recipes/wordmath-base.toml --set run.name=mine --set train.max_steps=200"
    )]
    Pretrain(PretrainArgs),

    /// Download a model from the hub into the cache and check it.
    ///
    /// HF_ENDPOINT, HF_TOKEN (or the token file of `hf auth login`), HF_HOME (or HF_HUB_CACHE) and HF_HUB_OFFLINE are obeyed.
    #[command(
        after_help = "Example:\n  cdpo fetch Qwen/Qwen2.5-0.5B\n  cdpo fetch owner/name-GGUF:name-q4_k_m.gguf"
    )]
    Fetch(FetchArgs),

    /// Write a tiny model with questions for it, and run the whole method on them in seconds.
    #[command(after_help = "Example:\n  cdpo demo demo && ls demo/runs/tiny")]
    Demo(DemoArgs),

    /// Print the completions of a shell: the script that makes it complete commands, flags and paths.
    #[command(
        after_help = "Examples:\n  cdpo completions bash > ~/.local/share/bash-completion/completions/cdpo\n  cdpo completions zsh > ~/.zfunc/_cdpo           # a folder of $fpath\n  cdpo completions fish > ~/.config/fish/completions/cdpo.fish"
    )]
    Completions(CompletionsArgs),

    /// Write the manual pages into a folder: cdpo.1, and a page for each command.
    #[command(after_help = "Example:\n  cdpo man ~/.local/share/man/man1 && man cdpo-run")]
    Man(ManArgs),
}

/// A recipe and its changes.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The recipe, a TOML file; `recipes/` has some, with every key explained.
    #[arg(value_parser = paths::parser())]
    pub(crate) recipe: PathBuf,
    /// Change a key of the recipe (the value is TOML, or bare text); may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What to sample.
#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Sample one part of the questions alone, such as 2/8.
    #[arg(long, value_name = "PART")]
    pub(crate) shard: Option<Shard>,
}

/// A recipe, its changes, and how many seeds.
#[derive(Debug, Args)]
pub(crate) struct RunSeedsArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Train with so many seeds, from run.seed on, and add a table of means; the samples are shared.
    #[arg(long, value_name = "N")]
    pub(crate) seeds: Option<u32>,
}

/// What to plan, and for which machine.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The recipe, a TOML file.
    #[arg(value_parser = paths::parser())]
    pub(crate) recipe: PathBuf,
    /// Change a key of the recipe; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// A config.json, or a folder with one, instead of the recipe's model.
    #[arg(long, value_name = "PATH", value_parser = paths::parser())]
    pub(crate) config: Option<PathBuf>,
    /// `this` (measured for a fraction of a second), a100-80gb, h100-80gb, 8xa100-80gb, 8xh100-80gb, or cores,GFLOP/s,GB/s,GB.
    #[arg(long, value_name = "NAME", default_value = "this")]
    pub(crate) hardware: String,
    /// Mean tokens of a question as it is put, without exemplars [measured with the model's tokenizer, or GSM8K's or MATH's].
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
    pub(crate) prompt_tokens: Option<f64>,
    /// Mean tokens of a response with its end [of the worked solutions].
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
    pub(crate) response_tokens: Option<f64>,
    /// Tokens of all exemplars together [measured, or GSM8K's or MATH's].
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
    pub(crate) exemplar_tokens: Option<f64>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A mean number of tokens.
fn tokens(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|n: &f64| n.is_finite() && *n >= 0.0)
        .ok_or_else(|| format!("{text}: a number of tokens is expected"))
}

/// How to run the quickstart.
#[derive(Debug, Args)]
pub(crate) struct QuickstartArgs {
    /// Fewer questions, samples and steps: to see that it works.
    #[arg(long)]
    pub(crate) fast: bool,
    /// Print the recipe and do nothing.
    #[arg(long)]
    pub(crate) print_recipe: bool,
    /// Change a key of the recipe; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// An experiment and its changes.
#[derive(Debug, Args)]
pub(crate) struct ExperimentArgs {
    /// The experiment, a TOML file that names recipes, methods and seeds.
    #[arg(value_parser = paths::parser())]
    pub(crate) experiment: PathBuf,
    /// Change a key of all its recipes; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What to grade.
#[derive(Debug, Args)]
pub(crate) struct GradeArgs {
    /// A recipe (.toml), or a file of responses (JSON Lines, CSV or Parquet).
    #[arg(required_unless_present = "explain", value_parser = paths::parser())]
    pub(crate) file: Option<PathBuf>,
    /// Show how two answers are read and how they compare.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "file")]
    pub(crate) explain: Vec<String>,
    #[command(flatten)]
    pub(crate) options: GradeOptionArgs,
    /// Change a key of the recipe; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What to train.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// One of the recipe's methods; all of them if left out.
    #[arg(long)]
    pub(crate) method: Option<Method>,
}

/// What to evaluate.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// A PEFT adapter folder; the base model if left out.
    #[arg(long, value_parser = paths::parser())]
    pub(crate) adapter: Option<PathBuf>,
}

/// What to show of a run.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The run's folder.
    #[arg(value_parser = paths::parser())]
    pub(crate) run: PathBuf,
    /// The wrong solution to show, as `--list` names it; a question's id will do where it has only one.
    #[arg(long, value_name = "ID", conflicts_with = "list")]
    pub(crate) trajectory: Option<String>,
    /// List the scored wrong solutions.
    #[arg(long)]
    pub(crate) list: bool,
    /// Colours: auto means on a terminal, unless NO_COLOR is set.
    #[arg(long, value_enum, default_value_t = ColourChoice::Auto)]
    pub(crate) color: ColourChoice,
}

/// When to write colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColourChoice {
    Auto,
    Always,
    Never,
}

/// Which run's report to write.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The run's folder.
    #[arg(value_parser = paths::parser())]
    pub(crate) run: PathBuf,
    /// Change a key of the run's recipe, such as model.path where the model was moved; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
}

/// What to tell of a run's critical tokens.
#[derive(Debug, Args)]
pub(crate) struct AnalyzeArgs {
    /// The run's folder.
    #[arg(value_parser = paths::parser())]
    pub(crate) run: PathBuf,
    /// Records of rollouts [RUN/rollouts/rollouts.jsonl].
    #[arg(long, value_name = "FILE", value_parser = paths::parser())]
    pub(crate) rollouts: Option<PathBuf>,
    /// Records of replacements [RUN/replacements/replacements.jsonl, if the rollouts are the run's own].
    #[arg(long, value_name = "FILE", value_parser = paths::parser())]
    pub(crate) replacements: Option<PathBuf>,
    /// The labelled solutions that were rolled out (rows with `steps` and `first_error_step`), for Tables 1 and 2.
    #[arg(long, value_name = "FILE", value_parser = paths::parser())]
    pub(crate) labels: Option<PathBuf>,
    /// Take the first sentence that departs from the question's own solution for the first wrong step: where solutions have one
    /// order of steps, as the built-in word problems' have.
    #[arg(long, conflicts_with = "labels")]
    pub(crate) by_solutions: bool,
    /// Where to write [RUN/analysis].
    #[arg(long, value_name = "DIR", value_parser = paths::parser())]
    pub(crate) out: Option<PathBuf>,
    /// Change a key of the run's recipe; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
}

/// What to judge.
#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// The run's folder.
    #[arg(value_parser = paths::parser())]
    pub(crate) run: PathBuf,
    /// Records of rollouts [RUN/rollouts/rollouts.jsonl].
    #[arg(long, value_name = "FILE", value_parser = paths::parser())]
    pub(crate) rollouts: Option<PathBuf>,
    /// Weights of the negative model, a row each [the recipe's].
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub(crate) ce_beta: Vec<f64>,
    /// The folder of another run on the same base model, to judge its contrastive models beside this run's, or instead of them
    /// where it has none; may be given often.
    #[arg(long, value_name = "RUN", value_parser = paths::parser())]
    pub(crate) models: Vec<PathBuf>,
    /// Where to write [RUN/judge].
    #[arg(long, value_name = "DIR", value_parser = paths::parser())]
    pub(crate) out: Option<PathBuf>,
    /// Change a key of the run's recipe; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
}

/// What to merge.
#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// The base: a Hugging Face folder or a GGUF file.
    #[arg(value_parser = paths::parser())]
    pub(crate) model: PathBuf,
    /// The PEFT adapter folder.
    #[arg(value_parser = paths::parser())]
    pub(crate) adapter: PathBuf,
    /// The folder to write: weights, and every small file of the base (tokenizer, chat template, generation settings).
    #[arg(value_parser = paths::parser())]
    pub(crate) out: PathBuf,
    /// How values are stored; as most of the base's are if left out (f32 where those are quantised).
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(crate) dtype: Option<DtypeChoice>,
    /// Gigabytes of weights in one file, at most; more are written as shards with an index.
    #[arg(long, value_name = "GB", default_value_t = 5.0, value_parser = gigabytes)]
    pub(crate) shard_gb: f64,
}

/// A positive number of gigabytes.
fn gigabytes(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "a number is expected")?;
    if number.is_finite() && number > 0.0 {
        Ok(number)
    } else {
        Err("a number above 0 is expected".to_owned())
    }
}

/// How a model's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DtypeChoice {
    /// 8 bits of exponent, 7 of fraction.
    Bf16,
    /// 5 bits of exponent, 10 of fraction.
    F16,
    /// 8 bits of exponent, 23 of fraction.
    F32,
}

/// What to pre-train.
#[derive(Debug, Args)]
pub(crate) struct PretrainArgs {
    /// The recipe, a TOML file such as `recipes/wordmath-base.toml`.
    #[arg(value_parser = paths::parser())]
    pub(crate) recipe: PathBuf,
    /// Change a key of the recipe; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
}

/// What to fetch.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// `owner/name`, or `owner/name:file.gguf`.
    pub(crate) name: String,
    /// Branch, tag or commit.
    #[arg(long, default_value = "main")]
    pub(crate) revision: String,
}

/// Where the demonstration goes.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder for model, questions and run.
    #[arg(default_value = "demo", value_parser = paths::parser())]
    pub(crate) dir: PathBuf,
    /// Change a key of `recipes/tiny.toml`; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Write model and questions, show what would be done, and do nothing else.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Which shell's completions to print.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Where the manual pages go.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder; it is made if it is not there, and pages in it are replaced.
    #[arg(value_parser = paths::parser())]
    pub(crate) dir: PathBuf,
}
