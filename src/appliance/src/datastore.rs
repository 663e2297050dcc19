//! Where the profile's state is kept: in its own file, or in an etcd cluster.

use crate::Paths;
use crate::error::StartError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use store::{Backend, Credentials, Endpoint, EndpointError, Etcd};

/// An etcd cluster, and the files that open it. The files stay where they are, and are read at each connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Datastore {
    #[serde(with = "as_text")]
    endpoints: Vec<Endpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cafile: Option<PathBuf>,
    /// A certificate and its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<(PathBuf, PathBuf)>,
}

impl Datastore {
    /// `None` where no endpoint is given. The files are taken from the working directory.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn new(
        endpoints: &[DatastoreEndpoint],
        cafile: Option<PathBuf>,
        identity: Option<(PathBuf, PathBuf)>,
    ) -> std::io::Result<Option<Self>> {
        let absolute = |path: PathBuf| std::path::absolute(path);
        let identity = identity
            .map(|(certificate, key)| Ok::<_, std::io::Error>((absolute(certificate)?, absolute(key)?)));
        let endpoints: Vec<Endpoint> = endpoints.iter().map(|DatastoreEndpoint(at)| at.clone()).collect();
        let (cafile, identity) = (cafile.map(absolute).transpose()?, identity.transpose()?);
        Ok((!endpoints.is_empty()).then_some(Datastore { endpoints, cafile, identity }))
    }

    pub fn endpoints(&self) -> String {
        self.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    pub fn cafile(&self) -> Option<&PathBuf> {
        self.cafile.as_ref()
    }

    pub fn identity(&self) -> Option<&(PathBuf, PathBuf)> {
        self.identity.as_ref()
    }

    /// The part of it that is the profile's.
    pub(crate) fn of(&self, paths: &Paths) -> Etcd {
        Etcd {
            endpoints: self.endpoints.clone(),
            credentials: Credentials { authority: self.cafile.clone(), identity: self.identity.clone() },
            prefix: format!("/monopod/{}/", paths.profile),
        }
    }

    /// What goes there in the clear.
    pub(crate) fn note(&self) -> Option<String> {
        let open = self.endpoints.iter().find(|endpoint| !endpoint.tls && !endpoint.is_loopback())?;
        Some(format!(
            "{open}: what is stored, Secrets too, goes over the network as it is; https:// hides it"
        ))
    }

    pub(crate) fn is_same_cluster(&self, other: &Datastore) -> bool {
        self.endpoints == other.endpoints
    }
}

/// One endpoint, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatastoreEndpoint(Endpoint);

impl std::str::FromStr for DatastoreEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(DatastoreEndpoint)
    }
}

mod as_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use store::Endpoint;

    pub(super) fn serialize<S: Serializer>(all: &[Endpoint], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<Endpoint>, D::Error> {
        let all = Vec::<String>::deserialize(from)?;
        if all.is_empty() {
            return Err(D::Error::custom("a datastore without endpoints"));
        }
        all.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

/// Where a profile's state is, for people.
pub(crate) struct Kept<'k>(pub &'k Paths, pub Option<&'k Datastore>);

impl fmt::Display for Kept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kept(paths, None) => write!(f, "{}", paths.store().display()),
            Kept(paths, Some(datastore)) => write!(f, "{}", datastore.of(paths)),
        }
    }
}

pub(crate) fn backend(paths: &Paths, datastore: Option<&Datastore>) -> Backend {
    datastore.map_or(Backend::File, |datastore| Backend::Etcd(datastore.of(paths)))
}

/// The datastore that a start uses. A profile whose state is in its own file does not begin anew somewhere else by a flag.
///
/// # Errors
/// Where the state is, and how it is brought along.
pub(crate) fn resolve(
    paths: &Paths,
    known: Option<&Datastore>,
    asked: Option<&Datastore>,
) -> Result<Option<Datastore>, StartError> {
    match (known, asked) {
        (None, Some(asked)) if store::file_is_there(&paths.store()) => Err(elsewhere(paths, None, asked)),
        (known, asked) => Ok(asked.or(known).cloned()),
    }
}

