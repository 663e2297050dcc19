//! `docker build --call=outline` and `--call=targets`: what a Dockerfile may be given, and which stages it has.

use super::instruction::{self, Instruction, Step};
use super::lines;
use super::plan::{Plan, Stage, plan};
use super::runmount::{self, Kind};
use super::{BuildError, BuildOptions};
use crate::store::ImageStore;
use cri::blocking;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use tokio_util::sync::CancellationToken;

/// What the build of a stage takes of its client.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outline {
    pub name: String,
    pub description: String,
    pub args: Vec<OutlineItem>,
    pub secrets: Vec<OutlineItem>,
    pub ssh: Vec<OutlineItem>,
    /// Directories that are kept between builds.
    pub caches: Vec<OutlineItem>,
}

/// One of them, where it is named first.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlineItem {
    pub name: String,
    pub description: String,
    /// Of an ARG, where it has one.
    pub value: Option<String>,
    /// There is no build without it.
    pub required: bool,
    pub lines: RangeInclusive<usize>,
}

/// A stage that may be a target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetStage {
    /// Empty where it has none.
    pub name: String,
    pub description: String,
    /// As written.
    pub base: String,
    pub platform: String,
    /// It is what a build makes that names no target.
    pub is_default: bool,
    pub lines: RangeInclusive<usize>,
}

impl ImageStore {
    /// What the target of `options` can be given.
    ///
    /// # Errors
    /// The Dockerfile can not be read, there is no such target, or nobody waits any more.
    pub async fn outline_dockerfile(
        &self,
        text: &str,
        options: &BuildOptions,
    ) -> Result<Outline, BuildError> {
        understood(text, options, outline).await
    }

    /// The stages of a Dockerfile.
    ///
    /// # Errors
    /// As [`ImageStore::outline_dockerfile`].
    pub async fn dockerfile_targets(
        &self,
        text: &str,
        options: &BuildOptions,
    ) -> Result<Vec<TargetStage>, BuildError> {
        understood(text, options, |text, planned, _| Ok(targets(text, planned))).await
    }
}

async fn understood<T: Send + 'static>(
    text: &str,
    options: &BuildOptions,
    answer: fn(&str, &Plan, &BuildOptions) -> Result<T, BuildError>,
) -> Result<T, BuildError> {
    let gone = CancellationToken::new();
    let _left = gone.clone().drop_guard();
    let (text, options) = (text.to_owned(), options.clone());
    blocking(move || {
        let planned = plan(&text, &options, &gone)?;
        answer(&text, &planned, &options)
    })
    .await
}

fn targets(text: &str, planned: &Plan) -> Vec<TargetStage> {
    let comments = Comments(text.lines().collect());
    let last = planned.stages.len().saturating_sub(1);
    let stages = planned.stages.iter().enumerate();
    let target = |(number, stage): (usize, &Stage)| {
        let Instruction::From { image, platform, .. } = &stage.from.instruction else { return None };
        let name = stage.name.clone().unwrap_or_default();
        Some(TargetStage {
            description: comments.of(&name, stage.from.line),
            name,
            base: image.clone(),
            platform: platform.clone().unwrap_or_default(),
            is_default: number == last,
            lines: stage.from.line..=stage.from.last_line,
        })
    };
    stages.filter_map(target).collect()
}

fn outline(text: &str, planned: &Plan, options: &BuildOptions) -> Result<Outline, BuildError> {
    let comments = Comments(text.lines().collect());
    let needed = planned.needed.iter().filter_map(|number| planned.stages.get(*number));
    let needed: Vec<&Stage> = needed.collect();
    let mut outline = Outline::default();
    if let Some(target) = needed.last() {
        outline.name = target.name.clone().unwrap_or_default();
        outline.description = comments.of(&outline.name, target.from.line);
    }
    let global = global_args(text)?;
    let steps = global.iter().chain(needed.iter().flat_map(|stage| &stage.steps));
    let mut known = BTreeSet::new();
    for step in steps {
        match &step.instruction {
            Instruction::Arg(named) => {
                for (name, default) in named {
                    let given = options.args.get(name).cloned().flatten();
                    let value =
                        given.or_else(|| default.clone()).or_else(|| planned.global.get(name).cloned());
                    if known.insert(("arg", name.clone())) {
                        let description = comments.of(name, step.line);
                        outline.args.push(OutlineItem { value, ..item(name, description, step) });
                    }
                }
            }
            Instruction::Run(run) => {
                let mounts = run.mounts.iter().filter_map(|mount| runmount::parse(mount).ok());
                for mount in mounts {
                    let target = mount.target.unwrap_or_default();
                    let base = target.rsplit('/').next().unwrap_or_default().to_owned();
                    let (kind, name, list) = match mount.kind {
                        Kind::Secret => ("secret", mount.id.unwrap_or(base), &mut outline.secrets),
                        Kind::Ssh => {
                            ("ssh", mount.id.unwrap_or_else(|| "default".to_owned()), &mut outline.ssh)
                        }
                        Kind::Cache => ("cache", mount.id.unwrap_or(target), &mut outline.caches),
                        Kind::Bind | Kind::Tmpfs => continue,
                    };
                    if known.insert((kind, name.clone())) {
                        let required = mount.required;
                        list.push(OutlineItem { required, ..item(&name, String::new(), step) });
                    }
                }
            }
            _ => {}
        }
    }
    Ok(outline)
}

