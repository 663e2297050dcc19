//! Two keys of one volume at one path, or one below the other: one of them is lost, or the pod does not start.

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection};
use std::collections::BTreeSet;

pub(super) fn of_volumes(volumes: &[Volume]) -> Vec<String> {
    volumes.iter().flat_map(of_volume).collect()
}

fn of_volume(volume: &Volume) -> Vec<String> {
    let of = |source: &str| format!("volume {:?} ({source}): overlapping paths", volume.name);
    let mut warnings = Vec::new();
    if let Some(map) = &volume.config_map {
        let paths = of_keys(map.items.as_deref());
        warnings.extend(overlaps(&paths, &of(&format!("ConfigMap {:?}", map.name))));
    }
    if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        warnings.extend(overlaps(&of_keys(secret.items.as_deref()), &of(&format!("Secret {name:?}"))));
    }
    if let Some(api) = &volume.downward_api {
        warnings.extend(overlaps(&of_files(api.items.as_deref()), &of("DownwardAPI")));
    }
    let mut all: BTreeSet<&str> = BTreeSet::new();
    for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
        let Some((name, paths)) = paths_of(source) else {
            warnings.push(format!("volume {:?} (Projected) has no sources provided", volume.name));
            continue;
        };
        if paths.is_empty() {
            continue;
        }
        let source = of(&format!("Projected {name}"));
        warnings.extend(overlaps(&paths, &source));
        // with those of the sources before, each once and in order: the same words each time
        let mut together: Vec<&str> =
            paths.iter().copied().collect::<BTreeSet<_>>().into_iter().chain(all.iter().copied()).collect();
        together.sort_unstable();
        warnings.extend(overlaps(&together, &source));
        all.extend(paths);
    }
    warnings
}

/// `None` for a source that is none.
fn paths_of(source: &VolumeProjection) -> Option<(String, Vec<&str>)> {
    if let Some(map) = &source.config_map {
        return Some((format!("ConfigMap {:?}", map.name), of_keys(map.items.as_deref())));
    }
    if let Some(secret) = &source.secret {
        return Some((format!("Secret {:?}", secret.name), of_keys(secret.items.as_deref())));
    }
    if let Some(api) = &source.downward_api {
        return Some(("DownwardAPI".to_owned(), of_files(api.items.as_deref())));
    }
    if let Some(token) = &source.service_account_token {
        return Some(("ServiceAccountToken".to_owned(), vec![token.path.as_str()]));
    }
    if let Some(bundle) = &source.cluster_trust_bundle {
        let name = bundle.name.as_deref().or(bundle.signer_name.as_deref()).unwrap_or_default();
        return Some((format!("ClusterTrustBundle {name:?}"), vec![bundle.path.as_str()]));
    }
    source.pod_certificate.is_some().then(|| ("PodCertificate".to_owned(), Vec::new()))
}

fn of_keys(items: Option<&[KeyToPath]>) -> Vec<&str> {
    items.unwrap_or_default().iter().map(|item| item.path.as_str()).collect()
}

fn of_files(items: Option<&[DownwardAPIVolumeFile]>) -> Vec<&str> {
    items.unwrap_or_default().iter().map(|item| item.path.as_str()).collect()
}

fn overlaps(paths: &[&str], what: &str) -> Vec<String> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut warnings = Vec::new();
    for path in paths.iter().map(|path| path.trim_end_matches('/')) {
        if let Some(other) = seen.iter().find(|other| overlap(other, path)) {
            warnings.push(format!("{what}: {path:?} with {other:?}"));
        }
        seen.insert(path);
    }
    warnings
}

fn overlap(one: &str, other: &str) -> bool {
    let below = |path: &str, of: &str| path.strip_prefix(of).is_some_and(|rest| rest.starts_with('/'));
    !one.is_empty() && !other.is_empty() && (one == other || below(one, other) || below(other, one))
}
