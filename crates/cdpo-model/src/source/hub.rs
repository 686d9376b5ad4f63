//! Models by hub name (filled in next).
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
pub(super) struct Request<'a> {
    pub(super) repo: &'a str,
    pub(super) revision: &'a str,
    pub(super) endpoint: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) cache: &'a Path,
    pub(super) offline: bool,
}
pub(super) fn fetch(request: &Request<'_>) -> Result<PathBuf> {
    let _ = (
        request.repo,
        request.revision,
        request.endpoint,
        request.token,
        request.cache,
        request.offline,
    );
    Err(Error::Hub("not available yet".into()))
}
