//! Responses as they are drawn, by whichever sampler: each is appended as it ends.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use cdpo_data::Trajectory;
use cdpo_data::artifact::StageDir;
use cdpo_data::jsonl::Appender;
use cdpo_sample::{Completion, Request, SampleParams, SampleProgress, Sampler};

use crate::interrupt;
use crate::messages;
use crate::outcome::Interrupted;
use crate::progress::ProgressLine;

/// How often the time spent is written down, so that a killed run does not lose count of it.
const KEEP_TIME: Duration = Duration::from_secs(20);

/// Responses as they are drawn.
pub(super) struct Drawing<'a> {
    bar: ProgressLine,
    before: u64,
    dir: &'a mut StageDir,
    requests: &'a [Request],
    pub(super) params: &'a SampleParams,
    out: &'a mut Appender,
    have: &'a mut Vec<Trajectory>,
}

impl<'a> Drawing<'a> {
    /// The responses of `requests` into the stage in `dir`: appended to `out`, and to `have`, which are to be `all`.
    pub(super) fn new(
        dir: &'a mut StageDir,
        requests: &'a [Request],
        params: &'a SampleParams,
        out: &'a mut Appender,
        have: &'a mut Vec<Trajectory>,
        all: u64,
    ) -> Self {
        let name = dir.dir().file_name().unwrap_or_default().to_owned();
        let before = have.len() as u64;
        Self {
            bar: ProgressLine::new(&name.to_string_lossy(), before, all),
            before,
            dir,
            requests,
            params,
            out,
            have,
        }
    }

    /// The stage's folder.
    pub(super) fn folder(&self) -> &Path {
        self.dir.dir()
    }

    /// Draws them from `sampler`; `note` says how it does.
    pub(super) fn from(
        &mut self,
        sampler: &mut dyn Sampler,
        params: &SampleParams,
        note: &dyn Fn(&SampleProgress) -> String,
    ) -> anyhow::Result<()> {
        let mut kept = Instant::now();
        let mut failure = None;
        let mut capped = 0;
        let (out, have) = (&mut *self.out, &mut *self.have);
        let mut keep =
            |request: &Request, sample: u32, completion: Completion| -> anyhow::Result<()> {
                let trajectory = completion.into_trajectory(request, sample)?;
                out.append(&trajectory)?;
                have.push(trajectory);
                Ok(())
            };
        let mut sink = |request: &Request, sample: u32, completion: Completion| {
            // Nothing is appended to what could not be written whole.
            if failure.is_none() {
                failure = keep(request, sample, completion).err();
            }
            if failure.is_some() {
                return ControlFlow::Break(());
            }
            interrupt::flow()
        };
        let (dir, bar, before) = (&mut *self.dir, &mut self.bar, self.before);
        let flow = sampler.sample(self.requests, params, &mut sink, &mut |progress| {
            capped = progress.capped;
            if kept.elapsed() >= KEEP_TIME {
                // Only the clock: a failure to write will show at the next sample.
                let _ = dir.keep_time();
                kept = Instant::now();
            }
            bar.at(before + progress.done as u64, || note(progress));
            interrupt::flow()
        })?;
        if capped > 0 {
            messages::warn(format_args!(
                "the context is too short for max_new_tokens after {capped} prompts; their responses end where it ends"
            ));
        }
        if let Some(e) = failure {
            return Err(e);
        }
        if flow.is_break() {
            return Err(Interrupted.into());
        }
        Ok(())
    }
}
