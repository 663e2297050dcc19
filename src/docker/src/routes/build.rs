//! `docker build`, the classic way.

use super::images::told_or_refused;
use super::registry::{Auth, decode};
use crate::build::Runner;
use crate::error::{ApiError, Result};
use crate::filters::Filters;
use crate::model::{Limits, Ulimit};
use crate::plan;
use crate::progress::Lines;
use crate::request::{ApiRequest, ApiResponse, Query, json};
use crate::step_containers::StepContainers;
use cri::{Credentials, blocking};
use image::{
    BuildContext, BuildError, BuildOptions, BuildOutput, Channel, Classic, PullEvent, Removal, RunSettings,
    registry_domain,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json as value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn build(request: ApiRequest) -> ApiResponse {
    if request.query.get("version") == Some("2") {
        return super::buildkit::build(request).await;
    }
    let options = options(&request)?;
    let (quiet, removal) = (request.query.flag("q"), removal(&request.query));
    let engine = request.engine.clone();
    let context = match request.query.get("remote").filter(|remote| *remote != "client-session") {
        Some(url) => BuildContext::Url(url.to_owned()),
        None => BuildContext::Tar(Box::new(request.into_reader())),
    };
    told_or_refused(move |lines| async move {
        let runner = Arc::new(Runner::shown(
            engine.config.clone(),
            engine.runtime.clone(),
            StepContainers::of(&engine, removal),
        ));
        let output = Arc::new(Screen { lines: lines.clone(), kept: quiet.then(Mutex::default) });
        let screen = Arc::new(Classic::removing(output.clone(), removal));
        match engine.images.build(context, options, runner, screen.clone()).await {
            Ok(built) => {
                let id = &built.image.id;
                screen.built(&built.image);
                output.built(id);
                engine.events.built(&engine.images, id, &built.image.repo_tags);
                Ok(())
            }
            Err(error) => {
                output.failed();
                match error {
                    BuildError::Run { command, code } => {
                        lines.fail_with(code, &BuildError::Run { command, code }.to_string());
                        Ok(())
                    }
                    error => Err(error.into()),
                }
            }
        }
    })
    .await
}

/// Docker's default is the one of `docker build`.
fn removal(query: &Query) -> Removal {
    match (query.flag("forcerm"), query.get("rm").is_none() || query.flag("rm")) {
        (true, _) => Removal::All,
        (false, true) => Removal::Successful,
        (false, false) => Removal::Nothing,
    }
}

/// What the client sees: all of it, or with `q` the id only, and the end of it after a failure.
struct Screen {
    lines: Lines,
    kept: Option<Mutex<Kept>>,
}

/// Bytes of output that are kept for the case of a failure: its reason is at the end.
const MOST_KEPT: usize = 1 << 20;

#[derive(Default)]
struct Kept {
    text: String,
    is_cut: bool,
}

impl Kept {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        if self.text.len() > 2 * MOST_KEPT {
            let surplus = self.text.len() - MOST_KEPT;
            let end = (surplus..).find(|at| self.text.is_char_boundary(*at)).unwrap_or(surplus);
            self.text.drain(..end);
            self.is_cut = true;
        }
    }
}

impl Screen {
    fn built(&self, id: &str) {
        if self.kept.is_some() {
            self.lines.say(&value!({"stream": format!("{id}\n")}));
        }
    }

    fn failed(&self) {
        let Some(kept) = &self.kept else { return };
        let kept = kept.lock();
        if kept.is_cut {
            self.lines.say(&value!({"stream": "[output clipped, this is its end]\n"}));
        }
        if !kept.text.is_empty() {
            self.lines.say(&value!({"stream": kept.text}));
        }
    }
}

impl BuildOutput for Screen {
    fn write(&self, channel: Channel, bytes: &[u8]) {
        match &self.kept {
            None => self.lines.write(channel, bytes),
            Some(kept) => kept.lock().push(&String::from_utf8_lossy(bytes)),
        }
    }

    fn stage(&self, image: &str) {
        if self.kept.is_none() {
            self.lines.say(&value!({"aux": {"ID": image}}));
        }
    }

    fn pull(&self, event: &PullEvent) {
        if self.kept.is_none() {
            self.lines.pull(event);
        }
    }
}

