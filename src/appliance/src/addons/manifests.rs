//! Manifests, as they stand in a file, a directory or a text.

use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};

/// Of one file: a manifest of a few hundred objects.
const LARGEST_FILE: u64 = 8 << 20;

/// Where a manifest stands, and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(super) place: String,
    pub(super) value: Value,
}

/// Everything that is wrong, a line each.
pub(crate) type Faults = Vec<String>;

/// The manifests of a file, or of the files of a directory (`.yaml`, `.yml`, `.json`) in the order of their names.
pub(crate) fn read(path: &Path) -> Result<Vec<Manifest>, Faults> {
    let fault = |path: &Path, why: &dyn fmt::Display| vec![format!("{}: {why}", path.display())];
    let meta = std::fs::metadata(path).map_err(|e| fault(path, &e))?;
    if !meta.is_dir() {
        return read_file(path);
    }
    if ["kustomization.yaml", "kustomization.yml", "Kustomization"]
        .iter()
        .any(|name| path.join(name).exists())
    {
        let why = "a kustomization is built first: `kubectl kustomize DIR > FILE`, and enable the file";
        return Err(fault(path, &why));
    }
    let entries = std::fs::read_dir(path).map_err(|e| fault(path, &e))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| is_manifest(path)).collect();
    files.sort();
    let (mut manifests, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        match read_file(&file) {
            Ok(more) => manifests.extend(more),
            Err(more) => faults.extend(more),
        }
    }
    match (faults.is_empty(), manifests.is_empty()) {
        (false, _) => Err(faults),
        (true, true) => Err(fault(path, &"there is no manifest in it (*.yaml, *.yml, *.json)")),
        (true, false) => Ok(manifests),
    }
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file()
}

fn read_file(path: &Path) -> Result<Vec<Manifest>, Faults> {
    let place = path.display().to_string();
    let fault = |why: &dyn fmt::Display| vec![format!("{place}: {why}")];
    let size = std::fs::metadata(path).map_err(|e| fault(&e))?.len();
    if size > LARGEST_FILE {
        return Err(fault(&"it is larger than any manifest"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| fault(&e))?;
    parse(&place, &text)
}

/// The objects of a YAML or JSON text, with the items of lists instead of the lists.
pub(crate) fn parse(place: &str, text: &str) -> Result<Vec<Manifest>, Faults> {
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for (index, document) in serde_norway::Deserializer::from_str(text).enumerate() {
        let place = format!("{place}, document {}", index + 1);
        match Value::deserialize(document) {
            Ok(Value::Null) => {}
            Ok(value) => unroll(&place, value, &mut found, &mut faults),
            // behind a fault of syntax nothing can be read
            Err(error) => {
                faults.push(format!("{place}: {error}"));
                break;
            }
        }
    }
    if found.is_empty() && faults.is_empty() {
        faults.push(format!("{place}: there is no manifest in it"));
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

fn unroll(place: &str, value: Value, found: &mut Vec<Manifest>, faults: &mut Faults) {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind.ends_with("List") && value.get("items").is_some_and(Value::is_array) {
        let items = value.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        for (index, item) in items.into_iter().enumerate() {
            unroll(&format!("{place}, item {}", index + 1), item, found, faults);
        }
        return;
    }
    let has =
        |pointer: &str| value.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let missing: Vec<&str> = ["/apiVersion", "/kind", "/metadata/name"]
        .into_iter()
        .filter(|pointer| !has(pointer))
        .map(|pointer| pointer.trim_start_matches('/'))
        .collect();
    match missing.is_empty() {
        true => found.push(Manifest { place: place.to_owned(), value }),
        false => faults.push(format!("{place}: {} is missing", missing.join(", ").replace('/', "."))),
    }
}
