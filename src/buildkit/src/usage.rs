//! `docker buildx du` and `prune`: the steps of builds that are no image of their own.

use crate::proto::control::{PruneRequest, UsageRecord};
use image::{ImageDetails, ImageError, ImageStore};
use jiff::Timestamp;
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

/// How much is to stay counts for nothing here: what a step takes is not known apart from the others.
pub(crate) fn check_limits(request: &PruneRequest) -> Result<(), Status> {
    match [request.reserved_space, request.max_used_space, request.min_free_space]
        .iter()
        .any(|limit| *limit > 0)
    {
        true => {
            Err(Status::unknown("pruning down to a size is not offered: say how old what goes is (until)"))
        }
        false => Ok(()),
    }
}

/// Blocks. Gives what went; `younger` stays.
pub(crate) fn prune(images: &ImageStore, younger: Duration) -> Result<Vec<UsageRecord>, ImageError> {
    let before = records(images);
    images.prune_build_cache_before(Timestamp::now().checked_sub(younger).unwrap_or(Timestamp::MIN))?;
    let left: Vec<String> = records(images).into_iter().map(|record| record.id).collect();
    Ok(before.into_iter().filter(|record| !left.contains(&record.id)).collect())
}
