//! What went wrong with one request, sorted by what is done about it.

use std::time::Duration;

/// A request that gave nothing. Reasons never hold the API key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// The server cannot be reached: it is waited for, and the sample goes elsewhere.
    Away(String),
    /// It took the request and went away: the same, but that the sample is tried again so many times, since it may be the cause.
    Lost(String),
    /// It answers that it has too much to do, and perhaps when to ask again.
    Busy(String, Option<Duration>),
    /// It no longer knows what it was asked for: it is asked anew who it is, and given the adapter again.
    Unknown(String),
    /// Its answer is none: half of one, a wrong one, or none in time. The sample is tried again so many times.
    Wrong(String),
    /// It will not do what is asked, and asking again is no use.
    Refused(String),
}

impl Fault {
    /// What to say of it.
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Away(reason)
            | Self::Lost(reason)
            | Self::Busy(reason, _)
            | Self::Unknown(reason)
            | Self::Wrong(reason)
            | Self::Refused(reason) => reason,
        }
    }
}
