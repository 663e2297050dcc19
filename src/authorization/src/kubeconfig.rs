//! Where a webhook is and as whom it is asked: a kubeconfig, of which the current context counts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, Default)]
pub struct Connection {
    /// `https://HOST:PORT/PATH`
    pub url: String,
    /// PEM; empty for the machine's own.
    pub certificate_authority: Vec<u8>,
    /// What the server's certificate must be for, where that is not the host.
    pub tls_server_name: Option<String>,
    pub is_insecure: bool,
    pub certificate: Option<ClientCertificate>,
    pub token: Option<String>,
}

#[derive(Clone)]
pub struct ClientCertificate {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(redacted)")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    #[error("{0}")]
    Unreadable(String),
    #[error("{field}: {why}")]
    Invalid { field: String, why: String },
    #[error("{path}: {why}", path = path.display())]
    File { path: PathBuf, why: std::io::Error },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    clusters: Vec<Named<ClusterEntry>>,
    #[serde(default)]
    users: Vec<Named<UserEntry>>,
    #[serde(default)]
    contexts: Vec<Named<ContextEntry>>,
    #[serde(default)]
    current_context: String,
}

#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "user", alias = "context")]
    of: T,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct ClusterEntry {
    server: String,
    tls_server_name: Option<String>,
    insecure_skip_tls_verify: bool,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct UserEntry {
    #[serde(rename = "client-certificate")]
    client_certificate: Option<PathBuf>,
    #[serde(rename = "client-certificate-data")]
    client_certificate_data: Option<String>,
    #[serde(rename = "client-key")]
    client_key: Option<PathBuf>,
    #[serde(rename = "client-key-data")]
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContextEntry {
    cluster: String,
    user: String,
}

impl Connection {
    /// From the text of the file at `path`; files that it names are read by `read`, from the file's own directory on.
    ///
    /// # Errors
    /// What is no kubeconfig, names nothing, or names a file that can not be read.
    pub fn parse(
        text: &str,
        path: &Path,
        read: impl Fn(&Path) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, KubeconfigError> {
        let file: File =
            serde_saphyr::from_str(text).map_err(|why| KubeconfigError::Unreadable(why.to_string()))?;
        let home = path.parent().unwrap_or(Path::new("/"));
        let content = |data: Option<&str>, named: Option<&Path>, field: &str| match (data, named) {
            (Some(data), _) => match STANDARD.decode(data.trim()) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(why) => Err(invalid(field, why.to_string())),
            },
            (None, Some(named)) => {
                let path = home.join(named);
                read(&path).map(Some).map_err(|why| KubeconfigError::File { path, why })
            }
            (None, None) => Ok(None),
        };
        let context = find(&file.contexts, &file.current_context);
        let context = context.ok_or_else(|| {
            invalid("current-context", format!("context {:?} does not exist", file.current_context))
        })?;
        let cluster = find(&file.clusters, &context.cluster);
        let cluster = cluster.ok_or_else(|| {
            invalid("clusters", format!("no cluster {:?}, which the context names", context.cluster))
        })?;
        let user = find(&file.users, &context.user).cloned().unwrap_or_default();
        if !cluster.server.starts_with("https://") {
            let why = format!("server {:?} is not asked: only https is", cluster.server);
            return Err(invalid("clusters", why));
        }
        let authority = content(
            cluster.certificate_authority_data.as_deref(),
            cluster.certificate_authority.as_deref(),
            "certificate-authority-data",
        )?;
        let certificate = content(
            user.client_certificate_data.as_deref(),
            user.client_certificate.as_deref(),
            "client-certificate-data",
        )?;
        let key = content(user.client_key_data.as_deref(), user.client_key.as_deref(), "client-key-data")?;
        let certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let text = |pem: Vec<u8>| String::from_utf8_lossy(&pem).into_owned();
                Some(ClientCertificate { certificate_pem: text(certificate), key_pem: text(key) })
            }
            (None, None) => None,
            _ => return Err(invalid("users", "a client certificate and its key are wanted both".to_owned())),
        };
        let from_file = content(None, user.token_file.as_deref(), "tokenFile")?;
        let from_file = from_file.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(Connection {
            url: cluster.server.clone(),
            certificate_authority: authority.unwrap_or_default(),
            tls_server_name: cluster.tls_server_name.clone(),
            is_insecure: cluster.insecure_skip_tls_verify,
            certificate,
            token: user.token.or(from_file),
        })
    }
}

fn find<'f, T>(all: &'f [Named<T>], name: &str) -> Option<&'f T> {
    all.iter().find(|entry| entry.name == name).map(|entry| &entry.of)
}

fn invalid(field: &str, why: String) -> KubeconfigError {
    KubeconfigError::Invalid { field: field.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Connection, String> {
        let read = |path: &Path| match path.to_str() {
            Some("/etc/w/ca.pem") => Ok(b"CA".to_vec()),
            Some("/run/token") => Ok(b"secret\n".to_vec()),
            _ => Err(std::io::Error::other("no such file")),
        };
        Connection::parse(text, Path::new("/etc/w/config"), read).map_err(|why| why.to_string())
    }

    #[test]
    fn the_current_context_counts() {
        let text = "
clusters:
- {name: other, cluster: {server: 'https://other'}}
- {name: w, cluster: {server: 'https://w:1/authorize', certificate-authority: ca.pem}}
users:
- {name: api, user: {tokenFile: /run/token}}
contexts:
- {name: c, context: {cluster: w, user: api}}
current-context: c
";
        let found = parsed(text).unwrap();
        assert_eq!(
            (found.url.as_str(), found.certificate_authority.as_slice(), found.token.as_deref()),
            ("https://w:1/authorize", b"CA".as_slice(), Some("secret"))
        );
        for (was, is, want) in [
            ("current-context: c", "", "current-context: context \"\" does not exist"),
            ("cluster: w,", "cluster: x,", "clusters: no cluster \"x\""),
            ("https://w", "http://w", "clusters: server \"http://w:1/authorize\" is not asked"),
            ("ca.pem", "none.pem", "/etc/w/none.pem: no such file"),
            (
                "tokenFile: /run/token",
                "client-certificate: ca.pem",
                "users: a client certificate and its key",
            ),
            (
                "certificate-authority: ca.pem",
                "certificate-authority-data: '*'",
                "certificate-authority-data: ",
            ),
        ] {
            let why = parsed(&text.replace(was, is)).unwrap_err();
            assert!(why.starts_with(want), "{is}: {why}");
        }
        assert!(parsed("[").is_err());
    }
}
