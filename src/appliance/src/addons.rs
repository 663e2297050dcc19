//! Add-ons of the user's: a directory, a file or a URL of manifests, applied as the administrator and remembered, so that
//! `disable` removes what `enable` made.
//!
//! Every manifest is read, and everything that can be tried without a trace is tried, before the first object is written.
//! What is written down comes first, so that an add-on whose apply broke off can be disabled whole.
//!
//! Some manifests come with the program, and are named instead of a place: what acts upon them is there already, and costs
//! nothing until they are applied.

use api::{Gvk, Reason, Status};
use cluster::{Actor, Cluster, DeleteOptions, Propagation, Target, Wanted, WriteOptions};
use kinds::{FieldValidation, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MANAGER: &str = "monopod-addons";
/// For what the manifests themselves bring.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Manifests that come with the program, by name.
const BUNDLED: [(&str, &str); 1] =
    [("volumesnapshots", include_str!("../../../assets/addons/volumesnapshots.yaml"))];
/// Of one file: a manifest of a few hundred objects.
const LARGEST_FILE: u64 = 8 << 20;

/// One object of an add-on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddonObject {
    pub api_version: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
}

impl fmt::Display for AddonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AddonObject { kind, namespace, name, .. } = self;
        match namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{name}"),
            None => write!(f, "{kind} {name}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addon {
    /// A path or a URL, or the name of what comes with the program.
    pub source: String,
    pub objects: Vec<AddonObject>,
    /// Its last apply broke off.
    #[serde(default)]
    pub incomplete: bool,
}

/// What is remembered, by name.
pub(crate) struct Book(PathBuf);

impl Book {
    pub fn at(file: PathBuf) -> Self {
        Book(file)
    }

    /// # Errors
    /// A file that can not be read, or is not what was written.
    pub fn read(&self) -> io::Result<BTreeMap<String, Addon>> {
        match std::fs::read(&self.0) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(e) => Err(e),
        }
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Addon>)) -> io::Result<()> {
        let mut all = self.read()?;
        change(&mut all);
        let fresh = self.0.with_extension("new");
        std::fs::write(&fresh, serde_json::to_vec_pretty(&all)?)?;
        std::fs::rename(&fresh, &self.0)
    }
}

/// Whether the add-on of this name comes with the program.
pub fn is_bundled_addon(name: &str) -> bool {
    bundled(name).is_some()
}

pub(crate) fn bundled(name: &str) -> Option<&'static str> {
    BUNDLED.iter().find(|(known, _)| *known == name).map(|(_, manifests)| *manifests)
}

/// Where a manifest stands, and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    place: String,
    value: Value,
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

/// Why an add-on is not, or not wholly, there.
#[derive(Debug)]
pub(crate) enum AddonError {
    /// Nothing was written.
    Faults(Faults),
    /// These were applied before that one was refused.
    BrokeOff {
        applied: Vec<AddonObject>,
        at: AddonObject,
        why: Box<Status>,
    },
    Book(io::Error),
    Unknown(String),
    /// These would not go; the others are gone.
    Left(Vec<String>),
}

impl fmt::Display for AddonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddonError::Faults(faults) => write!(f, "nothing was applied:\n  {}", faults.join("\n  ")),
            AddonError::BrokeOff { applied, at, why } => {
                let names: Vec<String> = applied.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "{at}: {why}\n  applied before it, and removed by `addons disable`: {}",
                    names.join(", ")
                )
            }
            AddonError::Book(error) => write!(f, "what is enabled can not be kept: {error}"),
            AddonError::Unknown(name) => write!(f, "no add-on {name:?} was enabled from manifests"),
            AddonError::Left(left) => write!(f, "not removed:\n  {}", left.join("\n  ")),
        }
    }
}

