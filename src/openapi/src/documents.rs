//! The documents of one state of the registry: each is rendered when somebody asks first, and kept, packed, for as long as its hash
//! stays. The hash is of what the document follows from, so that the index names it before there is a document.

use crate::extension::Extension;
use crate::resource::Resource;
use crate::{HASH, version_2, version_3};
use kinds::Registry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

pub struct Documents {
    /// By path.
    version_3: BTreeMap<String, Arc<Document>>,
    version_3_protobuf: BTreeMap<String, Arc<Document>>,
    version_2: Arc<Document>,
    version_2_protobuf: Arc<Document>,
}

/// One document in one format.
pub struct Document {
    hash: String,
    packed: LazyLock<Box<[u8]>, Box<dyn FnOnce() -> Box<[u8]> + Send>>,
}

impl Documents {
    /// What `before` has rendered and is still so is kept.
    pub fn of(registry: &Registry, before: Option<&Documents>) -> Self {
        Self::with_extensions(registry, &[], before)
    }

    /// The same, with what extension API servers say in the one document of version 2. In version 3 they have documents of their own.
    pub fn with_extensions(
        registry: &Registry,
        extensions: &[Arc<Extension>],
        before: Option<&Documents>,
    ) -> Self {
        let resources = Resource::all(registry);
        let mut groups: BTreeMap<String, Vec<Arc<Resource>>> = BTreeMap::new();
        for resource in &resources {
            groups.entry(resource.root()).or_default().push(resource.clone());
        }
        // what is ours is described by us
        let not_ours = extensions.iter().filter(|extension| !groups.contains_key(&extension.root));
        let extensions: Arc<[Arc<Extension>]> = not_ours.cloned().collect();
        let mut version_3: BTreeMap<String, Arc<Document>> = BTreeMap::new();
        let mut version_3_protobuf = BTreeMap::new();
        for (path, resources) in groups {
            let (hash, again) = (hash_of(&resources), resources.clone());
            let json = before.and_then(|before| before.version_3.get(&path));
            let json = Document::of(hash, json, move || version_3::json(&resources));
            let protobuf = before.and_then(|before| before.version_3_protobuf.get(&path));
            let protobuf = Document::of(hash, protobuf, move || version_3::protobuf(&again));
            version_3_protobuf.insert(path.clone(), protobuf);
            version_3.insert(path, json);
        }
        let mut hasher = DefaultHasher::new();
        version_3.iter().for_each(|(path, document)| (path, &document.hash).hash(&mut hasher));
        extensions.iter().for_each(|extension| (&extension.root, extension.source).hash(&mut hasher));
        let hash = hasher.finish();
        let resources: Arc<[Arc<Resource>]> = resources.into();
        let (again, extensions_again) = (resources.clone(), extensions.clone());
        let (json, protobuf) = before.map(|before| (&before.version_2, &before.version_2_protobuf)).unzip();
        Documents {
            version_3,
            version_3_protobuf,
            version_2: Document::of(hash, json, move || version_2::json(&resources, &extensions)),
            version_2_protobuf: Document::of(hash, protobuf, move || {
                version_2::protobuf(&again, &extensions_again)
            }),
        }
    }

    /// What is served at `/openapi/v3/{path}`, JSON; `path` is `api/v1` or `apis/apps/v1`.
    pub fn version_3(&self, path: &str) -> Option<&Arc<Document>> {
        self.version_3.get(path)
    }

    /// The same as [`crate::PROTOBUF_3`].
    pub fn version_3_protobuf(&self, path: &str) -> Option<&Arc<Document>> {
        self.version_3_protobuf.get(path)
    }

    /// JSON of all that is served.
    pub fn version_2(&self) -> &Arc<Document> {
        &self.version_2
    }

    /// The same as [`crate::PROTOBUF`].
    pub fn version_2_protobuf(&self) -> &Arc<Document> {
        &self.version_2_protobuf
    }

    /// Path and hash of each document of version 3.
    pub fn hashes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.version_3.iter().map(|(path, document)| (path.as_str(), document.hash.as_str()))
    }
}

impl Document {
    fn of(
        hash: u64,
        before: Option<&Arc<Document>>,
        render: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) -> Arc<Self> {
        let hash = format!("{hash:016X}");
        if let Some(same) = before.filter(|before| before.hash == hash) {
            return same.clone();
        }
        let packed = LazyLock::new(Box::new(|| crate::gzip(&render()).into()) as _);
        Arc::new(Document { hash, packed })
    }

    /// The ETag, and the query `hash` of a cacheable URL: lets clients keep a document for as long as it does not change.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Gzip-compressed. Who asks first has it rendered, which takes some milliseconds, of version 2 some tens; who asks meanwhile waits.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }
}

fn hash_of(resources: &[Arc<Resource>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    // how it is rendered is the program's
    (HASH, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
    for resource in resources {
        (format!("{:?}", resource.info), resource.schema()).hash(&mut hasher);
    }
    hasher.finish()
}

/// What is served at `/openapi/v3`, of each path's hash: JSON.
pub fn index(hashes: &BTreeMap<String, String>) -> String {
    let paths = hashes.iter().map(|(path, hash)| {
        let url = format!("/openapi/v3/{path}?hash={hash}");
        (path.clone(), json!({"serverRelativeURL": url}))
    });
    json!({"paths": paths.collect::<Value>()}).to_string()
}
