//! The files of a ConfigMap, Secret, downward API or projected volume. Pure.

use super::budget::Budget;
use super::stored::{Stored, keys_of_config_map, keys_of_secret, of_config_map, of_secret};
use super::trust_bundle;
use crate::field_ref::{self, Facts};
use crate::pod;
use crate::sources::Sources;
use bytes::Bytes;
use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, KeyToPath, Pod, ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// What upstream's admission asks for, so that the token outlives an hour's rotation.
pub const TOKEN_SECONDS: i64 = 3600;
pub(crate) const CONFIG_MAP: &str = "kubernetes.io~configmap";
const DEFAULT_MODE: i32 = 0o644;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub data: Bytes,
    pub mode: u32,
    /// Root, where none is said.
    pub owner: Option<u32>,
}

/// Relative paths and what stands there.
pub type Payload = BTreeMap<String, File>;

/// A pod's certificate, in PEM.
#[derive(Clone)]
pub struct Bundle {
    pub key: String,
    /// Of whom it is first, then those between it and the authority.
    pub chain: String,
}

type Tokens<'a> = dyn Fn(&ServiceAccountTokenProjection) -> Result<String, String> + Send + Sync + 'a;

/// By the volume, and which of its sources it is.
type Certificates<'a> = dyn Fn(&str, usize) -> Result<Bundle, String> + Send + Sync + 'a;

pub struct Content<'a> {
    pub pod: &'a Pod,
    pub facts: &'a Facts,
    pub sources: &'a dyn Sources,
    pub tokens: &'a Tokens<'a>,
    pub certificates: &'a Certificates<'a>,
    /// For all of the pod's volumes.
    pub budget: Budget,
}

/// The files of one volume, as they come together.
struct Files<'a> {
    payload: Payload,
    budget: &'a Budget,
}

impl Files<'_> {
    /// What was made for this pod.
    fn put_made(&mut self, path: &str, text: String, mode: i32, owner: Option<u32>) -> Result<(), String> {
        self.budget.make(text.len()).map_err(|why| why.to_string())?;
        self.put(path, text.into_bytes().into(), mode, owner)
    }

    /// Upstream's `validatePath`: relative, not upwards, not into the writer's own names.
    fn put(&mut self, path: &str, data: Bytes, mode: i32, owner: Option<u32>) -> Result<(), String> {
        let normal = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
        if path.is_empty() || !normal || path.starts_with("..") {
            return Err(format!("invalid path: {path}"));
        }
        self.budget.take(data.len()).map_err(|why| why.to_string())?;
        let mode = u32::try_from(mode).unwrap_or(0) & 0o777;
        self.payload.insert(path.trim_end_matches('/').to_owned(), File { data, mode, owner });
        Ok(())
    }
}

/// `None` where the volume is none of these kinds; else upstream's name of the directory, and the files.
///
/// # Errors
/// What is missing.
pub fn of_volume(volume: &Volume, at: &Content<'_>) -> Result<Option<(&'static str, Payload)>, String> {
    at.budget.check().map_err(|why| why.to_string())?;
    let mut files = Files { payload: Payload::new(), budget: &at.budget };
    if let Some(source) = &volume.config_map {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        add_config_map(&mut files, at, &source.name, source.items.as_deref(), source.optional, mode)?;
        return Ok(Some((CONFIG_MAP, files.payload)));
    }
    if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        add_secret(&mut files, at, name, source.items.as_deref(), source.optional, mode)?;
        return Ok(Some(("kubernetes.io~secret", files.payload)));
    }
    if let Some(source) = &volume.downward_api {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        add_downward(&mut files, at, source.items.as_deref().unwrap_or_default(), mode)?;
        return Ok(Some(("kubernetes.io~downward-api", files.payload)));
    }
    if let Some(source) = &volume.projected {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        for (index, projection) in source.sources.iter().flatten().enumerate() {
            add_projection(&mut files, at, projection, mode, (volume.name.as_str(), index))?;
        }
        return Ok(Some(("kubernetes.io~projected", files.payload)));
    }
    Ok(None)
}

