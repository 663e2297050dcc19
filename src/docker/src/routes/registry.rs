//! Registries: credentials.

use crate::error::ApiError;
use crate::request::{ApiRequest, ApiResponse, json};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cri::Credentials;
use serde::Deserialize;

/// What a client knows of one registry.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Auth {
    username: String,
    password: String,
    /// `user:password` in base64, as `config.json` has it.
    auth: String,
    identitytoken: String,
    registrytoken: String,
    /// Which registry; empty for Docker Hub. Only a login says it.
    serveraddress: String,
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Either alphabet, with or without padding.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text.trim().replace('+', "-").replace('/', "_")).ok()
}

impl Auth {
    pub(super) fn credentials(self) -> Option<Credentials> {
        if !self.registrytoken.is_empty() {
            return Some(Credentials::Bearer(self.registrytoken));
        }
        if !self.identitytoken.is_empty() {
            return Some(Credentials::Basic { username: "<token>".to_owned(), password: self.identitytoken });
        }
        if !self.username.is_empty() {
            return Some(Credentials::Basic { username: self.username, password: self.password });
        }
        let text = String::from_utf8(decode(&self.auth)?).ok()?;
        let (username, password) = text.split_once(':')?;
        let (username, password) = (username.to_owned(), password.to_owned());
        Some(Credentials::Basic { username, password })
    }
}

/// `X-Registry-Auth`: JSON in base64; `e30=` is `{}`, none.
pub(super) fn credentials(header: Option<&str>) -> Option<Credentials> {
    serde_json::from_slice::<Auth>(&decode(header?)?).ok()?.credentials()
}

/// `docker login`: the client keeps the password itself, and wants to know only whether it is right.
pub(super) async fn auth(mut request: ApiRequest) -> ApiResponse {
    let auth: Auth = request.json().await?;
    let registry = auth.serveraddress.clone();
    let credentials = auth.credentials().ok_or_else(|| ApiError::bad("no username was given"))?;
    request.engine.images.login(&registry, &credentials).await?;
    json(&serde_json::json!({"Status": "Login Succeeded", "IdentityToken": ""}))
}

pub(super) async fn search(_: ApiRequest) -> ApiResponse {
    Err(ApiError::not_implemented("searching Docker Hub is not offered: look at https://hub.docker.com"))
}

/// What the registry has, whatever is here.
pub(super) async fn distribution(request: ApiRequest) -> ApiResponse {
    let credentials: Vec<Credentials> = credentials(request.header("x-registry-auth")).into_iter().collect();
    let remote = request.engine.images.remote(request.name(), &credentials).await?;
    json(&serde_json::json!({
        "Descriptor": {"mediaType": remote.media_type, "digest": remote.digest, "size": remote.size},
        "Platforms": remote.platforms,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send() {
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE.encode(text);
        let basic = |username: &str, password: &str| {
            Some(Credentials::Basic { username: username.into(), password: password.into() })
        };
        for (name, header, want) in [
            ("none", "e30=".to_owned(), None),
            ("nonsense", "%%".to_owned(), None),
            ("password", encode(r#"{"username":"u","password":"p?>"}"#), basic("u", "p?>")),
            ("as in config.json", encode(r#"{"auth":"dTpwOnE="}"#), basic("u", "p:q")),
            ("token", encode(r#"{"identitytoken":"t"}"#), basic("<token>", "t")),
            ("registry token", encode(r#"{"registrytoken":"t"}"#), Some(Credentials::Bearer("t".into()))),
        ] {
            assert!(credentials(Some(&header)) == want, "{name}");
        }
        assert!(credentials(None).is_none());
    }
}
