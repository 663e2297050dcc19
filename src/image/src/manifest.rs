//! What registries and archives say an image is: manifests, indexes, configurations. Only what the store needs of them;
//! the bytes themselves are kept as they came.

use crate::document_bounds::check_values;
use crate::error::{ImageError, Result};
use crate::unpack::Compression;
use crate::{Digest, Platform};
use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) use crate::platform::architecture;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

pub(crate) const ACCEPTED: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/// Bytes. What registries themselves accept for a manifest.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;
/// Bytes. Real configurations are some KB; one with 1,000 layers of long history stays far below.
pub(crate) const MAX_CONFIG: u64 = 8 << 20;
/// Characters of one; RFC 6838 allows 127 for each of its halves.
const MAX_MEDIA_TYPE: usize = 255;
/// Docker refuses more than 127; overlayfs takes 500. Beyond that no mount would work.
pub(crate) const MAX_LAYERS: usize = 500;

/// Bytes of the user whom a configuration names. Names of users and groups have some tens; it is kept in memory and in the index with
/// each image, where a configuration may have megabytes of it.
const MAX_USER: usize = 1024;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// A manifest list or an OCI index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestIndex {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) manifests: Vec<Descriptor>,
}

pub(crate) enum Document {
    Manifest(Manifest),
    Index(ManifestIndex),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
}

/// `content_type` is what the registry called it; the document's own word counts more.
pub(crate) fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Document> {
    let broken = |e: serde_json::Error| ImageError::Refused(format!("broken manifest: {e}"));
    check_values("manifest", bytes)?;
    let shape: Shape = serde_json::from_slice(bytes).map_err(broken)?;
    let media_type = shape.media_type.as_deref().or(content_type).unwrap_or_default();
    match media_type {
        _ if shape.schema_version == 1 => refuse(
            "Docker Image manifest version 2, schema 1 is no longer supported: upgrade the image to the OCI format or \
             Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/"
                .into(),
        ),
        OCI_INDEX | DOCKER_LIST => serde_json::from_slice(bytes).map(Document::Index).map_err(broken),
        _ if shape.manifests.is_some() => serde_json::from_slice(bytes).map(Document::Index).map_err(broken),
        _ => {
            let mut manifest: Manifest = serde_json::from_slice(bytes).map_err(broken)?;
            check(&manifest)?;
            // nobody asks for them, and a manifest is kept as long as its layers are on their way
            let described = manifest.layers.iter_mut().chain([&mut manifest.config]);
            described.for_each(|descriptor| descriptor.annotations = None);
            Ok(Document::Manifest(manifest))
        }
    }
}

fn check(manifest: &Manifest) -> Result<()> {
    let mut described = manifest.layers.iter().chain([&manifest.config]);
    if described.any(|descriptor| descriptor.media_type.len() > MAX_MEDIA_TYPE) {
        return refuse(format!("a media type has more than {MAX_MEDIA_TYPE} characters"));
    }
    if !matches!(manifest.config.media_type.as_str(), OCI_CONFIG | DOCKER_CONFIG | "") {
        return refuse(format!("no container image: its configuration is {}", manifest.config.media_type));
    }
    if manifest.layers.len() > MAX_LAYERS {
        return refuse(format!("{} layers: the most is {MAX_LAYERS}", manifest.layers.len()));
    }
    match manifest.layers.iter().find_map(|layer| Some((layer, unusable(&layer.media_type)?))) {
        Some((layer, why)) => refuse(format!("layer {} ({}) {why}", layer.digest.short(), layer.media_type)),
        None => Ok(()),
    }
}

/// What no key or no permission makes usable here. Layers of unknown names are judged by their bytes.
fn unusable(media_type: &str) -> Option<&'static str> {
    if media_type.contains(".foreign.") || media_type.contains(".nondistributable.") {
        return Some("is foreign: registries do not give it out, and nothing else is asked for it");
    }
    media_type.ends_with("+encrypted").then_some("is encrypted, and there is no key for it")
}

fn refuse<T>(why: String) -> Result<T> {
    Err(ImageError::Refused(why))
}

/// What a layer in this form is called beside a Docker manifest.
pub(crate) fn layer_media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::None | Compression::Bzip2 | Compression::Xz => {
            "application/vnd.docker.image.rootfs.diff.tar"
        }
        Compression::Gzip => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        Compression::Zstd => "application/vnd.docker.image.rootfs.diff.tar.zstd",
    }
}