fn options(request: &ApiRequest) -> Result<BuildOptions> {
    let query = &request.query;
    if query.flag("squash") {
        return Err(ApiError::bad("squash is only supported with experimental mode"));
    }
    if query.all("securityopt").any(|option| !option.is_empty()) {
        let why = "The daemon on this platform does not support setting security options on build";
        return Err(ApiError::bad(why));
    }
    // what was built here is looked up wherever it came from: `cachefrom` has nothing to add, but is checked
    let _: Vec<String> = query.json("cachefrom")?;
    Ok(BuildOptions {
        dockerfile: query.get("dockerfile").unwrap_or_default().to_owned(),
        args: query.json("buildargs")?,
        target: query.get("target").unwrap_or_default().to_owned(),
        no_cache: query.flag("nocache"),
        pull: query.flag("pull"),
        labels: query.json("labels")?,
        tags: query.all("t").filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
        platform: query.get("platform").unwrap_or_default().to_owned(),
        credentials: Some(Arc::new(credentials(request.header("x-registry-config")))),
        run: settings(query)?,
        ..BuildOptions::default()
    })
}

/// How RUNs run.
fn settings(query: &Query) -> Result<RunSettings> {
    let limits = Limits {
        memory: query.number("memory")?.unwrap_or_default(),
        memory_swap: query.number("memswap")?.unwrap_or_default(),
        cpu_shares: query.number("cpushares")?.unwrap_or_default(),
        cpu_period: query.number("cpuperiod")?.unwrap_or_default(),
        cpu_quota: query.number("cpuquota")?.unwrap_or_default(),
        cpuset_cpus: query.get("cpusetcpus").unwrap_or_default().to_owned(),
        cpuset_mems: query.get("cpusetmems").unwrap_or_default().to_owned(),
        ..Limits::default()
    };
    let ulimits: Vec<Ulimit> = query.json("ulimits")?;
    let extra_hosts = query.all("extrahosts").filter(|host| !host.is_empty()).map(str::to_owned);
    Ok(RunSettings {
        network: query.get("networkmode").map(str::to_owned),
        extra_hosts: extra_hosts.map(checked_host).collect::<Result<_>>()?,
        shm_size: query.number("shmsize")?.filter(|size| *size > 0),
        rlimits: ulimits.iter().map(plan::rlimit).collect(),
        resources: plan::resources(&limits),
    })
}

fn checked_host(host: String) -> Result<String> {
    match host.split_once([':', '=']) {
        Some((name, address)) if !name.is_empty() && !address.is_empty() => Ok(host),
        _ => Err(ApiError::bad(format_args!("bad format for add-host: {host:?}"))),
    }
}

/// `X-Registry-Config`: registry → what the client knows of it.
fn credentials(header: Option<&str>) -> BTreeMap<String, Vec<Credentials>> {
    let known: Option<BTreeMap<String, Auth>> =
        header.and_then(decode).and_then(|text| serde_json::from_slice(&text).ok());
    let known = known.unwrap_or_default().into_iter();
    known
        .filter_map(|(registry, auth)| {
            Some((registry_domain(&registry).to_owned(), vec![auth.credentials()?]))
        })
        .collect()
}

/// Which of the steps of builds that are no image of their own go.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pruned {
    All,
    /// What was made up to then.
    Before(Timestamp),
    Nothing,
}

impl Pruned {
    fn up_to(self, time: Timestamp) -> Pruned {
        match self {
            Pruned::All => Pruned::Before(time),
            Pruned::Before(asked) => Pruned::Before(asked.min(time)),
            Pruned::Nothing => Pruned::Nothing,
        }
    }
}

/// How many bytes may stay, where that is said.
///
/// # Errors
/// How much is to be free on the disk, which others decide as well.
fn kept(query: &Query) -> Result<Option<u64>> {
    let said = |name: &str| Ok::<_, ApiError>(query.number::<i64>(name)?.filter(|bytes| *bytes > 0));
    if said("min-free-space")?.is_some() {
        return Err(ApiError::bad(
            "pruning until so much is free is not offered: say how much stays (reserved-space) or how old what goes is \
             (until)",
        ));
    }
    let most = [said("keep-storage")?, said("reserved-space")?, said("max-used-space")?].into_iter().max();
    Ok(most.flatten().and_then(|bytes| u64::try_from(bytes).ok()))
}

/// # Errors
/// What would take more than was asked for.
fn pruned(query: &Query) -> Result<Pruned> {
    let filters: Filters = query.json("filters")?;
    filters.check(&["label", "label!", "until", "unused-for"])?;
    if filters.has("until") && filters.has("unused-for") {
        return Err(ApiError::bad("conflicting filters: \"until\" and \"unused-for\""));
    }
    let until = filters.until()?.or(filters.until_by("unused-for")?);
    // steps have no labels, as Docker's have none
    Ok(match filters.has("label") {
        true => Pruned::Nothing,
        false => until.map_or(Pruned::All, Pruned::Before),
    })
}

