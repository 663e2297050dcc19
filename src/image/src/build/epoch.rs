//! `--build-arg SOURCE_DATE_EPOCH=…`: an image that tells of no later time than this, so that the same files make the same image
//! whenever it is built; <https://reproducible-builds.org/specs/source-date-epoch/>.

use super::cache::key;
use super::{BuildError, BuildOptions, Built, Dialect};
use crate::commit::Draft;
use crate::error::Result;
use crate::store::Inner;
use jiff::Timestamp;
use std::sync::Arc;

pub(super) const NAME: &str = "SOURCE_DATE_EPOCH";

/// The classic builder knows nothing of it.
pub(super) fn of(options: &BuildOptions) -> Result<Option<Timestamp>, BuildError> {
    let said = options.args.get(NAME).and_then(Option::as_deref).filter(|text| !text.is_empty());
    let parsed = said.filter(|_| options.dialect == Dialect::BuildKit).map(|text| {
        let at = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        at.ok_or_else(|| BuildError::Failed(format!("invalid {NAME}: {text}")))
    });
    parsed.transpose()
}

/// When directories and files are made that come from nowhere: now, or at the time that was given. Seconds since 1970, which
/// nothing may tell itself: Python refuses to pack what is older than 1980, and caches think it unchanged for ever.
pub(super) fn made_at(options: &BuildOptions) -> Result<u64, BuildError> {
    let at = of(options)?.unwrap_or_else(Timestamp::now);
    Ok(u64::try_from(at.as_second()).unwrap_or_default())
}

/// The same image, made at that time: steps that were done before keep theirs. Blocks.
pub(super) fn dated(store: &Arc<Inner>, built: &Built, at: Timestamp) -> Result<Built> {
    let mut draft = Draft::from_image(store, built.id.as_str())?;
    draft.document.created = Some(at);
    for item in &mut draft.document.history {
        item.created = Some(item.created.map_or(at, |made| made.min(at)));
    }
    store.keep_step(&draft, key(Some(&built.id), &format!("{NAME}={at}"), None))
}