/// Applies the manifests and remembers them under `name`; what an earlier version of the add-on had and this one has not is
/// removed.
///
/// # Errors
/// See [`AddonError`].
pub(crate) async fn enable(
    cluster: &Cluster,
    book: &Book,
    name: &str,
    source: &str,
    manifests: Vec<Manifest>,
) -> Result<Vec<AddonObject>, AddonError> {
    let mut manifests = manifests;
    // what others live in, or are of, comes first
    manifests.sort_by_key(|manifest| rank(&manifest.value));
    let before = book.read().map_err(AddonError::Book)?.remove(name);
    if let Some(other) = before.as_ref().filter(|addon| addon.source != source) {
        let why = format!(
            "{name} is enabled from {}: disable it first, or give this one another name",
            other.source
        );
        return Err(AddonError::Faults(vec![why]));
    }
    let old: Vec<AddonObject> = before.map(|addon| addon.objects).unwrap_or_default();
    let faults = try_out(cluster, &manifests, &old).await;
    if !faults.is_empty() {
        return Err(AddonError::Faults(faults));
    }
    let wanted: Vec<AddonObject> =
        manifests.iter().map(|manifest| object_of(cluster, &manifest.value)).collect();
    // a namespace that was there is not the add-on's to remove
    let made: Vec<AddonObject> = wanted
        .iter()
        .filter(|o| o.kind != "Namespace" || old.contains(o) || !exists(cluster, o))
        .cloned()
        .collect();
    let gone: Vec<AddonObject> = old.into_iter().filter(|object| !wanted.contains(object)).collect();
    let all = made.iter().chain(&gone).cloned().collect();
    let keep = |objects: Vec<AddonObject>, incomplete| {
        book.change(|all| {
            all.insert(name.to_owned(), Addon { source: source.to_owned(), objects, incomplete });
        })
        .map_err(AddonError::Book)
    };
    keep(all, true)?;
    let mut applied = Vec::new();
    for (manifest, object) in manifests.iter().zip(&wanted) {
        if let Err(why) = apply_in_time(cluster, &manifest.value).await {
            return Err(AddonError::BrokeOff { applied, at: object.clone(), why: why.into() });
        }
        applied.push(object.clone());
    }
    remove(cluster, &gone).await?;
    // whether the kinds that came along have namespaces is known by now
    let known = |manifest: &Manifest| object_of(cluster, &manifest.value);
    let of_addon = manifests.iter().zip(&wanted).filter(|(_, object)| made.contains(object));
    keep(of_addon.map(|(manifest, _)| known(manifest)).collect(), false)?;
    Ok(manifests.iter().map(known).collect())
}

/// # Errors
/// See [`AddonError`]; what is left is still remembered then.
pub(crate) async fn disable(
    cluster: &Cluster,
    book: &Book,
    name: &str,
) -> Result<Vec<AddonObject>, AddonError> {
    let known = book.read().map_err(AddonError::Book)?.remove(name);
    let addon = known.ok_or_else(|| AddonError::Unknown(name.to_owned()))?;
    remove(cluster, &addon.objects).await?;
    book.change(|all| drop(all.remove(name))).map_err(AddonError::Book)?;
    Ok(addon.objects)
}

/// In the reverse of the order in which they were made.
async fn remove(cluster: &Cluster, objects: &[AddonObject]) -> Result<(), AddonError> {
    let mut left = Vec::new();
    for object in objects.iter().rev() {
        // a kind that is served no more took its objects along
        let Some(target) = target(cluster, object) else { continue };
        let options =
            DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        match cluster.delete(&Actor::root(), &target, &options).await {
            Ok(_) => {}
            Err(status) if status.is(Reason::NotFound) => {}
            Err(status) => left.push(format!("{object}: {status}")),
        }
    }
    if left.is_empty() { Ok(()) } else { Err(AddonError::Left(left)) }
}

fn rank(value: &Value) -> u8 {
    match value.get("kind").and_then(Value::as_str) {
        Some("Namespace" | "CustomResourceDefinition" | "PriorityClass") => 0,
        Some("ServiceAccount" | "ClusterRole" | "Role" | "ClusterRoleBinding" | "RoleBinding") => 1,
        Some("ConfigMap" | "Secret") => 2,
        _ => 3,
    }
}

/// What would be refused, found by applying it without a trace. What needs a kind or a namespace that the same manifests
/// bring can not be tried before they are there.
async fn try_out(cluster: &Cluster, manifests: &[Manifest], own: &[AddonObject]) -> Faults {
    let named = |kind: &str, pointer: &str| -> Vec<String> {
        let of_kind = manifests.iter().filter(|m| m.value.get("kind").and_then(Value::as_str) == Some(kind));
        of_kind.filter_map(|m| Some(m.value.pointer(pointer)?.as_str()?.to_owned())).collect()
    };
    let (namespaces, new_kinds) =
        (named("Namespace", "/metadata/name"), named("CustomResourceDefinition", "/spec/names/kind"));
    let mut faults = Vec::new();
    for manifest in manifests {
        let object = object_of(cluster, &manifest.value);
        if target(cluster, &object).is_none() {
            if !new_kinds.contains(&object.kind) {
                let AddonObject { api_version, kind, .. } = &object;
                faults.push(format!("{}: no kind {kind:?} is served in {api_version}", manifest.place));
            }
            continue;
        }
        if object.namespace.as_ref().is_some_and(|namespace| namespaces.contains(namespace)) {
            continue;
        }
        if object.kind != "Namespace" && !own.contains(&object) && exists(cluster, &object) {
            faults.push(format!("{}: {object} is there already, and not of this add-on", manifest.place));
            continue;
        }
        if let Err(status) = apply(cluster, &manifest.value, true).await {
            faults.push(format!("{}: {object}: {status}", manifest.place));
        }
    }
    faults
}

