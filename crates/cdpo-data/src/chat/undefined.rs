//! Printing what is not defined, which Jinja prints as nothing: an error, unless the template says so itself (`x if condition` without an
//! else).
//!
//! The engine tells a formatter no more than that a value is not defined. Only its error says where the value comes from, and it says
//! so of none that the template left out itself. So a rendering that meets one ends with that error; if the error names nothing, the
//! template is rendered again, past it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::Value;
use minijinja::{Error, ErrorKind};

/// What a template's renderings have met.
#[derive(Debug, Default)]
pub(super) struct Undefined {
    /// One rendering at a time counts.
    turn: Mutex<()>,
    met: AtomicUsize,
    /// So many are left out by the template itself.
    meant: AtomicUsize,
}

impl Undefined {
    /// A value that is not defined is to be printed.
    pub(super) fn print(&self, value: &Value) -> Result<(), Error> {
        let met = self.met.fetch_add(1, Ordering::Relaxed);
        if met < self.meant.load(Ordering::Relaxed) {
            return Ok(());
        }
        // The error of a value that is not defined, with its origin.
        value.get_attr("attribute").map(|_| ())
    }

    /// Renders until nothing is met but what the template leaves out itself.
    pub(super) fn rendered(
        &self,
        render: impl Fn() -> Result<String, Error>,
    ) -> Result<String, Error> {
        let _turn = self.turn.lock();
        self.meant.store(0, Ordering::Relaxed);
        loop {
            self.met.store(0, Ordering::Relaxed);
            let result = render();
            let met = self.met.load(Ordering::Relaxed);
            let before = self.meant.swap(met, Ordering::Relaxed);
            match result {
                Err(e)
                    if e.kind() == ErrorKind::UndefinedError
                        && e.detail().is_none()
                        && met > before => {}
                result => return result,
            }
        }
    }
}
