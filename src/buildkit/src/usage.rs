//! `docker buildx du` and `prune`: the steps of builds that are no image of their own, and the caches of `RUN --mount=type=cache`.

use crate::proto::control::{PruneRequest, UsageRecord};
use image::{CacheMount, ImageDetails, ImageError, ImageStore};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;
use tonic::Status;

/// BuildKit's types of records that there are here.
const STEP: &str = "regular";
const CACHE_MOUNT: &str = "exec.cachemount";

/// Which records are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds {
    steps: bool,
    caches: bool,
}

/// By filters for the type, of which one must fit (`--filter type=exec.cachemount`). Of BuildKit's other types there are none here.
///
/// # Errors
/// A filter for something else.
pub(crate) fn kinds(filters: &[String]) -> Result<Kinds, Status> {
    let mut types = Vec::new();
    for filter in filters.iter().filter(|filter| !filter.is_empty()) {
        match filter.strip_prefix("type==") {
            Some(kind) if kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.') => {
                types.push(kind);
            }
            _ => return Err(Status::invalid_argument(format!("filter {filter:?} is not offered"))),
        }
    }
    let wants = |kind: &str| types.is_empty() || types.contains(&kind);
    Ok(Kinds { steps: wants(STEP), caches: wants(CACHE_MOUNT) })
}

/// A step of a build that is no image of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedStep {
    pub id: String,
    /// Bytes of its own layer.
    pub size: u64,
    /// Something else has the same files.
    pub is_shared: bool,
    pub made_at: Timestamp,
    /// Its line of the history.
    pub description: String,
}

/// Blocks.
pub fn cached_steps(images: &ImageStore) -> Vec<CachedStep> {
    let shown: Vec<String> = images.images().into_iter().map(|image| image.id).collect();
    let mut users: HashMap<Vec<_>, usize> = HashMap::new();
    let mut steps = Vec::new();
    for image in images.list(true) {
        *users.entry(image.layers.clone()).or_default() += 1;
        if !shown.contains(&image.info.id) {
            steps.push((cached_step(&image), image.layers));
        }
    }
    let finished = |(step, layers): (CachedStep, Vec<_>)| {
        let is_shared = users.get(&layers).is_some_and(|users| *users > 1);
        CachedStep { is_shared, ..step }
    };
    steps.into_iter().map(finished).collect()
}

fn cached_step(step: &ImageDetails) -> CachedStep {
    let last = step.document.history.last();
    let makes_files = last.is_some_and(|item| !item.empty_layer);
    let size = step.layers.last().map_or(0, |(_, size)| *size);
    CachedStep {
        id: step.info.id.trim_start_matches("sha256:").chars().take(25).collect(),
        size: if makes_files { size } else { 0 },
        is_shared: false,
        made_at: step.added_at,
        description: last.map(|item| item.created_by.clone()).unwrap_or_default(),
    }
}

/// Blocks.
pub(crate) fn records(images: &ImageStore, kinds: Kinds) -> Vec<UsageRecord> {
    let steps = if kinds.steps { step_records(images) } else { Vec::new() };
    let caches = if kinds.caches { images.cache_mounts() } else { Vec::new() };
    steps.into_iter().chain(caches.into_iter().map(cache_record)).collect()
}

fn cache_record(cache: CacheMount) -> UsageRecord {
    UsageRecord {
        id: cache.id,
        mutable: true,
        in_use: cache.is_used,
        size: i64::try_from(cache.size).unwrap_or(i64::MAX),
        created_at: Some(cache.made_at.into()),
        usage_count: 1,
        description: "cached mount".to_owned(),
        record_type: CACHE_MOUNT.to_owned(),
        ..UsageRecord::default()
    }
}

fn step_records(images: &ImageStore) -> Vec<UsageRecord> {
    let record = |step: CachedStep| UsageRecord {
        id: step.id,
        size: i64::try_from(step.size).unwrap_or(i64::MAX),
        shared: step.is_shared,
        created_at: Some(step.made_at.into()),
        usage_count: 1,
        description: step.description,
        record_type: STEP.to_owned(),
        ..UsageRecord::default()
    };
    cached_steps(images).into_iter().map(record).collect()
}