impl ManifestIndex {
    /// The manifest that serves the platform best; where no entry names a platform, the only one.
    pub(crate) fn serving(&self, platform: &Platform) -> Result<&Descriptor> {
        let distance = |d: &Descriptor| d.platform.as_ref().and_then(|offered| platform.distance(offered));
        let fitting = self.manifests.iter().filter_map(|d| Some((distance(d)?, d)));
        let unnamed = || match self.manifests.as_slice() {
            [only] if only.platform.is_none() => Some(only),
            _ => None,
        };
        let best = fitting.min_by_key(|(distance, _)| *distance).map(|(_, d)| d).or_else(unnamed);
        best.ok_or_else(|| {
            ImageError::Unknown(format!("no matching manifest for {platform} in the manifest list entries"))
        })
    }
}

/// A configuration, checked so far that a container can be made of it.
pub(crate) fn parse_config(bytes: &[u8]) -> Result<(ImageConfiguration, Vec<Digest>)> {
    let config: ImageConfiguration = serde_json::from_value(crate::config::read(bytes)?)
        .map_err(|e| ImageError::Refused(format!("broken image configuration: {e}")))?;
    let os = config.os().to_string();
    if os != "linux" {
        return refuse(format!("image operating system {os:?} cannot be used on this platform"));
    }
    let diff_ids: Vec<Digest> =
        config.rootfs().diff_ids().iter().map(|id| Digest::parse(id)).collect::<Result<_>>()?;
    if diff_ids.len() > MAX_LAYERS {
        return refuse(format!("{} layers: the most is {MAX_LAYERS}", diff_ids.len()));
    }
    Ok((config, diff_ids))
}