/// The steps of builds that are no image of their own.
pub(super) async fn prune(request: ApiRequest) -> ApiResponse {
    let (images, pruned) = (request.engine.images.clone(), pruned(&request.query)?);
    let keep = kept(&request.query)?;
    let pruned = blocking(move || {
        let pruned = match keep.map(|keep| buildkit::made_up_to(&buildkit::cached_steps(&images), keep)) {
            None => pruned,
            Some(None) => Pruned::Nothing,
            Some(Some(time)) => pruned.up_to(time),
        };
        match pruned {
            Pruned::All => images.prune_build_cache(),
            Pruned::Before(time) => images.prune_build_cache_before(time),
            Pruned::Nothing => Ok(image::Pruned::default()),
        }
    })
    .await?;
    json(
        &value!({"CachesDeleted": (!pruned.removed.is_empty()).then_some(pruned.removed), "SpaceReclaimed": pruned.freed}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_not_shown_the_end_is_kept() {
        let mut kept = Kept::default();
        kept.push("begun\n");
        assert!(!kept.is_cut && kept.text == "begun\n");
        for _ in 0..1000 {
            kept.push(&"ä".repeat(10_001));
            assert!(kept.text.len() <= 2 * MOST_KEPT);
        }
        kept.push("why it failed");
        assert!(kept.is_cut && kept.text.len() >= MOST_KEPT);
        assert!(kept.text.starts_with('ä') && kept.text.ends_with("äwhy it failed"));
    }

    #[test]
    fn which_containers_stay() {
        for (query, want) in [
            ("", Removal::Successful),
            ("rm=1", Removal::Successful),
            ("rm=0", Removal::Nothing),
            ("rm=0&forcerm=1", Removal::All),
            ("forcerm=true", Removal::All),
        ] {
            assert_eq!(removal(&Query::parse(query)), want, "{query}");
        }
    }

    #[test]
    fn no_more_is_pruned_than_was_asked_for() {
        let filters = |text: &str| format!("filters={}", text.replace('"', "%22"));
        let of_day = Pruned::Before("2024-01-02T00:00:00Z".parse().unwrap());
        for (query, want) in [
            (String::new(), Some(Pruned::All)),
            ("all=1&keep-storage=0".to_owned(), Some(Pruned::All)),
            (filters(r#"{"until":["2024-01-02"]}"#), Some(of_day)),
            (filters(r#"{"unused-for":["2024-01-02"]}"#), Some(of_day)),
            (filters(r#"{"unused-for":["1h"],"until":["1h"]}"#), None),
            (filters(r#"{"label!":{"a":true}}"#), Some(Pruned::All)),
            (filters(r#"{"label":{"a":true}}"#), Some(Pruned::Nothing)),
            (filters(r#"{"until":["soon"]}"#), None),
            (filters(r#"{"what":["x"]}"#), None),
            ("keep-storage=1000".to_owned(), Some(Pruned::All)),
        ] {
            assert_eq!(pruned(&Query::parse(&query)).ok(), want, "{query}");
        }
        for (query, want) in [
            ("", Some(None)),
            ("keep-storage=0", Some(None)),
            ("keep-storage=1000", Some(Some(1000))),
            ("reserved-space=5&max-used-space=7", Some(Some(7))),
            ("min-free-space=1", None),
            ("min-free-space=x", None),
        ] {
            assert_eq!(kept(&Query::parse(query)).ok(), want, "{query}");
        }
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        for (asked, want) in [
            (Pruned::All, Pruned::Before(at(5))),
            (Pruned::Before(at(3)), Pruned::Before(at(3))),
            (Pruned::Before(at(9)), Pruned::Before(at(5))),
            (Pruned::Nothing, Pruned::Nothing),
        ] {
            assert_eq!(asked.up_to(at(5)), want, "{asked:?}");
        }
    }

    #[test]
    fn how_the_commands_run() {
        let query = Query::parse(
            "networkmode=none&extrahosts=a%3A1.2.3.4&extrahosts=b%3Dhost-gateway&shmsize=1048576&memory=5000000\
             &ulimits=%5B%7B%22Name%22%3A%22nofile%22%2C%22Soft%22%3A10%2C%22Hard%22%3A-1%7D%5D",
        );
        let settings = settings(&query).unwrap();
        assert_eq!(settings.network.as_deref(), Some("none"));
        assert_eq!(settings.extra_hosts, ["a:1.2.3.4", "b=host-gateway"]);
        assert_eq!((settings.shm_size, settings.resources.memory_limit), (Some(1 << 20), Some(5_000_000)));
        assert_eq!((settings.rlimits[0].soft, settings.rlimits[0].hard), (10, u64::MAX));
        for bad in ["memory=x", "ulimits=1", "extrahosts=alone"] {
            assert!(super::settings(&Query::parse(bad)).is_err(), "{bad}");
        }
    }
}