fn target(cluster: &Cluster, object: &AddonObject) -> Option<Target> {
    let version = cluster.registry().by_gvk(&Gvk::parse(&object.api_version, &object.kind))?;
    Some(Target::object(&version, object.namespace.as_deref(), &object.name))
}

fn exists(cluster: &Cluster, object: &AddonObject) -> bool {
    target(cluster, object).is_some_and(|target| cluster.get(&Actor::root(), &target).is_ok())
}

/// With the namespace `default` where the manifest says none and the kind has namespaces.
fn object_of(cluster: &Cluster, value: &Value) -> AddonObject {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("/apiVersion"), text("/kind"));
    let version = cluster.registry().by_gvk(&Gvk::parse(&api_version, &kind));
    let is_namespaced = version.is_none_or(|version| version.info().scope == Scope::Namespaced);
    let namespace = Some(text("/metadata/namespace")).filter(|namespace| !namespace.is_empty());
    let namespace = is_namespaced.then(|| namespace.unwrap_or_else(|| "default".to_owned()));
    AddonObject { api_version, kind, namespace, name: text("/metadata/name") }
}

/// What the same manifests brought takes a moment: a kind to be served, the account of a new namespace.
async fn apply_in_time(cluster: &Cluster, value: &Value) -> Result<(), Status> {
    let began = Instant::now();
    loop {
        let outcome = apply(cluster, value, false).await;
        let is_early = |status: &Status| {
            target(cluster, &object_of(cluster, value)).is_none() || status.message.contains("serviceaccount")
        };
        match outcome {
            Err(status) if is_early(&status) && began.elapsed() < PATIENCE => {
                tokio::time::sleep(LOOK_AGAIN).await
            }
            outcome => return outcome,
        }
    }
}

