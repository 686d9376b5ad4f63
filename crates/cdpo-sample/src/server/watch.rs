//! Who is told of the servers while a call runs: an observer that asks, and a listener that is called.

use std::sync::{Arc, Mutex, PoisonError};

use super::protocol::ServerIdentity;
use super::queue::ServerStatus;

/// How the servers do, for an observer: cheap to copy, and kept up to date while a call runs.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Vec<ServerStatus>>>);

impl Watch {
    /// Each server.
    pub fn servers(&self) -> Vec<ServerStatus> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set(&self, servers: Vec<ServerStatus>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }
}

/// Who is to know of the servers.
#[derive(Default)]
pub(super) struct Met<'a>(pub(super) Option<Box<Listener<'a>>>);

/// Takes what the servers say they are.
pub(super) type Listener<'a> = dyn FnMut(&[ServerIdentity]) + 'a;

impl Met<'_> {
    pub(super) fn call(&mut self, said: &[ServerIdentity]) {
        if let Some(listener) = &mut self.0 {
            listener(said);
        }
    }
}

impl std::fmt::Debug for Met<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Met")
    }
}