/// The state is not where this start looks for it.
pub(crate) fn elsewhere(paths: &Paths, known: Option<&Datastore>, asked: &Datastore) -> StartError {
    let what = format!(
        "the state of {} is in {}, and not in etcd at {}: bring it there by `monopod -p {} datastore copy --to {}`",
        paths.profile,
        Kept(paths, known),
        asked.endpoints(),
        paths.profile,
        asked.endpoints(),
    );
    StartError::Datastore { what }
}

/// Of a profile whose settings are missing: an older state in its file is not what it goes on with, and neither is an empty one.
pub(crate) fn unnamed(paths: &Paths, revision: u64) -> StartError {
    let what = format!(
        "{} is missing, and the state was last in an etcd cluster (revision {revision}), which is named there: name it by \
         `monopod -p {} start --datastore-endpoint URL,…`",
        paths.settings().display(),
        paths.profile,
    );
    StartError::StateDamaged { what }
}

/// Removes what the profile has in these. What could not be removed, and why.
pub(crate) fn purge<'d>(paths: &Paths, datastores: impl Iterator<Item = &'d Datastore>) -> Vec<String> {
    let remove = |datastore: &Datastore| {
        let etcd = datastore.of(paths);
        match store::remove(&paths.store(), &etcd) {
            // there is nothing of ours
            Ok(_) | Err(store::OpenError::Another { .. }) => None,
            Err(error) => Some(format!(
                "{error}; what the profile has there stays, in all keys that begin with {}",
                etcd.prefix
            )),
        }
    };
    datastores.filter_map(remove).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datastore(endpoint: &str) -> Datastore {
        Datastore::new(&[endpoint.parse().unwrap()], None, None).unwrap().unwrap()
    }

    #[test]
    fn it_is_kept_as_it_was_typed() {
        let files = Some(("/pki/etcd.crt".into(), "/pki/etcd.key".into()));
        let endpoints = ["https://a:2379", "https://b"].map(|text| text.parse().unwrap());
        let datastore = Datastore::new(&endpoints, Some("/pki/ca.crt".into()), files).unwrap().unwrap();
        let text = serde_json::to_string(&datastore).unwrap();
        assert_eq!(
            text,
            r#"{"endpoints":["https://a:2379","https://b:2379"],"cafile":"/pki/ca.crt","identity":["/pki/etcd.crt","/pki/etcd.key"]}"#
        );
        assert_eq!(serde_json::from_str::<Datastore>(&text).unwrap(), datastore);
        for bad in
            [r#"{"endpoints":[]}"#, r#"{"endpoints":["a:2379"]}"#, r#"{"endpoints":["https://u:p@a"]}"#]
        {
            assert!(serde_json::from_str::<Datastore>(bad).is_err(), "{bad}");
        }
        assert_eq!(Datastore::new(&[], None, None).unwrap(), None);
    }

    #[test]
    fn a_state_in_a_file_is_not_left_by_a_flag() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), &"shop".parse().unwrap());
        let (a, b) = (datastore("https://a:2379"), datastore("https://b:2379"));
        let resolved = |known: Option<&Datastore>, asked: Option<&Datastore>| resolve(&paths, known, asked);
        assert_eq!(resolved(None, Some(&a)), Ok(Some(a.clone())), "a first start");
        std::fs::create_dir_all(paths.store()).unwrap();
        std::fs::write(paths.store().join("cluster.db"), "").unwrap();
        assert_eq!(resolved(None, None), Ok(None));
        let refused = resolved(None, Some(&a)).unwrap_err().to_string();
        assert!(refused.contains("`monopod -p shop datastore copy --to https://a:2379`"), "{refused}");
        // it has left it, by a copy; whether the other one holds it is seen when it is opened
        assert_eq!(resolved(Some(&a), None), Ok(Some(a.clone())));
        assert_eq!(resolved(Some(&a), Some(&b)), Ok(Some(b)));
    }

    #[test]
    fn what_is_not_hidden_is_told() {
        for (endpoint, told) in [
            ("https://a:2379", false),
            ("http://127.0.0.1:2379", false),
            ("http://localhost:2379", false),
            ("http://a:2379", true),
        ] {
            assert_eq!(datastore(endpoint).note().is_some(), told, "{endpoint}");
        }
    }
}