fn item(name: &str, description: String, step: &Step) -> OutlineItem {
    OutlineItem {
        name: name.to_owned(),
        description,
        value: None,
        required: false,
        lines: step.line..=step.last_line,
    }
}

/// Those before the first FROM.
fn global_args(text: &str) -> Result<Vec<Step>, BuildError> {
    let lines = lines::parse(text)?;
    let before = lines.lines.iter().take_while(|line| !line.keyword.eq_ignore_ascii_case("FROM"));
    before.map(|line| instruction::parse(line, lines.escape)).collect()
}

/// All lines of a Dockerfile.
struct Comments<'t>(Vec<&'t str>);

impl Comments<'_> {
    /// What the comment right above the line says of a name: the rest of its first line that begins with it.
    fn of(&self, name: &str, line: usize) -> String {
        let above = self.0.get(..line.saturating_sub(1)).unwrap_or_default();
        let comments = above.iter().rev().map_while(|line| line.trim_start().strip_prefix('#'));
        let said = comments.filter_map(|comment| comment.trim().strip_prefix(name)?.strip_prefix(' '));
        match name {
            "" => String::new(),
            _ => said.last().unwrap_or_default().trim().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    const TEXT: &str = "# V is the version\nARG V=1\n\n# base has the tools\n# and more\nFROM alpine:$V AS base\n\
        # P is a port\nARG P\nARG V\nRUN --mount=type=secret,id=npm,required=true --mount=type=ssh x\n\
        FROM scratch AS unused\nARG NOT\nFROM --platform=linux/amd64 base AS App\nARG P=80\n\
        RUN --mount=type=cache,target=/root/.cache --mount=type=secret,target=/run/key \\\n  y\n";

    #[tokio::test]
    async fn what_a_target_takes() {
        let here = store();
        let shown = |items: &[OutlineItem]| -> Vec<String> {
            let line = |item: &OutlineItem| {
                let OutlineItem { name, description, value, required, lines } = item;
                let value = value.as_deref().unwrap_or("-");
                format!("{name}|{description}|{value}|{required}|{}-{}", lines.start(), lines.end())
            };
            items.iter().map(line).collect()
        };
        let of = |target: &str| {
            let args = [("P".to_owned(), Some("9".to_owned()))].into();
            BuildOptions { target: target.to_owned(), args, ..BuildOptions::default() }
        };
        let all = here.store.outline_dockerfile(TEXT, &of("")).await.unwrap();
        assert_eq!((all.name.as_str(), all.description.as_str()), ("app", ""));
        assert_eq!(shown(&all.args), ["V|is the version|1|false|2-2", "P|is a port|9|false|8-8"]);
        assert_eq!(shown(&all.secrets), ["npm||-|true|10-10", "key||-|false|15-16"]);
        assert_eq!(shown(&all.ssh), ["default||-|false|10-10"]);
        assert_eq!(shown(&all.caches), ["/root/.cache||-|false|15-16"]);
        let base = here.store.outline_dockerfile(TEXT, &of("base")).await.unwrap();
        assert_eq!((base.name.as_str(), base.description.as_str()), ("base", "has the tools"));
        assert!(base.caches.is_empty() && base.secrets.len() == 1);
        let why = here.store.outline_dockerfile(TEXT, &of("none")).await.unwrap_err();
        assert_eq!(why.to_string(), "target stage \"none\" could not be found");
    }

    #[tokio::test]
    async fn the_stages_of_a_dockerfile() {
        let here = store();
        let found = here.store.dockerfile_targets(TEXT, &BuildOptions::default()).await.unwrap();
        let shown = found.iter().map(|stage| {
            let TargetStage { name, description, base, platform, is_default, lines } = stage;
            format!("{name}|{description}|{base}|{platform}|{is_default}|{}", lines.start())
        });
        let want = [
            "base|has the tools|alpine:$V||false|6",
            "unused||scratch||false|11",
            "app||base|linux/amd64|true|13",
        ];
        assert_eq!(shown.collect::<Vec<_>>(), want);
    }
}
