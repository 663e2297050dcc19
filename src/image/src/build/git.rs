//! Repositories as build contexts and as sources of ADD. The `git` program fetches them, as in BuildKit: nobody else knows
//! all the ways in which servers want to be asked.

use super::options::{BuildSsh, SshAgent};
use super::view::{Node, View};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Bytes of what git says that are kept, the last ones. The server's words are among them, and need not end.
const MOST_SAID: usize = 64 << 10;

/// `https://host/repo.git#ref:directory`, `git@host:repo.git#ref:directory`, `https://host/repo.git?tag=v1&subdir=directory`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Repository {
    remote: String,
    /// A branch, a tag or a commit; the remote's HEAD where empty.
    reference: String,
    directory: String,
    /// What the commit must begin with; empty where it may be any.
    commit: String,
}

/// Whether it means a repository, and no file that is to be downloaded.
pub(super) fn is_repository(source: &str) -> bool {
    let lower = source.to_ascii_lowercase();
    let without_fragment = source.split(['#', '?']).next().unwrap_or(source);
    match lower.split_once("://") {
        Some(("git" | "ssh", _)) => true,
        Some(("http" | "https", _)) => without_fragment.ends_with(".git"),
        Some(_) => false,
        None => is_scp_like(source),
    }
}

/// `git@host:path`
fn is_scp_like(source: &str) -> bool {
    let Some((before, path)) = source.split_once(':') else { return false };
    let Some((user, host)) = before.split_once('@') else { return false };
    let is_word = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    is_word(user) && is_word(host) && !path.is_empty()
}

/// The agent that the client lends, for those that are asked by ssh.
pub(super) async fn agent(ssh: Option<&dyn BuildSsh>) -> Result<Option<Box<dyn SshAgent>>, String> {
    match ssh {
        Some(ssh) => ssh.agent("default").await,
        None => Ok(None),
    }
}

impl Repository {
    pub(super) fn parse(source: &str) -> Result<Repository, String> {
        let (remote, fragment) = source.split_once('#').unwrap_or((source, ""));
        let mut repository = match (remote.split_once('?'), fragment.strip_prefix('#')) {
            (Some((remote, query)), _) if fragment.is_empty() && is_ours(query) => in_query(remote, query)?,
            (_, Some(fields)) => {
                let (reference, directory) = named_parts(fields)?;
                Repository { reference, directory, ..Repository::default() }
            }
            (_, None) => {
                let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
                let (reference, directory) = (reference.to_owned(), directory.to_owned());
                Repository { reference, directory, ..Repository::default() }
            }
        };
        if repository.remote.is_empty() {
            repository.remote = remote.to_owned();
        }
        // git would take it for an option
        if repository.remote.starts_with('-') || repository.reference.starts_with('-') {
            return Err(format!("invalid git reference {source:?}"));
        }
        Ok(repository)
    }

    /// `ADD --checksum`: the commit that it must be, or its beginning.
    pub(super) fn at_commit(mut self, commit: &str) -> Repository {
        self.commit = commit.to_owned();
        self
    }

    /// Makes `place` and gives the directory in it that is meant.
    pub(super) async fn clone_into(
        &self,
        place: &Path,
        keep_git_dir: bool,
        agent: Option<&dyn SshAgent>,
    ) -> Result<PathBuf, String> {
        std::fs::create_dir(place).map_err(|e| format!("make {}: {e}", place.display()))?;
        let git = Git { place, agent };
        git.run(&["init", "--quiet"]).await?;
        git.run(&["remote", "add", "origin", &self.remote]).await?;
        let wanted = if self.reference.is_empty() { "HEAD" } else { self.reference.as_str() };
        self.fetch(&git, wanted).await?;
        self.check_commit(place)?;
        git.run(&["submodule", "update", "--quiet", "--init", "--recursive", "--depth=1"]).await?;
        if !keep_git_dir {
            remove_git_directories(place).map_err(|e| format!("{}: {e}", self.remote))?;
        }
        self.inside(place)
    }

