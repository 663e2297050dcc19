//! The OpenAPI documents of what is served, packed at build time and handed out as they are.
//!
//! It knows bytes and paths; the build script beside it knows the types. Version 2 of the format, which kubectl before 1.30
//! needs, is deliberately absent so far.

#![forbid(unsafe_code)]

/// Path and gzip-compressed JSON, in the order of the paths.
const DOCUMENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/documents.rs"));

/// The document for `api/v1` or `apis/apps/v1`, compressed with gzip.
pub fn document_v3(path: &str) -> Option<&'static [u8]> {
    DOCUMENTS.iter().find(|(known, _)| *known == path).map(|(_, packed)| *packed)
}

/// Each document's path with a text that changes when the document does.
pub fn index() -> impl Iterator<Item = (&'static str, String)> {
    DOCUMENTS.iter().map(|(path, packed)| (*path, fingerprint(packed)))
}

/// FNV-1a, 64 bits: a cache key, no proof.
fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016X}")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    fn unpack(path: &str) -> serde_json::Value {
        let mut text = String::new();
        flate2::read::GzDecoder::new(super::document_v3(path).unwrap()).read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_document_says_what_kubectl_looks_for() {
        let apps = unpack("apis/apps/v1");
        let patch = &apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
        assert!(patch["requestBody"]["content"].get("application/strategic-merge-patch+json").is_some());
        let names: Vec<_> =
            patch["parameters"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
        assert!(names.contains(&"fieldValidation".into()));
        let schemas = &apps["components"]["schemas"];
        let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(
            schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"][0]["group"],
            "apps"
        );
    }

    #[test]
    fn no_document_refers_to_a_schema_that_it_lacks() {
        for (path, _) in super::index() {
            let document = unpack(path);
            let text = document.to_string();
            for reference in text.split("\"#/components/schemas/").skip(1) {
                let name = reference.split('"').next().unwrap();
                assert!(document["components"]["schemas"].get(name).is_some(), "{path}: {name}");
            }
        }
    }
}
