//! Puts the cluster's context into the user's kubeconfig, keeps everything else in it, and takes it out again.

use crate::failures;
use crate::user_files::{self, SudoUser};
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_norway::{Mapping, Value};
use std::fs::{DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Of a context that nobody has given another.
const NAMESPACE: &str = "default";

/// What a context needs to reach its cluster.
pub struct Entry {
    pub name: String,
    pub server: String,
    pub ca_pem: String,
    pub certificate_pem: String,
    pub key_pem: String,
}

/// The user's who typed `sudo`, where it is that user's to replace: only that user's rights are used then. What `KUBECONFIG` names
/// of root's own, in a shell of root's, is root's.
pub struct Kubeconfig {
    path: PathBuf,
    owner: Option<SudoUser>,
}

impl Kubeconfig {
    /// The first file that `KUBECONFIG` names, else `~/.kube/config`.
    pub fn of_user() -> Self {
        let owner = SudoUser::of_environment();
        let named = std::env::var("KUBECONFIG").ok();
        let first = named.as_deref().and_then(|list| list.split(':').find(|path| !path.is_empty()));
        let home = owner.as_ref().and_then(|user| user.home.clone());
        let path = match first {
            Some(path) => PathBuf::from(path),
            None => {
                let home = home.or_else(|| std::env::var_os("HOME").map(PathBuf::from));
                home.unwrap_or_else(|| PathBuf::from("/root")).join(".kube/config")
            }
        };
        let owner = owner.filter(|user| user.holds(&path));
        Kubeconfig { path, owner }
    }

    pub fn at(path: PathBuf) -> Self {
        Kubeconfig { path, owner: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds or replaces the entry and makes it the current context. The namespace that somebody has given it stays.
    ///
    /// # Errors
    /// A file that is no kubeconfig (it stays as it is), or can not be written.
    pub fn merge(&self, entry: &Entry) -> Result<()> {
        let mut config = self.read()?;
        let namespace = namespace_of(&config, &entry.name).unwrap_or(NAMESPACE).to_owned();
        put(&mut config, "clusters", &entry.name, "cluster", cluster(entry));
        put(&mut config, "users", &entry.name, "user", user(entry));
        put(&mut config, "contexts", &entry.name, "context", context(entry, &namespace));
        config.insert("current-context".into(), entry.name.as_str().into());
        self.write(config)
    }

    /// Takes the entry out. A file that holds nothing else afterwards is removed; one that does not have it stays as it is.
    ///
    /// # Errors
    /// As [`Kubeconfig::merge`].
    pub fn remove(&self, name: &str) -> Result<()> {
        if !self.as_owner(|| Ok(self.path.exists()))? {
            return Ok(());
        }
        let mut config = self.read()?;
        let (mut left, mut taken) = (0, 0);
        for list in ["clusters", "users", "contexts"] {
            if let Some(Value::Sequence(items)) = config.get_mut(list) {
                let before = items.len();
                items.retain(|item| item.get("name").and_then(Value::as_str) != Some(name));
                left += items.len();
                taken += before - items.len();
            }
        }
        let is_current = config.get("current-context").and_then(Value::as_str) == Some(name);
        if taken == 0 && !is_current {
            return Ok(());
        }
        if is_current {
            config.insert("current-context".into(), "".into());
        }
        if left == 0 {
            return self.as_owner(|| std::fs::remove_file(&self.path));
        }
        self.write(config)
    }

    /// The name of the current context; `None` where there is none, or the file can not be read.
    pub fn current_context(&self) -> Option<String> {
        current_context_of(&self.read().ok()?).map(str::to_owned)
    }

    /// Whether none of the contexts that are there is the current one.
    pub fn lacks_current_context(&self) -> bool {
        let Ok(config) = self.read() else { return false };
        let contexts = config.get("contexts").and_then(Value::as_sequence);
        contexts.is_some_and(|contexts| !contexts.is_empty()) && current_context_of(&config).is_none()
    }

    /// Makes a context the current one.
    ///
    /// # Errors
    /// As [`Kubeconfig::merge`].
    pub fn use_context(&self, name: &str) -> Result<()> {
        let mut config = self.read()?;
        config.insert("current-context".into(), name.into());
        self.write(config)
    }

    /// The namespace that commands are about in a context; `default` where it names none, or the file can not be read.
    pub fn namespace(&self, context: &str) -> String {
        let config = self.read().ok();
        config.as_ref().and_then(|config| namespace_of(config, context)).unwrap_or(NAMESPACE).to_owned()
    }

    /// Gives a context its namespace; nothing where there is no such context.
    ///
    /// # Errors
    /// As [`Kubeconfig::merge`].
    pub fn use_namespace(&self, context: &str, namespace: &str) -> Result<()> {
        let mut config = self.read()?;
        let contexts = config.get_mut("contexts").and_then(Value::as_sequence_mut);
        let of_that_name = |item: &&mut Value| item.get("name").and_then(Value::as_str) == Some(context);
        let item = contexts.and_then(|contexts| contexts.iter_mut().find(of_that_name));
        let parts = item.and_then(|item| item.get_mut("context")).and_then(Value::as_mapping_mut);
        let Some(parts) = parts else { return Ok(()) };
        parts.insert("namespace".into(), namespace.into());
        self.write(config)
    }

    /// Lets go of a context, where it is the current one.
    ///
    /// # Errors
    /// As [`Kubeconfig::merge`].
    pub fn leave_context(&self, name: &str) -> Result<()> {
        match self.current_context() {
            Some(current) if current == name => self.use_context(""),
            _ => Ok(()),
        }
    }

    /// The entry of that name.
    ///
    /// # Errors
    /// A file that can not be read, or has no such entry.
    pub fn find(&self, name: &str) -> Result<Entry> {
        let config = self.read()?;
        let of = |list: &str, part: &str, field: &str| {
            let items = config.get(list).and_then(Value::as_sequence)?;
            let item = items.iter().find(|item| item.get("name").and_then(Value::as_str) == Some(name))?;
            item.get(part)?.get(field)?.as_str().map(str::to_owned)
        };
        let pem = |list, part, field| {
            let bytes = STANDARD.decode(of(list, part, field)?).ok()?;
            String::from_utf8(bytes).ok()
        };
        let entry = || {
            Some(Entry {
                name: name.to_owned(),
                server: of("clusters", "cluster", "server")?,
                ca_pem: pem("clusters", "cluster", "certificate-authority-data")?,
                certificate_pem: pem("users", "user", "client-certificate-data")?,
                key_pem: pem("users", "user", "client-key-data")?,
            })
        };
        entry().ok_or_else(|| {
            failures::KUBECONFIG.because(format!("{}: no context {name}", self.path.display()))
        })
    }

    fn read(&self) -> Result<Mapping> {
        let text = self.as_owner(|| match user_files::read(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read,
        })?;
        if text.trim().is_empty() {
            return Ok(empty());
        }
        match serde_norway::from_str(&text) {
            Ok(Value::Mapping(config)) => Ok(config),
            Ok(_) => Err(self.failed("it is no kubeconfig")),
            Err(e) => Err(self.failed(e)),
        }
    }

    /// Whole or not at all: a file beside it takes its place.
    fn write(&self, config: Mapping) -> Result<()> {
        let text = serde_norway::to_string(&Value::Mapping(config)).map_err(|e| self.failed(e))?;
        self.as_owner(|| {
            let target = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
            let directory = target.parent().filter(|named| !named.as_os_str().is_empty());
            let directory = directory.unwrap_or(Path::new("."));
            if !directory.exists() {
                DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            }
            // others may write where the user has it: what lies there by a name that could be guessed is nothing of ours
            let mut fresh = tempfile::Builder::new()
                .prefix(".kubeconfig-")
                .permissions(Permissions::from_mode(0o600))
                .tempfile_in(directory)?;
            fresh.write_all(text.as_bytes())?;
            fresh.persist(&target).map(|_| ()).map_err(|failed| failed.error)
        })
    }

    fn as_owner<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> Result<T> {
        let done = match &self.owner {
            Some(user) => user.act(act),
            None => act(),
        };
        done.map_err(|e| match self.owner.as_ref().filter(|user| !user.is_root()) {
            // as `sudo kubectl` leaves it behind
            Some(_) if e.kind() == io::ErrorKind::PermissionDenied => {
                failures::KUBECONFIG_OWNER.because(format!("{}: {e}", self.path.display()))
            }
            _ => self.failed(e),
        })
    }

    fn failed(&self, why: impl std::fmt::Display) -> anyhow::Error {
        failures::KUBECONFIG.because(format!("{}: {why}", self.path.display()))
    }
}

fn current_context_of(config: &Mapping) -> Option<&str> {
    config.get("current-context").and_then(Value::as_str).filter(|name| !name.is_empty())
}

fn namespace_of<'a>(config: &'a Mapping, context: &str) -> Option<&'a str> {
    let contexts = config.get("contexts").and_then(Value::as_sequence)?;
    let item = contexts.iter().find(|item| item.get("name").and_then(Value::as_str) == Some(context))?;
    item.get("context")?.get("namespace")?.as_str().filter(|namespace| !namespace.is_empty())
}

fn empty() -> Mapping {
    let mut config = Mapping::new();
    config.insert("apiVersion".into(), "v1".into());
    config.insert("kind".into(), "Config".into());
    config.insert("preferences".into(), Value::Mapping(Mapping::new()));
    config
}

fn put(config: &mut Mapping, list: &str, name: &str, part: &str, value: Mapping) {
    let items = config.entry(list.into()).or_insert_with(|| Value::Sequence(Vec::new()));
    if !items.is_sequence() {
        *items = Value::Sequence(Vec::new());
    }
    let Some(items) = items.as_sequence_mut() else { return };
    items.retain(|item| item.get("name").and_then(Value::as_str) != Some(name));
    let mut item = Mapping::new();
    item.insert("name".into(), name.into());
    item.insert(part.into(), Value::Mapping(value));
    items.push(Value::Mapping(item));
}

fn cluster(entry: &Entry) -> Mapping {
    let mut cluster = Mapping::new();
    cluster.insert("certificate-authority-data".into(), STANDARD.encode(&entry.ca_pem).into());
    cluster.insert("server".into(), entry.server.as_str().into());
    cluster
}

fn user(entry: &Entry) -> Mapping {
    let mut user = Mapping::new();
    user.insert("client-certificate-data".into(), STANDARD.encode(&entry.certificate_pem).into());
    user.insert("client-key-data".into(), STANDARD.encode(&entry.key_pem).into());
    user
}

fn context(entry: &Entry, namespace: &str) -> Mapping {
    let mut context = Mapping::new();
    context.insert("cluster".into(), entry.name.as_str().into());
    context.insert("namespace".into(), namespace.into());
    context.insert("user".into(), entry.name.as_str().into());
    context
}

#[cfg(test)]
mod tests;