fn add_projection(
    files: &mut Files<'_>,
    at: &Content<'_>,
    projection: &VolumeProjection,
    mode: i32,
    (volume, index): (&str, usize),
) -> Result<(), String> {
    if let Some(source) = &projection.config_map {
        add_config_map(files, at, &source.name, source.items.as_deref(), source.optional, mode)?;
    }
    if let Some(source) = &projection.secret {
        add_secret(files, at, &source.name, source.items.as_deref(), source.optional, mode)?;
    }
    if let Some(source) = &projection.downward_api {
        add_downward(files, at, source.items.as_deref().unwrap_or_default(), mode)?;
    }
    if let Some(source) = &projection.service_account_token {
        let namespace = pod::namespace(at.pod);
        let token =
            (at.tokens)(source).map_err(|why| format!("failed to fetch token for {namespace}: {why}"))?;
        let (mode, owner) = for_readers(at.pod, mode);
        files.put_made(&source.path, token, mode, owner)?;
    }
    if let Some(source) = &projection.cluster_trust_bundle {
        let anchors = trust_bundle::anchors(source, at.sources)?;
        files.put_made(&source.path, anchors, mode, None)?;
    }
    if let Some(source) = &projection.pod_certificate {
        let Bundle { key, chain } = (at.certificates)(volume, index)?;
        let (mode, owner) = for_readers(at.pod, mode);
        for (path, data) in [
            (&source.credential_bundle_path, [key.as_str(), &chain].concat()),
            (&source.key_path, key),
            (&source.certificate_chain_path, chain),
        ] {
            if let Some(path) = path.as_deref().filter(|path| !path.is_empty()) {
                files.put_made(path, data, mode, owner)?;
            }
        }
    }
    Ok(())
}

/// Where somebody in particular is to read a credential, nobody else does.
fn for_readers(pod: &Pod, mode: i32) -> (i32, Option<u32>) {
    let owner = common_user(pod);
    let mode = if owner.is_some() || pod::fs_group(pod).is_some() { 0o600 } else { mode };
    (mode, owner)
}

fn add_config_map(
    files: &mut Files<'_>,
    at: &Content<'_>,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: i32,
) -> Result<(), String> {
    let namespace = pod::namespace(at.pod);
    match at.sources.config_map(namespace, name) {
        Some(map) => add_keys(files, &of_config_map(&map), keys_of_config_map(&map), items, optional, mode)
            .map_err(|why| format!("configmap references {why}")),
        None if optional == Some(true) => Ok(()),
        None => Err(format!("configmap \"{name}\" not found")),
    }
}

fn add_secret(
    files: &mut Files<'_>,
    at: &Content<'_>,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: i32,
) -> Result<(), String> {
    let namespace = pod::namespace(at.pod);
    match at.sources.secret(namespace, name) {
        Some(secret) => add_keys(files, &of_secret(&secret), keys_of_secret(&secret), items, optional, mode)
            .map_err(|why| format!("references {why}")),
        None if optional == Some(true) => Ok(()),
        None => Err(format!("secret \"{name}\" not found")),
    }
}

/// The items, or all keys. Each is looked up alone: one volume of many may want one key of many.
fn add_keys<'a, T: Send + Sync + 'static>(
    files: &mut Files<'_>,
    stored: &Stored<T>,
    mut keys: impl Iterator<Item = &'a String>,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: i32,
) -> Result<(), String> {
    let Some(items) = items.filter(|i| !i.is_empty()) else {
        return keys.try_for_each(|key| match stored.value(key) {
            Some(value) => files.put(key, value, mode, None),
            None => Ok(()),
        });
    };
    for item in items {
        match stored.value(&item.key) {
            Some(value) => files.put(&item.path, value, item.mode.unwrap_or(mode), None)?,
            None if optional == Some(true) => {}
            None => return Err(format!("non-existent config key: {}", item.key)),
        }
    }
    Ok(())
}

fn add_downward(
    files: &mut Files<'_>,
    at: &Content<'_>,
    items: &[DownwardAPIVolumeFile],
    mode: i32,
) -> Result<(), String> {
    for item in items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => field_ref::field(at.pod, at.facts, &field.field_path)?,
            (None, Some(resource)) => field_ref::resource(at.pod, None, at.facts, resource)?,
            (None, None) => continue,
        };
        files.put_made(&item.path, text, item.mode.unwrap_or(mode), None)?;
    }
    Ok(())
}

/// Whom all containers run as, where their specs say so: upstream's `FsUserFrom`.
fn common_user(pod: &Pod) -> Option<u32> {
    let spec = pod::spec(pod);
    let whole = spec.security_context.as_ref().and_then(|s| s.run_as_user);
    let mut users = pod::init_containers(spec)
        .iter()
        .chain(&spec.containers)
        .map(|c| c.security_context.as_ref().and_then(|s| s.run_as_user).or(whole));
    let first = users.next()??;
    users.all(|user| user == Some(first)).then(|| cri::checked_id(first).ok()).flatten()
}

#[cfg(test)]
mod tests;
