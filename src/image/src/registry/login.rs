//! Whether a registry takes some credentials (distribution specification, "API version check"). Nothing is fetched, and
//! nothing is kept.

use super::auth::{Challenge, challenges};
use super::exchange::{basic, bearer, request};
use super::token::{read_token, token_request};
use super::transport::{Transport, body, parse_uri};
use crate::ImageStore;
use crate::error::{ImageError, Result};
use bytes::Bytes;
use cri::Credentials;
use http::{HeaderValue, Method, StatusCode, Uri, header};

impl ImageStore {
    /// Asks the registry itself, never a mirror. `registry` is a host, perhaps with a port, or what Docker's files have
    /// instead: `https://index.docker.io/v1/`. A registry that wants no credentials takes all.
    ///
    /// # Errors
    /// [`ImageError::Unauthorized`] where it refuses them, [`ImageError::Registry`] where it does not say.
    pub async fn login(&self, registry: &str, credentials: &Credentials) -> Result<()> {
        let transport = &self.inner.transport;
        let endpoint = transport.registries().endpoints(registry_domain(registry)).pop();
        let endpoint =
            endpoint.ok_or_else(|| ImageError::Registry(format!("no registry for {registry:?}")))?;
        let scheme = transport.scheme(&endpoint).await?;
        let uri = parse_uri(&format!("{scheme}://{}/v2/", endpoint.host))?;
        check(transport, &endpoint.host, &uri, credentials).await
    }
}

/// What image references call the registry that Docker's files name: `https://index.docker.io/v1/` → `docker.io`.
pub fn registry_domain(registry: &str) -> &str {
    let host = registry.split_once("://").map_or(registry, |(_, rest)| rest);
    match host.split('/').next().unwrap_or_default() {
        "" | "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

async fn check(transport: &Transport, home: &str, uri: &Uri, credentials: &Credentials) -> Result<()> {
    let answer = transport.send(request(Method::GET, uri, body(Bytes::new()))?, home).await?;
    if answer.status() != StatusCode::UNAUTHORIZED {
        return judge(uri, answer.status());
    }
    for challenge in challenges(answer.headers()) {
        let Some(authorization) = meet(transport, home, uri, challenge, credentials).await? else { continue };
        let mut again = request(Method::GET, uri, body(Bytes::new()))?;
        again.headers_mut().insert(header::AUTHORIZATION, authorization);
        return judge(uri, transport.send(again, home).await?.status());
    }
    judge(uri, answer.status())
}

/// `None` where these credentials are of another kind.
async fn meet(
    transport: &Transport,
    home: &str,
    uri: &Uri,
    challenge: Challenge,
    credentials: &Credentials,
) -> Result<Option<HeaderValue>> {
    let (realm, service, scope) = match (challenge, credentials) {
        (Challenge::Basic, Credentials::Basic { username, password }) => {
            return basic(username, password).map(Some);
        }
        (Challenge::Bearer { .. }, Credentials::Bearer(token)) => return bearer(token).map(Some),
        (Challenge::Bearer { realm, service, scope }, Credentials::Basic { .. }) => (realm, service, scope),
        _ => return Ok(None),
    };
    let scopes: Vec<String> = scope.into_iter().collect();
    let asked = token_request(&realm, service, &scopes, uri, Some(credentials))?;
    let answer = transport.send(asked, home).await?;
    judge(uri, answer.status())?;
    bearer(&read_token(&realm, answer).await?).map(Some)
}

/// In Docker's words.
fn judge(uri: &Uri, status: StatusCode) -> Result<()> {
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(ImageError::Unauthorized(format!(
            "Get \"{uri}\": unauthorized: incorrect username or password"
        ))),
        other => Err(ImageError::Registry(format!("login attempt to {uri} failed with status: {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::registry::{Auth, FakeRegistry};
    use crate::testing::store;

    fn user(password: &str) -> Credentials {
        Credentials::Basic { username: "user".into(), password: password.into() }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn credentials_are_judged_by_the_registry() {
        for (name, auth, credentials, want) in [
            ("basic", Auth::Basic, user("secret"), true),
            ("basic, wrong", Auth::Basic, user("wrong"), false),
            ("basic, but a token", Auth::Basic, Credentials::Bearer("good".into()), false),
            ("token", Auth::Token, user("secret"), true),
            ("token, wrong", Auth::Token, user("wrong"), false),
            ("a token of one's own", Auth::Token, Credentials::Bearer("good".into()), true),
            ("a bad token", Auth::Token, Credentials::Bearer("bad".into()), false),
            ("nothing asked", Auth::None, user("any"), true),
        ] {
            let (registry, t) = (FakeRegistry::start().await, store());
            registry.change(|state| state.auth = auth);
            match (t.store.login(&registry.host, &credentials).await, want) {
                (Ok(()), true) => {}
                (Err(ImageError::Unauthorized(why)), false) => {
                    assert!(why.ends_with("unauthorized: incorrect username or password"), "{name}: {why}");
                }
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn registries_as_dockers_files_name_them() {
        for (given, want) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("", "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("https://reg.example/v2/", "reg.example"),
        ] {
            assert_eq!(registry_domain(given), want, "{given}");
        }
    }
}