/// Whom a configuration names, as it is kept with the image.
///
/// # Errors
/// Nobody is called so.
pub(crate) fn user(said: Option<&str>) -> Result<Option<String>> {
    match said.filter(|user| !user.is_empty()) {
        Some(user) if user.len() > MAX_USER => {
            refuse(format!("the image configuration names a user of more than {MAX_USER} bytes"))
        }
        user => Ok(user.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty-four images of seven megabytes each took half a gigabyte, and each change of the index wrote all of it anew.
    #[test]
    fn an_image_s_user_is_of_a_length_that_a_user_may_have() {
        let longest = "u".repeat(MAX_USER);
        for (name, said, want) in [
            ("none", None, Ok(None)),
            ("root, unsaid", Some(""), Ok(None)),
            ("numbers", Some("1000:1000"), Ok(Some("1000:1000"))),
            ("the longest", Some(longest.as_str()), Ok(Some(longest.as_str()))),
            ("a longer one", Some(&*format!("{longest}u")), Err("of more than 1024 bytes")),
        ] {
            match (user(said), want) {
                (Ok(got), Ok(want)) => assert_eq!(got.as_deref(), want, "{name}"),
                (Err(why), Err(want)) => assert!(why.to_string().ends_with(want), "{name}: {why}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }

    fn hex(c: char) -> String {
        format!("sha256:{}", c.to_string().repeat(64))
    }

    fn index(entries: &[(&str, &str, char)]) -> ManifestIndex {
        let manifests: Vec<_> = entries
            .iter()
            .map(|(os, arch, c)| {
                serde_json::json!({"mediaType": OCI_MANIFEST, "digest": hex(*c), "size": 1,
                    "platform": {"os": os, "architecture": arch}})
            })
            .collect();
        let text = serde_json::json!({"schemaVersion": 2, "manifests": manifests}).to_string();
        match parse(text.as_bytes(), None).unwrap() {
            Document::Index(index) => index,
            Document::Manifest(_) => panic!("taken for a manifest"),
        }
    }

    #[test]
    fn an_index_gives_the_manifest_for_this_machine() {
        let attested =
            index(&[("unknown", "unknown", 'a'), ("linux", "s390x", 'b'), ("linux", architecture(), 'c')]);
        let this = Platform::of_this_machine();
        assert_eq!(attested.serving(&this).unwrap().digest.as_str(), hex('c'));
        let foreign = index(&[("windows", architecture(), 'a'), ("linux", "s390x", 'b')]);
        let why = foreign.serving(&Platform::parse("linux/arm64/v8").unwrap()).unwrap_err().to_string();
        assert_eq!(why, "no matching manifest for linux/arm64/v8 in the manifest list entries");
        assert_eq!(
            foreign.serving(&Platform::parse("linux/s390x").unwrap()).unwrap().digest.as_str(),
            hex('b')
        );
        let why = foreign.serving(&this).unwrap_err().to_string();
        assert!(why.starts_with("no matching manifest for linux/"), "{why}");
    }

    #[test]
    fn what_is_no_image_is_refused_with_its_reason() {
        let helm = serde_json::json!({"schemaVersion": 2, "layers": [],
            "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": hex('a'), "size": 2}});
        let bomb = serde_json::json!({"schemaVersion": 2, "config": {"digest": hex('a'), "size": 2},
            "layers": vec![serde_json::json!({"digest": hex('b'), "size": 1}); 501]});
        let of = |media_type: &str| {
            serde_json::json!({"schemaVersion": 2, "config": {"digest": hex('a'), "size": 2},
                "layers": [{"digest": hex('b'), "size": 1, "mediaType": media_type}]})
            .to_string()
        };
        let long = "x".repeat(256);
        let crowd = format!(r#"{{"annotations":{{{}}}}}"#, vec![r#""a":"""#; 50_001].join(","));
        let climbing = serde_json::json!({"schemaVersion": 2, "layers": [],
            "config": {"digest": "sha256:../../etc/passwd", "size": 2}});
        for (name, document, want) in [
            ("a chart", helm.to_string(), "no container image"),
            ("schema 1", r#"{"schemaVersion":1,"fsLayers":[]}"#.into(), "no longer supported"),
            ("too many layers", bomb.to_string(), "501 layers"),
            ("foreign", of("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), "is foreign"),
            (
                "foreign, OCI",
                of("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
                "is foreign",
            ),
            ("encrypted", of("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), "is encrypted"),
            ("a negative size", of("x").replace("\"size\":1", "\"size\":-1"), "broken manifest"),
            ("a path for a digest", climbing.to_string(), "invalid digest"),
            ("no JSON", "<html>".into(), "broken manifest"),
            ("a media type without an end", of(long.as_str()), "a media type has more than 255 characters"),
            ("a crowd of annotations", crowd, "the manifest holds more than 50000 values"),
        ] {
            let why = parse(document.as_bytes(), None).map(|_| ()).unwrap_err().to_string();
            assert!(why.contains(want), "{name}: {why}");
        }
    }

    #[test]
    fn what_is_kept_of_a_manifest_is_what_somebody_asks_for() {
        let told = serde_json::json!({"schemaVersion": 2,
            "config": {"digest": hex('a'), "size": 2, "annotations": {"a": "b"}},
            "layers": [{"digest": hex('b'), "size": 1, "annotations": {"a": "b"}}]});
        let Ok(Document::Manifest(manifest)) = parse(told.to_string().as_bytes(), None) else {
            panic!("no manifest")
        };
        assert_eq!((&manifest.config.annotations, &manifest.layers[0].annotations), (&None, &None));
    }

    #[test]
    fn a_configuration_as_docker_writes_it_is_understood() {
        let text = serde_json::json!({
            "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z", "docker_version": "28",
            "config": {"Hostname": "", "User": "1000", "ExposedPorts": {"8080/tcp": {}}, "Env": ["PATH=/bin"],
                "Cmd": ["sh"], "Volumes": null, "Labels": null, "OnBuild": null, "Entrypoint": null},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "ADD", "empty_layer": true}],
            "rootfs": {"type": "layers", "diff_ids": [hex('d')]}
        });
        let (config, diff_ids) = parse_config(text.to_string().as_bytes()).unwrap();
        assert_eq!(config.config().as_ref().unwrap().user().as_deref(), Some("1000"));
        assert_eq!(diff_ids[0].as_str(), hex('d'));
        let windows = r#"{"architecture":"amd64","os":"windows","rootfs":{"type":"layers","diff_ids":[]}}"#;
        assert!(parse_config(windows.as_bytes()).unwrap_err().to_string().contains("windows"));
        let labels = vec![r#""a":"""#; 50_001].join(",");
        let crowd = format!(r#"{{"config":{{"Labels":{{{labels}}}}},"rootfs":{{}}}}"#);
        let why = parse_config(crowd.as_bytes()).unwrap_err().to_string();
        assert_eq!(why, "the image configuration holds more than 50000 values");
    }
}