    async fn fetch(&self, git: &Git<'_>, wanted: &str) -> Result<(), String> {
        let fetch = ["fetch", "--quiet", "--no-tags", "--depth=1", "origin", "--", wanted];
        let Err(why) = git.run(&fetch).await else {
            return git.run(&["checkout", "--quiet", "FETCH_HEAD"]).await;
        };
        // servers that cannot give a part give all; those that do not give commits by name give what has them
        let all = git.run(&["fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
        all.await.map_err(|_| why.clone())?;
        let remote_branch = format!("origin/{wanted}");
        for name in [remote_branch.as_str(), wanted] {
            if git.run(&["checkout", "--quiet", "--detach", name, "--"]).await.is_ok() {
                return Ok(());
            }
        }
        if wanted == "HEAD" {
            let head = git.run(&["remote", "set-head", "origin", "--auto"]).await;
            head.map_err(|_| why.clone())?;
            return git.run(&["checkout", "--quiet", "--detach", "origin/HEAD", "--"]).await;
        }
        Err(why)
    }

    /// Of what is checked out; git writes the commit there, as no branch is.
    fn check_commit(&self, place: &Path) -> Result<(), String> {
        let head = std::fs::read_to_string(place.join(".git/HEAD"));
        let head = head.map_err(|e| format!("{}: read its HEAD: {e}", self.remote))?;
        match head.starts_with(&self.commit) {
            true => Ok(()),
            false => Err(format!("expected checksum to match {}, got {}", self.commit, head.trim())),
        }
    }

    fn inside(&self, place: &Path) -> Result<PathBuf, String> {
        let view = View { layers: vec![place.to_owned()] };
        match view.resolve(Path::new(&self.directory))? {
            (real, Node::Directory(_)) => Ok(place.join(real)),
            (_, Node::Missing) => Err(format!("{}: no directory {} in it", self.remote, self.directory)),
            _ => Err(format!("{}: {} is not a directory", self.remote, self.directory)),
        }
    }
}

/// What a query may say to the builder. One that says anything else is for the server.
const QUERY: [&str; 6] = ["ref", "tag", "branch", "subdir", "commit", "checksum"];

fn is_ours(query: &str) -> bool {
    query.split('&').all(|field| field.split_once('=').is_some_and(|(key, _)| QUERY.contains(&key)))
}

/// `tag=v1&subdir=docs`
fn in_query(remote: &str, query: &str) -> Result<Repository, String> {
    let mut repository = Repository { remote: remote.to_owned(), ..Repository::default() };
    for (key, value) in query.split('&').filter_map(|field| field.split_once('=')) {
        let value = percent_encoding::percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| format!("invalid query of {remote}: {query}"))?.into_owned();
        match key {
            "tag" => repository.reference = format!("refs/tags/{value}"),
            "branch" => repository.reference = format!("refs/heads/{value}"),
            "ref" => repository.reference = value,
            "subdir" => repository.directory = value,
            _ => repository.commit = value,
        }
    }
    if repository.reference.is_empty() {
        repository.reference.clone_from(&repository.commit);
    }
    Ok(repository)
}

/// `ref=v1,subdir=docs` after a double `#`.
fn named_parts(fields: &str) -> Result<(String, String), String> {
    let (mut reference, mut directory, mut commit) = (String::new(), String::new(), String::new());
    for field in fields.split(',').filter(|field| !field.is_empty()) {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| format!("invalid field '{field}' must be a key=value pair"))?;
        match key.to_ascii_lowercase().as_str() {
            "ref" => reference = value.to_owned(),
            "subdir" => directory = value.to_owned(),
            "commit" => commit = value.to_owned(),
            _ => {
                return Err(format!(
                    "unexpected key '{key}' in '{field}' (supported keys: ref, commit, subdir)"
                ));
            }
        }
    }
    Ok((if commit.is_empty() { reference } else { commit }, directory))
}

struct Git<'g> {
    place: &'g Path,
    agent: Option<&'g dyn SshAgent>,
}

impl Git<'_> {
    /// Nobody is there to be asked for a password, and nothing of the machine's own settings counts: neither the daemon's
    /// passwords (`~/.netrc`, helpers) nor its keys are for servers that a Dockerfile names.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args([
                "-c",
                "credential.helper=",
                "-c",
                "init.defaultBranch=main",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args(arguments)
            .current_dir(self.place)
            .env("HOME", "/dev/null")
            .env("GIT_ALLOW_PROTOCOL", "http:https:git:ssh")
            .env("GIT_ASKPASS", "")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            // ssh asks the system for its home, and tries the keys there beside an agent's
            .env("GIT_SSH_COMMAND", "ssh -F /dev/null -o BatchMode=yes -o IdentityFile=none")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match self.agent {
            Some(agent) => command.env("SSH_AUTH_SOCK", agent.socket()),
            None => command.env_remove("SSH_AUTH_SOCK"),
        };
        command
    }

    async fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let broken = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => {
                "git is not installed: builds from repositories need it".to_owned()
            }
            _ => format!("git {}: {e}", arguments[0]),
        };
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(broken)?;
        let said = match child.stderr.take() {
            Some(stderr) => last_of(stderr).await.map_err(broken)?,
            None => Vec::new(),
        };
        if child.wait().await.map_err(broken)?.success() {
            return Ok(());
        }
        Err(format!("git {}: {}", arguments[0], String::from_utf8_lossy(&said).trim()))
    }
}

/// The end of what somebody says.
async fn last_of(mut said: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut kept: Vec<u8> = Vec::new();
    let mut block = vec![0; MOST_SAID];
    loop {
        let length = said.read(&mut block).await?;
        if length == 0 {
            return Ok(kept);
        }
        kept.extend_from_slice(&block[..length]);
        let surplus = kept.len().saturating_sub(MOST_SAID);
        kept.drain(..surplus);
    }
}

