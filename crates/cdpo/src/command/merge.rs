//! `cdpo merge`: a model and an adapter in, a folder of merged weights out.

use anyhow::Context as _;

use crate::args::MergeArgs;
use crate::messages::out;
use crate::outcome::Usage;
use crate::recipe::ModelSection;
use crate::run::open_model;

/// Carries the command out.
pub(super) fn merge(args: &MergeArgs) -> anyhow::Result<()> {
    let (vocabulary, base) = open_model(&ModelSection {
        path: Some(args.model.clone()),
        ..ModelSection::default()
    })?;
    base.open()?;
    if args.out.exists() && std::fs::read_dir(&args.out)?.next().is_some() {
        return Err(Usage(format!(
            "{} is not empty; name a new folder",
            args.out.display()
        ))
        .into());
    }
    let mut model = base.load_f32()?;
    let adapter = base
        .adapter(&args.adapter)
        .with_context(|| format!("the adapter {} does not fit", args.adapter.display()))?;
    model.merge(&adapter)?;
    model.save(&args.out)?;
    vocabulary.tokenizer.save(&args.out)?;
    out!("{}", args.out.display());
    Ok(())
}
