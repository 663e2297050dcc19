//! What a Dockerfile can take of its context: a client that sends the context from elsewhere need not send the rest.

use super::instruction::{CopyFiles, Instruction, Step};
use super::plan::{Base, plan};
use super::remote::is_remote;
use super::runmount::{self, Kind};
use super::{BuildOptions, NamedContext};
use crate::store::ImageStore;
use cri::blocking;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

impl ImageStore {
    /// Paths such that all that is taken lies at or below one of them, none where nothing is. `None` where it may be
    /// anything: a whole context is copied, a name is put together, a base image that is not here may have triggers.
    pub async fn context_paths(&self, dockerfile: &str, options: &BuildOptions) -> Option<Vec<String>> {
        let gone = CancellationToken::new();
        let _left = gone.clone().drop_guard();
        let (text, told) = (dockerfile.to_owned(), options.clone());
        let plan = blocking(move || plan(&text, &told, &gone)).await.ok()?;
        let mut paths = BTreeSet::new();
        for stage in plan.needed.iter().map(|number| &plan.stages[*number]) {
            if let Base::Image(name) = &stage.base
                && self.may_have_triggers(name, options)
            {
                return None;
            }
            for step in &stage.steps {
                for source in taken(step)? {
                    paths.insert(plain(&source)?);
                }
            }
        }
        Some(paths.into_iter().collect())
    }

    fn may_have_triggers(&self, name: &str, options: &BuildOptions) -> bool {
        let name = match options.named_contexts.get(name) {
            Some(NamedContext::Image(image)) => image.strip_prefix("docker-image://").unwrap_or(image),
            _ => name,
        };
        let known = if options.pull { None } else { self.details(name).ok() };
        known.is_none_or(|image| !image.document.config.on_build.is_empty())
    }
}

/// What a step takes of the context, as it says.
fn taken(step: &Step) -> Option<Vec<String>> {
    match &step.instruction {
        Instruction::Copy(CopyFiles { from: None, sources, is_add, .. }) => {
            let is_fetched = |source: &&String| *is_add && is_remote(source);
            Some(sources.iter().filter(|source| !is_fetched(source)).cloned().collect())
        }
        Instruction::Run(run) => {
            let mut sources = Vec::new();
            for mount in &run.mounts {
                let spec = runmount::parse(mount).ok()?;
                if spec.kind == Kind::Bind && spec.from.is_none() {
                    sources.push(spec.source?);
                }
            }
            Some(sources)
        }
        // it may be triggered by a stage that builds upon this one
        Instruction::OnBuild(_) => None,
        _ => Some(Vec::new()),
    }
}

/// A path without anything that has to be worked out; of one with a pattern, the directory above it.
fn plain(source: &str) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in source.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name if name.contains(['$', '\\', '`', '!']) => return None,
            name if name.contains(['*', '?', '[']) => break,
            name => names.push(name),
        }
    }
    (!names.is_empty()).then(|| names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    #[tokio::test]
    async fn only_what_is_taken_is_wanted() {
        let here = store();
        for (name, dockerfile, want) in [
            ("nothing", "FROM scratch\nENV A=1", Some(&[][..])),
            (
                "files",
                "FROM scratch\nCOPY ./a /b/../c d/ /\nADD e.tar https://x.y/z /",
                Some(&["a", "c", "d", "e.tar"]),
            ),
            ("a pattern", "FROM scratch\nCOPY src/*.c /", Some(&["src"])),
            ("all", "FROM scratch\nCOPY a . /", None),
            ("a pattern at the top", "FROM scratch\nCOPY *.c /", None),
            ("a variable", "FROM scratch\nARG X=a\nCOPY $X /", None),
            (
                "another stage",
                "FROM scratch AS a\nCOPY x /\nFROM scratch\nCOPY --from=a /x /y /",
                Some(&["x"]),
            ),
            ("a stage that is not made", "FROM scratch AS a\nCOPY . /\nFROM scratch\nCOPY x /", Some(&["x"])),
            (
                "a mount",
                "FROM scratch\nRUN --mount=type=bind,source=m,target=/m --mount=type=tmpfs,target=/t x",
                Some(&["m"]),
            ),
            ("a mount of all", "FROM scratch\nRUN --mount=target=/m x", None),
            ("a trigger", "FROM scratch\nONBUILD COPY . /", None),
            ("an image that is not here", "FROM nobody/knows:it\nCOPY x /", None),
            ("no Dockerfile", "COPY x /", None),
        ] {
            let want = want.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
            let paths = here.store.context_paths(dockerfile, &BuildOptions::default()).await;
            assert_eq!(paths, want, "{name}");
        }
    }
}
