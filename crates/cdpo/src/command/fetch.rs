//! `cdpo fetch`: a model by its hub name goes into the cache; its content id comes out.

use crate::args::FetchArgs;
use cdpo_model::Products;

use crate::messages::out;
use crate::recipe::ModelSection;
use crate::run::open_model;

/// Carries the command out.
pub(super) fn fetch(args: &FetchArgs) -> anyhow::Result<()> {
    let (_, base) = open_model(
        &ModelSection {
            hub: Some(args.name.clone()),
            revision: Some(args.revision.clone()),
            ..ModelSection::default()
        },
        Products::Exact,
    )?;
    let content_id = base.content_id()?;
    out!("{} {content_id}", base.origin);
    Ok(())
}
