//! Ctrl-C: the first one asks the work to stop at the next safe point, the second one ends the process.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Installs the handler.
pub(crate) fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        crate::messages::say("finishing the record or step at hand (Ctrl-C again ends at once)");
    })?;
    Ok(())
}

/// `Break` once the user has asked to stop.
pub(crate) fn flow() -> ControlFlow<()> {
    if ASKED.load(Ordering::SeqCst) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// The error to leave with once the user has asked to stop.
pub(crate) fn check() -> anyhow::Result<()> {
    match flow() {
        ControlFlow::Break(()) => Err(crate::outcome::Interrupted.into()),
        ControlFlow::Continue(()) => Ok(()),
    }
}
