//! Two keys of one volume at one path, or one below the other: one of them is lost, or the pod does not start.

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection};
use std::collections::BTreeSet;
use std::ops::Bound;

/// Linux's `PATH_MAX`: a longer one is no file.
const LONGEST_PATH: usize = 4096;

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
    let mut all = Taken::default();
    for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
        let Some((name, paths)) = paths_of(source) else {
            warnings.push(format!("volume {:?} (Projected) has no sources provided", volume.name));
            continue;
        };
        let source = of(&format!("Projected {name}"));
        warnings.extend(overlaps(&paths, &source));
        // with those of the sources before, each once and in order: the same words each time
        let paths: BTreeSet<&str> = paths.into_iter().map(trimmed).collect();
        let others = paths.iter().filter_map(|path| Some((*path, all.overlap(path)?)));
        warnings.extend(others.map(|(path, other)| told(&source, path.max(other), path.min(other))));
        paths.into_iter().for_each(|path| all.insert(path));
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
    let mut seen = Taken::default();
    let mut warnings = Vec::new();
    for path in paths.iter().map(|path| trimmed(path)) {
        warnings.extend(seen.overlap(path).map(|other| told(what, path, other)));
        seen.insert(path);
    }
    warnings
}

fn told(what: &str, path: &str, other: &str) -> String {
    format!("{what}: {path:?} with {other:?}")
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// Paths of a volume. There may be tens of thousands: whether one meets another is looked up, step by step on its way.
#[derive(Default)]
struct Taken<'p>(BTreeSet<&'p str>);

impl<'p> Taken<'p> {
    fn insert(&mut self, path: &'p str) {
        if (1..=LONGEST_PATH).contains(&path.len()) {
            self.0.insert(path);
        }
    }

    /// The first of those that are above it, at it, or below it.
    fn overlap(&self, path: &str) -> Option<&'p str> {
        if path.len() > LONGEST_PATH {
            return None;
        }
        let above = path.match_indices('/').map(|(end, _)| &path[..end]);
        let found = above.chain([path]).find_map(|path| self.0.get(path));
        found.or_else(|| self.first_below(path)).copied()
    }

    fn first_below(&self, path: &str) -> Option<&&'p str> {
        let below = format!("{path}/");
        let mut behind = self.0.range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded));
        behind.next().filter(|other| !path.is_empty() && other.starts_with(&below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{ProjectedVolumeSource, SecretProjection};

    #[test]
    fn a_path_meets_what_is_above_and_below_it() {
        for (name, paths, want) in [
            ("apart", &["a", "b", "ab", "a-b/c", "a.b"][..], &[][..]),
            ("the same", &["a", "a/"], &["w: \"a\" with \"a\""]),
            ("below", &["a", "ab", "a/b/c"], &["w: \"a/b/c\" with \"a\""]),
            ("above", &["a/b/d", "a/b/c", "a"], &["w: \"a\" with \"a/b/c\""]),
            ("the highest", &["a/b", "a", "a/b/c"], &["w: \"a\" with \"a/b\"", "w: \"a/b/c\" with \"a\""]),
            ("nothing", &["", "/", "a"], &[]),
        ] {
            assert_eq!(overlaps(paths, "w"), want, "{name}");
        }
        assert!(overlaps(&["x".repeat(5000).as_str(); 2], "w").is_empty(), "no file has such a path");
    }

    /// Comparing each with each, for each source anew, is a minute's work and more.
    #[test]
    fn many_paths_of_many_sources_are_looked_up() {
        let items = |from: usize, to: usize| -> Vec<KeyToPath> {
            (from..to)
                .map(|n| KeyToPath { key: "k".into(), path: format!("d/{n}"), ..KeyToPath::default() })
                .collect()
        };
        let source = |items| VolumeProjection {
            secret: Some(SecretProjection { name: "s".into(), items: Some(items), optional: None }),
            ..VolumeProjection::default()
        };
        let mut sources = vec![source(items(0, 20_000))];
        sources.extend((0..900).map(|n| source(items(30_000 + n, 30_001 + n))));
        sources.push(source(items(7, 8)));
        let projected = ProjectedVolumeSource { sources: Some(sources), ..ProjectedVolumeSource::default() };
        let volume = Volume { name: "v".into(), projected: Some(projected), ..Volume::default() };
        let want = "volume \"v\" (Projected Secret \"s\"): overlapping paths: \"d/7\" with \"d/7\"";
        assert_eq!(of_volumes(&[volume]), [want]);
    }
}
