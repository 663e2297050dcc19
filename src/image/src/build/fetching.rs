//! What ADD takes from elsewhere: files by HTTP, repositories by git.

use super::copy::Fetched;
use super::git::{self, Repository};
use super::instruction::CopyFiles;
use super::remote::{is_http, is_remote};
use super::stage::{Builder, Now};
use super::{BuildError, BuildEvent};
use crate::Digest;
use crate::digest::Hasher;
use cri::blocking;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

impl Builder<'_> {
    /// The sources that are paths, and those that were fetched into `directory`; of an instruction with all variables in.
    pub(super) async fn fetched(
        &self,
        now: &Now,
        copy: &CopyFiles,
        directory: &Path,
    ) -> Result<(Vec<String>, Vec<Fetched>), BuildError> {
        let sources = copy.sources.clone();
        if !copy.is_add {
            return Ok((sources, Vec::new()));
        }
        if copy.checksum.is_some() {
            match &sources[..] {
                [one] if is_http(one) || git::is_repository(one) => {}
                [_] => return Err(BuildError::Failed("checksum requires HTTP(S) or Git sources".into())),
                _ => {
                    return Err(BuildError::Failed(
                        "checksum can't be specified for multiple sources".into(),
                    ));
                }
            }
        }
        let (urls, paths): (Vec<String>, Vec<String>) =
            sources.into_iter().partition(|source| is_remote(source));
        let mut fetched = Vec::new();
        for (number, url) in urls.iter().enumerate() {
            let place = directory.join(number.to_string());
            fetched.push(match git::is_repository(url) {
                true => self.clone(now.step, url, copy, place).await?,
                false => {
                    let unpack = copy.unpack.unwrap_or(false);
                    self.download(now.step, url, place, copy.checksum.as_deref(), unpack).await?
                }
            });
        }
        Ok((paths, fetched))
    }

    async fn clone(
        &self,
        step: usize,
        url: &str,
        copy: &CopyFiles,
        place: PathBuf,
    ) -> Result<Fetched, BuildError> {
        let mut repository = Repository::parse(url).map_err(BuildError::Failed)?;
        if let Some(commit) = &copy.checksum {
            repository = repository.at_commit(commit);
        }
        self.tell(BuildEvent::Note { step: Some(step), text: &format!("Cloning {url}") });
        let agent = git::agent(self.options.ssh.as_deref()).await.map_err(BuildError::Failed)?;
        repository
            .clone_into(&place, copy.keep_git_dir, agent.as_deref())
            .await
            .map_err(BuildError::Failed)
            .map(Fetched::Directory)
    }

    /// Docker gives what it downloads to root alone.
    async fn download(
        &self,
        step: usize,
        url: &str,
        place: PathBuf,
        checksum: Option<&str>,
        unpack: bool,
    ) -> Result<Fetched, BuildError> {
        let name = file_name(url)
            .ok_or_else(|| BuildError::Failed(format!("cannot determine filename from url: {url}")))?;
        self.tell(BuildEvent::Note { step: Some(step), text: &format!("Downloading {url}") });
        crate::registry::fetch(&self.store.inner.transport, url, &place).await?;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&place, mode).map_err(|e| BuildError::Failed(format!("{url}: {e}")))?;
        if let Some(wanted) = checksum {
            let (wanted, path) = (Digest::parse(wanted)?, place.clone());
            let got = blocking(move || digest_of(&path)).await;
            let got = got.map_err(|e| BuildError::Failed(format!("{url}: {e}")))?;
            if got != wanted {
                return Err(BuildError::Failed(format!("digest mismatch {got}: {wanted}")));
            }
        }
        Ok(Fetched::File { name, path: place, unpack })
    }
}

fn digest_of(path: &Path) -> std::io::Result<Digest> {
    let (mut file, mut hasher) = (std::fs::File::open(path)?, Hasher::new());
    let mut block = vec![0; 128 << 10];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hasher.digest()),
            got => hasher.update(&block[..got]),
        }
    }
}

/// The last name of the path.
fn file_name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let (_, path) = path.split_once("://")?.1.split_once('/')?;
    let name = percent_encoding::percent_decode_str(path.rsplit('/').next()?).decode_utf8().ok()?;
    let is_name = !name.is_empty() && !matches!(&*name, "." | "..") && !name.contains(['/', '\0']);
    is_name.then(|| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_name_of_an_address_is_the_file() {
        for (url, want) in [
            ("http://host/a/b.txt", Some("b.txt")),
            ("https://host/a%20b?x=/c#d", Some("a b")),
            ("http://host/a%2Fb", None),
            ("http://host/", None),
            ("http://host", None),
            ("http://host/a/..", None),
        ] {
            assert_eq!(file_name(url).as_deref(), want, "{url}");
        }
    }
}
