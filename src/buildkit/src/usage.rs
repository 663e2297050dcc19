//! `docker buildx du` and `prune`: the steps of builds that are no image of their own.

use crate::proto::control::{PruneRequest, UsageRecord};
use image::{ImageDetails, ImageError, ImageStore};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;
use tonic::Status;

/// Which records: there is one kind of them, and no other is looked for.
pub(crate) fn check(filters: &[String]) -> Result<(), Status> {
    match filters.iter().find(|filter| !filter.is_empty()) {
        Some(filter) => Err(Status::invalid_argument(format!("filter {filter:?} is not offered"))),
        None => Ok(()),
    }
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
pub(crate) fn records(images: &ImageStore) -> Vec<UsageRecord> {
    let record = |step: CachedStep| UsageRecord {
        id: step.id,
        size: i64::try_from(step.size).unwrap_or(i64::MAX),
        shared: step.is_shared,
        created_at: Some(step.made_at.into()),
        usage_count: 1,
        description: step.description,
        record_type: "regular".to_owned(),
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

/// Blocks. Gives what went; `younger` stays, and as much as may be kept.
pub(crate) fn prune(
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
    let before = records(images);
    images.prune_build_cache_before(until)?;
    let left: Vec<String> = records(images).into_iter().map(|record| record.id).collect();
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