/// Which steps must go that those which stay take no more than `keep` bytes together: what was made up to this time, the oldest
/// first. `None` where all may stay.
pub fn made_up_to(steps: &[CachedStep], keep: u64) -> Option<Timestamp> {
    let mut newest: Vec<&CachedStep> = steps.iter().collect();
    newest.sort_by_key(|step| Reverse(step.made_at));
    let mut taken: u64 = 0;
    let exceeds = |step: &&CachedStep| {
        taken = taken.saturating_add(step.size);
        taken > keep
    };
    newest.into_iter().find(exceeds).map(|step| step.made_at)
}

/// How many bytes may stay, where that is said. How much is free on the disk others decide as well.
pub(crate) fn kept(request: &PruneRequest) -> Result<Option<u64>, Status> {
    if request.min_free_space > 0 {
        return Err(Status::unknown(
            "pruning until so much is free is not offered: say how much stays (reserved-space) or how old what goes is \
             (until)",
        ));
    }
    let keep = request.reserved_space.max(request.max_used_space);
    Ok(u64::try_from(keep).ok().filter(|keep| *keep > 0))
}

/// Blocks. Gives what went; `younger` stays, and as much as may be kept. When a cache was last used is not known: where an age or a size
/// is asked for, all of them stay.
pub(crate) fn prune(
    images: &ImageStore,
    kinds: Kinds,
    younger: Duration,
    keep: Option<u64>,
) -> Result<Vec<UsageRecord>, ImageError> {
    let mut pruned = if kinds.steps { prune_steps(images, younger, keep)? } else { Vec::new() };
    if kinds.caches && younger.is_zero() && keep.is_none() {
        let before = images.cache_mounts();
        let gone = images.prune_cache_mounts()?.removed;
        pruned.extend(before.into_iter().filter(|cache| gone.contains(&cache.id)).map(cache_record));
    }
    Ok(pruned)
}

fn prune_steps(
    images: &ImageStore,
    younger: Duration,
    keep: Option<u64>,
) -> Result<Vec<UsageRecord>, ImageError> {
    let old = Timestamp::now().checked_sub(younger).unwrap_or(Timestamp::MIN);
    let until = match keep {
        Some(keep) => made_up_to(&cached_steps(images), keep).map(|time| time.min(old)),
        None => Some(old),
    };
    let Some(until) = until else { return Ok(Vec::new()) };
    let before = step_records(images);
    images.prune_build_cache_before(until)?;
    let left: Vec<String> = step_records(images).into_iter().map(|record| record.id).collect();
    Ok(before.into_iter().filter(|record| !left.contains(&record.id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_until_what_stays_is_small_enough() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let step = |second: i64, size: u64| CachedStep {
            id: second.to_string(),
            size,
            is_shared: false,
            made_at: at(second),
            description: String::new(),
        };
        let steps = [step(2, 20), step(1, 10), step(3, 30), step(4, 0)];
        for (keep, want) in [
            (60, None),
            (59, Some(1)),
            (50, Some(1)),
            (49, Some(2)),
            (30, Some(2)),
            (29, Some(3)),
            (1, Some(3)),
        ] {
            assert_eq!(made_up_to(&steps, keep), want.map(at), "{keep}");
        }
        assert_eq!(made_up_to(&[], 1), None);
    }

    #[test]
    fn which_records_are_meant() {
        for (filters, want) in [
            (vec![], Some((true, true))),
            (vec![""], Some((true, true))),
            (vec!["type==regular"], Some((true, false))),
            (vec!["type==exec.cachemount"], Some((false, true))),
            (vec!["type==regular", "type==exec.cachemount"], Some((true, true))),
            (vec!["type==source.local"], Some((false, false))),
            (vec!["type==regular,shared==true"], None),
            (vec!["id~=abc"], None),
        ] {
            let filters: Vec<String> = filters.into_iter().map(String::from).collect();
            let got = kinds(&filters).ok().map(|kinds| (kinds.steps, kinds.caches));
            assert_eq!(got, want, "{filters:?}");
        }
    }

    #[test]
    fn how_much_stays_is_what_is_said() {
        let asked = |reserved_space, max_used_space, min_free_space| {
            let request =
                PruneRequest { reserved_space, max_used_space, min_free_space, ..PruneRequest::default() };
            kept(&request).map_err(|status| status.message().to_owned())
        };
        assert_eq!(asked(0, 0, 0), Ok(None));
        assert_eq!(asked(5, 0, 0), Ok(Some(5)));
        assert_eq!(asked(5, 9, 0), Ok(Some(9)));
        assert!(asked(5, 0, 1).is_err());
    }
}