/// Those of submodules as well, where they are files.
fn remove_git_directories(place: &Path) -> std::io::Result<()> {
    let mut directories = vec![place.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let is_directory = entry.file_type()?.is_dir();
            match (entry.file_name() == ".git", is_directory) {
                (true, true) => trees::remove(&entry.path())?,
                (true, false) => std::fs::remove_file(entry.path())?,
                (false, true) => directories.push(entry.path()),
                (false, false) => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_files() {
        for (source, want) in [
            ("https://host/a/repo.git", true),
            ("https://host/a/repo.git#main:dir", true),
            ("https://host/a/file.tar.gz", false),
            ("git@host:a/repo", true),
            ("git://host/repo", true),
            ("ssh://git@host/repo", true),
            ("a:b", false),
            ("dir/file.git", false),
            ("-x@host:y", false),
        ] {
            assert_eq!(is_repository(source), want, "{source}");
        }
    }

    struct Lent;

    impl SshAgent for Lent {
        fn socket(&self) -> PathBuf {
            "/lent".into()
        }
    }

    #[test]
    fn git_has_neither_passwords_nor_keys_of_the_daemon() {
        for (name, agent, socket) in
            [("no agent", None, None), ("an agent", Some(&Lent as &dyn SshAgent), Some("/lent"))]
        {
            let command = Git { place: Path::new("/"), agent }.command(&["fetch"]);
            // `Some(None)`: taken out of what the daemon has
            let set = |variable: &str| {
                let mut all = command.as_std().get_envs();
                all.find(|(key, _)| *key == variable).map(|(_, value)| value.and_then(|value| value.to_str()))
            };
            assert_eq!(set("SSH_AUTH_SOCK"), Some(socket), "{name}");
            assert_eq!(set("HOME"), Some(Some("/dev/null")), "{name}: no .netrc there");
            assert_eq!(set("GIT_ASKPASS"), Some(Some("")), "{name}");
            assert_eq!(set("GIT_ALLOW_PROTOCOL"), Some(Some("http:https:git:ssh")), "{name}");
            assert!(set("GIT_SSH_COMMAND").flatten().is_some_and(|ssh| ssh.contains("IdentityFile=none")));
            let mut arguments = command.as_std().get_args();
            assert!(arguments.any(|argument| argument == "credential.helper="), "{name}");
        }
    }

    #[tokio::test]
    async fn a_server_that_never_ends_to_speak_fills_no_memory() {
        let (chatter, reason) = (vec![b'x'; 10 * MOST_SAID], b"fatal: no such repository".as_slice());
        let kept = last_of(chatter.as_slice().chain(reason)).await.unwrap();
        assert_eq!(kept.len(), MOST_SAID);
        assert!(kept.ends_with(reason));
        assert_eq!(last_of(reason).await.unwrap(), reason);
    }

    #[test]
    fn a_commit_must_be_the_one_that_was_named() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join(".git")).unwrap();
        std::fs::write(place.path().join(".git/HEAD"), "0a1b2c\n").unwrap();
        let repository = Repository::parse("https://h/r.git#v1").unwrap();
        for (commit, want) in [
            ("", Ok(())),
            ("0a1b", Ok(())),
            ("0a1b2c", Ok(())),
            ("ff", Err("expected checksum to match ff, got 0a1b2c".to_owned())),
        ] {
            assert_eq!(repository.clone().at_commit(commit).check_commit(place.path()), want, "{commit}");
        }
    }

    #[test]
    fn the_parts_of_an_address() {
        for (source, remote, reference, directory) in [
            ("https://h/r.git", "https://h/r.git", "", ""),
            ("https://h/r.git#v1:docs/x", "https://h/r.git", "v1", "docs/x"),
            ("git@h:r.git#:docs", "git@h:r.git", "", "docs"),
            ("https://h/r.git##ref=v1,subdir=d", "https://h/r.git", "v1", "d"),
            ("https://h/r.git?ref=v1&subdir=a%2Fb", "https://h/r.git", "v1", "a/b"),
            ("https://h/r.git?tag=v1", "https://h/r.git", "refs/tags/v1", ""),
            ("https://h/r.git?branch=b&commit=0a", "https://h/r.git", "refs/heads/b", ""),
            ("https://h/r.git?checksum=0a1b", "https://h/r.git", "0a1b", ""),
            ("https://h/r.git?token=x#v1", "https://h/r.git?token=x", "v1", ""),
        ] {
            let got = Repository::parse(source).unwrap();
            assert_eq!(
                (got.remote.as_str(), got.reference.as_str(), got.directory.as_str()),
                (remote, reference, directory),
                "{source}"
            );
        }
        for bad in [
            "https://h/r.git#--upload-pack=x",
            "https://h/r.git?ref=--upload-pack",
            "https://h/r.git##x=1",
            "--x",
        ] {
            assert!(Repository::parse(bad).is_err(), "{bad}");
        }
    }
}
