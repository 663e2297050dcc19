//! Pull secrets: `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cri::Credentials;
use k8s_openapi::api::core::v1::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const DOCKER_HUB: &str = "index.docker.io";

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    username: String,
    password: String,
    auth: String,
    registrytoken: String,
}

/// A pull secret, without what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretRef {
    pub uid: String,
    pub namespace: String,
    pub name: String,
}

impl SecretRef {
    pub fn of(secret: &Secret) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let meta = &secret.metadata;
        SecretRef { uid: text(&meta.uid), namespace: text(&meta.namespace), name: text(&meta.name) }
    }
}

/// What a registry may be shown, and whose it is.
pub(crate) struct Offered {
    pub credentials: Credentials,
    pub secret: SecretRef,
}

/// Those of all secrets that fit the image's registry and path, the most specific first.
pub(crate) fn for_image<'a>(image: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> Vec<Offered> {
    let wanted = repository(image);
    let of = |secret: &'a Secret| {
        entries(secret).into_iter().map(move |(place, entry)| (place, entry, SecretRef::of(secret)))
    };
    let mut fitting: Vec<(usize, Offered)> = secrets
        .into_iter()
        .flat_map(of)
        .filter(|(place, _, _)| fits(place, &wanted))
        .filter_map(|(place, entry, secret)| {
            Some((place.len(), Offered { credentials: credentials(entry)?, secret }))
        })
        .collect();
    fitting.sort_by_key(|(specific, _)| std::cmp::Reverse(*specific));
    fitting.into_iter().map(|(_, offered)| offered).collect()
}

fn entries(secret: &Secret) -> Vec<(String, Entry)> {
    let data = |key: &str| secret.data.as_ref().and_then(|d| d.get(key)).map(|b| b.0.as_slice());
    let auths = match (data(".dockerconfigjson"), data(".dockercfg")) {
        (Some(json), _) => serde_json::from_slice::<DockerConfig>(json).map(|c| c.auths),
        (None, Some(json)) => serde_json::from_slice(json),
        (None, None) => return Vec::new(),
    };
    match auths {
        Ok(auths) => auths.into_iter().map(|(place, entry)| (normal_place(&place), entry)).collect(),
        Err(error) => {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            tracing::warn!(secret = name, line = error.line(), "pull secret is not readable");
            Vec::new()
        }
    }
}

fn credentials(entry: Entry) -> Option<Credentials> {
    if !entry.registrytoken.is_empty() {
        return Some(Credentials::Bearer(entry.registrytoken));
    }
    if !entry.username.is_empty() {
        return Some(Credentials::Basic { username: entry.username, password: entry.password });
    }
    let decoded = String::from_utf8(STANDARD.decode(entry.auth.trim()).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Credentials::Basic {
        username: username.to_owned(),
        password: password.trim_end_matches('\0').to_owned(),
    })
}

/// `https://index.docker.io/v1/` → `index.docker.io`
fn normal_place(place: &str) -> String {
    let place = place.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let place = place.trim_end_matches("/v1").trim_end_matches("/v2");
    let host = place.split('/').next().unwrap_or_default();
    if matches!(host, "docker.io" | "registry-1.docker.io") {
        place.replacen(host, DOCKER_HUB, 1)
    } else {
        place.to_owned()
    }
}

/// Without tag and digest: `index.docker.io/library/busybox`
pub(crate) fn repository(image: &str) -> String {
    let path = image.split('@').next().unwrap_or_default();
    let (first, rest) = path.split_once('/').unwrap_or(("", path));
    let is_host = first.contains(['.', ':']) || first == "localhost";
    let full = match (is_host, first) {
        (true, _) => path.to_owned(),
        (false, "") => format!("{DOCKER_HUB}/library/{rest}"),
        (false, _) => format!("{DOCKER_HUB}/{path}"),
    };
    let tag = full.rfind(':').filter(|at| !full[*at..].contains('/'));
    normal_place(&full[..tag.unwrap_or(full.len())])
}

/// The same host (where `*` stands for a part of a name), and the path begins alike.
fn fits(place: &str, wanted: &str) -> bool {
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let (wanted_host, wanted_path) = wanted.split_once('/').unwrap_or((wanted, ""));
    let (parts, wanted_parts): (Vec<_>, Vec<_>) =
        (host.split('.').collect(), wanted_host.split('.').collect());
    let same_host =
        parts.len() == wanted_parts.len() && parts.iter().zip(&wanted_parts).all(|(p, w)| glob(p, w));
    same_host && wanted_path.starts_with(path)
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(config: serde_json::Value) -> Secret {
        let encoded = STANDARD.encode(config.to_string());
        serde_json::from_value(json!({"metadata": {"name": "s"}, "data": {".dockerconfigjson": encoded}}))
            .unwrap()
    }

    #[test]
    fn which_fit() {
        let hub = json!({"auths": {"https://index.docker.io/v1/": {"auth": STANDARD.encode("me:pw")}}});
        let other = json!({"auths": {"reg.example:5000": {"username": "u", "password": "p"}}});
        let path = json!({"auths": {"reg.example:5000/team": {"username": "t", "password": "p"}, "reg.example:5000": {"username": "u", "password": "p"}}});
        let star = json!({"auths": {"*.example.com": {"username": "s", "password": "p"}}});
        let cases = [
            ("docker hub", hub.clone(), "busybox", vec!["me"]),
            ("docker hub with a user", hub.clone(), "me/app:1", vec!["me"]),
            ("another registry", hub, "reg.example:5000/a", vec![]),
            ("host and port", other.clone(), "reg.example:5000/a/b:1.2", vec!["u"]),
            ("another port", other, "reg.example:5001/a", vec![]),
            ("the longer path first", path.clone(), "reg.example:5000/team/x@sha256:1", vec!["t", "u"]),
            ("not this path", path, "reg.example:5000/else/x", vec!["u"]),
            ("a star", star, "a.example.com/x", vec!["s"]),
        ];
        for (name, config, image, want) in cases {
            let got: Vec<String> = for_image(image, [&secret(config)])
                .into_iter()
                .map(|offered| match offered.credentials {
                    Credentials::Basic { username, .. } => username,
                    Credentials::Bearer(token) => token,
                })
                .collect();
            assert_eq!(got, want, "{name}");
        }
    }
}
