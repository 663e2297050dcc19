//! What the user has for registries: what was typed, else what Docker's own configuration keeps.

use crate::failures;
use crate::user_files;
use anyhow::{Context, Result, bail};
use appliance::Login;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// For commands that speak to a registry.
#[derive(clap::Args)]
pub struct LoginArguments {
    /// The user at the registry; without, what `docker login` left in ~/.docker/config.json.
    #[arg(short, long, requires = "password_stdin")]
    username: Option<String>,
    /// Read the password from the standard input.
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

impl LoginArguments {
    /// # Errors
    /// The password can not be read, or Docker's configuration is broken.
    pub fn logins(&self) -> Result<Vec<Login>> {
        let Some(username) = self.username.clone() else { return known() };
        let mut password = String::new();
        std::io::stdin().read_to_string(&mut password).context("read the password")?;
        let password = password.trim_end_matches(['\r', '\n']).to_owned();
        if password.is_empty() {
            bail!("no password on the standard input");
        }
        Ok(vec![Login { registry: String::new(), username, password }])
    }
}

/// All that Docker's configuration has. What it leaves to a credential helper is not there.
///
/// # Errors
/// `REGISTRY` where the file can not be understood.
pub fn known() -> Result<Vec<Login>> {
    let Some(file) = docker_config() else { return Ok(Vec::new()) };
    understood(&file, user_files::act_on(&file, || user_files::read(&file)))
}

fn understood(file: &Path, text: io::Result<String>) -> Result<Vec<Login>> {
    let text = match text {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        // as docker says it, and goes on: what `sudo docker login` wrote is root's, and most images need no login
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            eprintln!("WARNING: Error loading config file: {}: {e}", file.display());
            return Ok(Vec::new());
        }
        text => text.map_err(|e| failures::REGISTRY.because(format!("{}: {e}", file.display())))?,
    };
    parse(&text).map_err(|e| failures::REGISTRY.because(format!("{}: {e}", file.display())))
}

fn docker_config() -> Option<PathBuf> {
    let given = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let directory = given.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".docker")))?;
    Some(directory.join("config.json"))
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    /// `user:password` in base64.
    #[serde(default)]
    auth: String,
}

fn parse(text: &str) -> serde_json::Result<Vec<Login>> {
    let config: DockerConfig = serde_json::from_str(text)?;
    let login = |(registry, auth): (String, Auth)| {
        let text = String::from_utf8(BASE64_STANDARD.decode(auth.auth).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(Login { registry, username: username.to_owned(), password: password.to_owned() })
    };
    Ok(config.auths.into_iter().filter_map(login).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_login_leaves() {
        for (name, text, want) in [
            ("nothing", "{}", vec![]),
            ("a helper's", r#"{"auths": {"reg:5000": {}}, "credsStore": "pass"}"#, vec![]),
            (
                "a password",
                r#"{"auths": {"reg:5000": {"auth": "dTpwOnE="}}}"#,
                vec![("reg:5000", "u", "p:q")],
            ),
            ("nonsense", r#"{"auths": {"a": {"auth": "%"}}}"#, vec![]),
        ] {
            let got = parse(text).unwrap();
            let got: Vec<_> =
                got.iter().map(|l| (l.registry.as_str(), l.username.as_str(), l.password.as_str())).collect();
            assert_eq!(got, want, "{name}");
        }
        assert!(parse("auths:").is_err());
    }

    #[test]
    fn a_configuration_that_is_not_there_or_not_the_users_has_no_logins() {
        let understood = |text| understood(Path::new("/c"), text);
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied] {
            assert!(understood(Err(kind.into())).unwrap().is_empty(), "{kind}");
        }
        let refused = [Err(io::Error::other("a disk")), Ok("auths:".to_owned())];
        for error in refused.map(|text| understood(text).unwrap_err()) {
            assert!(
                failures::is(&error, failures::REGISTRY) && error.to_string().starts_with("/c: "),
                "{error}"
            );
        }
    }
}