/// Takes fields that others have set: enabling an add-on means to have it as its manifests say.
async fn apply(cluster: &Cluster, value: &Value, dry_run: bool) -> Result<(), Status> {
    // a kind that the same manifests brought is known only now
    let object = object_of(cluster, value);
    let Some(target) = target(cluster, &object) else {
        return Err(Status::bad_request(format!(
            "no kind {:?} is served in {}",
            object.kind, object.api_version
        )));
    };
    let mut config = value.clone();
    if let (Some(namespace), Some(metadata)) = (object.namespace, config.get_mut("metadata")) {
        metadata["namespace"] = namespace.into();
    }
    let wanted =
        Wanted { config, force: true, validation: FieldValidation::Strict, doubled_keys: Vec::new() };
    let options = WriteOptions { dry_run, field_manager: MANAGER.to_owned(), ..WriteOptions::default() };
    cluster.apply(&Actor::root(), &target, wanted, &options).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDON: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: extra}\ndata: {k: v}\n---\n\
        apiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n---\n---\n\
        {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: s}}]}\n";

    fn names(objects: &[AddonObject]) -> Vec<String> {
        objects.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_with_a_text_is_said_for_each_document() {
        let cases = [
            ("", vec!["x: there is no manifest in it"]),
            (
                "kind: Pod\n---\nmetadata: {name: a}\n",
                vec![
                    "x, document 1: apiVersion, metadata.name is missing",
                    "x, document 2: apiVersion, kind is missing",
                ],
            ),
            ("[1]", vec!["x, document 1: apiVersion, kind, metadata.name is missing"]),
        ];
        for (text, want) in cases {
            assert_eq!(
                parse("x", text).map(|m| m.len()),
                Err(want.iter().map(|w| (*w).to_owned()).collect()),
                "{text}"
            );
        }
        let faults = parse("x", "a: {").unwrap_err();
        assert!(faults.len() == 1 && faults[0].starts_with("x, document 1: "), "{faults:?}");
        assert_eq!(parse("x", ADDON).unwrap().len(), 3);
    }

    #[test]
    fn files_of_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        assert!(read(&path.join("none")).unwrap_err()[0].contains("No such file"));
        assert!(read(path).unwrap_err()[0].contains("there is no manifest in it"));
        std::fs::write(path.join("b.yaml"), ADDON).unwrap();
        std::fs::write(
            path.join("a.json"),
            r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}"#,
        )
        .unwrap();
        std::fs::write(path.join("README.md"), "kind: no manifest").unwrap();
        let found = read(path).unwrap();
        assert!(found.len() == 4 && found[0].place.ends_with("a.json, document 1"), "{found:?}");
        std::fs::write(path.join("c.yml"), "kind: Pod\n").unwrap();
        std::fs::write(path.join("d.yml"), "{").unwrap();
        assert_eq!(read(path).unwrap_err().len(), 2, "the faults of all files are said");
        std::fs::write(path.join("kustomization.yaml"), "").unwrap();
        assert!(read(path).unwrap_err()[0].contains("kubectl kustomize"));
    }

    #[tokio::test]
    async fn an_addon_comes_changes_and_goes() {
        let cluster = testkit::cluster(testkit::config()).await;
        let dir = tempfile::tempdir().unwrap();
        let book = Book::at(dir.path().join("addons.json"));
        let enable = async |text: &str| enable(&cluster, &book, "x", "/x", parse("x", text).unwrap()).await;
        let made = enable(ADDON).await.unwrap();
        assert_eq!(names(&made), ["Namespace extra", "ConfigMap extra/a", "Secret default/s"]);
        assert!(made.iter().all(|object| exists(&cluster, object)));
        assert!(!book.read().unwrap()["x"].incomplete);
        // what is there is taken back to what the manifests say; what they say no more goes
        enable("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n").await.unwrap();
        assert!(!exists(&cluster, &made[1]) && exists(&cluster, &made[2]));
        let gone = disable(&cluster, &book, "x").await.unwrap();
        assert_eq!(names(&gone), ["Secret default/s"]);
        assert!(!exists(&cluster, &made[2]) && book.read().unwrap().is_empty());
        assert!(matches!(disable(&cluster, &book, "x").await, Err(AddonError::Unknown(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_with_the_program_is_valid() {
        let cluster = testkit::cluster(testkit::config()).await;
        let dir = tempfile::tempdir().unwrap();
        let book = Book::at(dir.path().join("addons.json"));
        let manifests = parse("x", bundled("volumesnapshots").unwrap()).unwrap();
        let error = enable(&cluster, &book, "x", "volumesnapshots", manifests).await.unwrap_err();
        // no controller is here that would have the kinds served, and so there is nothing of them
        let AddonError::BrokeOff { applied, at, .. } = error else { panic!("{error}") };
        assert_eq!((at.kind.as_str(), at.name.as_str()), ("VolumeSnapshotClass", "standard"));
        assert_eq!(applied.len(), 3);
        assert!(is_bundled_addon("volumesnapshots") && !is_bundled_addon("nonsense"));
    }

    #[tokio::test]
    async fn where_something_is_wrong_nothing_is_applied() {
        let cluster = testkit::cluster(testkit::config()).await;
        let dir = tempfile::tempdir().unwrap();
        let book = Book::at(dir.path().join("addons.json"));
        let good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n---\n";
        let cases = [
            (
                "unknown kind",
                "apiVersion: v1\nkind: Nonsense\nmetadata: {name: a}\n",
                "no kind \"Nonsense\" is served",
            ),
            ("unknown field", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatum: {}\n", "datum"),
            ("bad name", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_}\n", "metadata.name"),
            (
                "no namespace",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: no}\n",
                "not found",
            ),
            (
                "somebody else's",
                "apiVersion: v1\nkind: Service\nmetadata: {name: kubernetes}\n",
                "is there already",
            ),
        ];
        for (name, bad, want) in cases {
            let manifests = parse("x", &format!("{good}{bad}")).unwrap();
            let error = enable(&cluster, &book, "x", "/x", manifests).await.unwrap_err();
            let said = error.to_string();
            assert!(matches!(error, AddonError::Faults(_)) && said.contains(want), "{name}: {said}");
            assert!(said.starts_with("nothing was applied") && book.read().unwrap().is_empty(), "{name}");
        }
        let object = object_of(&cluster, &parse("x", good).unwrap()[0].value);
        assert!(!exists(&cluster, &object));
        enable(&cluster, &book, "x", "/x", parse("x", good).unwrap()).await.unwrap();
        let other = enable(&cluster, &book, "x", "/y", parse("x", good).unwrap()).await.unwrap_err();
        assert!(other.to_string().contains("enabled from /x"), "{other}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_breaks_off_is_said_and_can_be_disabled() {
        let cluster = testkit::cluster(testkit::config()).await;
        let dir = tempfile::tempdir().unwrap();
        let book = Book::at(dir.path().join("addons.json"));
        // it can not be tried before its namespace is there, and is refused then
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n---\n\
            apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_, namespace: extra}\n";
        let error = enable(&cluster, &book, "x", "/x", parse("x", text).unwrap()).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("applied before it") && said.contains("Namespace extra"), "{said}");
        assert!(book.read().unwrap()["x"].incomplete);
        assert_eq!(disable(&cluster, &book, "x").await.unwrap().len(), 2);
    }
}
