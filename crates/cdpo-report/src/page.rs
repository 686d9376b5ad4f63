//! The report page: a run's files go in; one self-contained HTML file comes out.
//!
//! [`ReportData`] holds all that the page shows; [`ReportData::read`] makes it of a run's files, without a model. [`html`] puts
//! it into the page's template with its style and scripts: no other file, and no network.

mod curves;
mod data;
mod distributions;
mod run_files;
mod template;
mod texts;
mod trajectories;

pub use curves::{Curve, POINTS};
pub use data::{Fact, MethodCurve, ReportData};
pub use distributions::{BINS, Distributions};
pub use run_files::RunFiles;
pub use template::html;
pub use texts::TokenBytes;
pub use trajectories::{RolloutView, TrajectoryView, VerdictView};
