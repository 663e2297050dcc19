//! `--filter`, as `ps`, `images`, `events`, networks and volumes know it.

use crate::error::{ApiError, Result};
use crate::networks::Network;
use crate::record::Record;
use crate::timefilter::timestamp;
use jiff::Timestamp;
use regex::Regex;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Name → values; any of the values will do, except for labels, of which all must fit.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Filters(BTreeMap<String, Vec<String>>);

/// `{"name": {"value": true}}` since 1.22, `{"name": ["value"]}` before.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Set(BTreeMap<String, bool>),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Filters {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = Option::<BTreeMap<String, Values>>::deserialize(deserializer)?.unwrap_or_default();
        let values = |values| match values {
            Values::Set(set) => set.into_iter().filter(|(_, on)| *on).map(|(value, _)| value).collect(),
            Values::List(list) => list,
        };
        Ok(Filters(all.into_iter().map(|(name, given)| (name, values(given))).collect()))
    }
}

impl Filters {
    /// # Errors
    /// A filter that is not among `known`.
    pub(crate) fn check(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(ApiError::bad(format_args!("invalid filter '{name}'"))),
            None => Ok(()),
        }
    }

    pub(crate) fn values(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    /// True where nothing is asked of `name`, or one of the values fits.
    pub(crate) fn any(&self, name: &str, fits: impl Fn(&str) -> bool) -> bool {
        let values = self.values(name);
        values.is_empty() || values.iter().any(|value| fits(value))
    }

    /// `true` or `1`, `false` or `0`.
    pub(crate) fn truth(&self, name: &str) -> Result<Option<bool>> {
        match self.values(name).first().map(String::as_str) {
            None => Ok(None),
            Some("true" | "1" | "True" | "TRUE" | "t") => Ok(Some(true)),
            Some("false" | "0" | "False" | "FALSE" | "f") => Ok(Some(false)),
            Some(other) => Err(ApiError::bad(format_args!("invalid filter '{name}=[{other}]'"))),
        }
    }

    /// Before which point in time, if any is said. Several must all be fulfilled: the earliest.
    ///
    /// # Errors
    /// Neither a duration nor a point in time.
    pub(crate) fn until(&self) -> Result<Option<Timestamp>> {
        self.until_by("until")
    }

    /// The same, by another name.
    pub(crate) fn until_by(&self, name: &str) -> Result<Option<Timestamp>> {
        let bad = |text: &String| {
            ApiError::bad(format_args!(
                "invalid filter '{name}={text}': failed to parse value as time or duration: {text:?}"
            ))
        };
        let now = Timestamp::now();
        let each = self.values(name).iter().map(|text| timestamp(text, now).ok_or_else(|| bad(text)));
        Ok(each.collect::<Result<Vec<_>>>()?.into_iter().min())
    }

    /// `label=name` and `label=name=value`, all of them; `label!=…`, none of them.
    pub(crate) fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let fits = |wanted: &String| match wanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|v| v == value),
            None => labels.contains_key(wanted),
        };
        self.values("label").iter().all(fits) && !self.values("label!").iter().any(fits)
    }

    /// A network may be meant by its id, or the beginning of it; containers know them by name.
    pub(crate) fn name_networks(&mut self, networks: &[Network]) {
        let Some(wanted) = self.0.get_mut("network") else { return };
        let is_meant =
            |network: &&Network| wanted.iter().any(|id| !id.is_empty() && network.id.starts_with(id));
        let names: Vec<String> =
            networks.iter().filter(is_meant).map(|network| network.name.clone()).collect();
        wanted.extend(names);
    }

    /// What `docker ps` shows.
    pub(crate) fn container(&self, record: &Record, ancestors: &BTreeSet<String>) -> bool {
        let health = record.health.as_ref().map_or("none", |health| health.status);
        self.labels(&record.config.labels)
            && self.any("id", |id| record.id.starts_with(id))
            && self.any("name", |name| contains(&record.name, name))
            && self.any("status", |status| record.status() == status)
            && self.any("exited", |code| {
                let ended = record.ended().filter(|ended| ended.started_at.is_some());
                ended.is_some_and(|ended| ended.code.to_string() == code)
            })
            && self.any("health", |wanted| wanted == health)
            && self.any("network", |wanted| record.networks.keys().any(|name| name == wanted))
            && (!self.has("ancestor") || ancestors.contains(&record.image))
            && self.any("volume", |wanted| {
                record.mounts.iter().any(|m| {
                    let is_source = m.name.is_empty() && m.source.to_str() == Some(wanted);
                    is_source || m.name == wanted || m.target.to_str() == Some(wanted)
                })
            })
            && self.any("publish", |wanted| is_published(record, wanted))
            && self.any("expose", |wanted| is_exposed(record, wanted))
            && self.truth("is-task").ok().flatten() != Some(true)
    }

    /// # Errors
    /// A value that no container has.
    pub(crate) fn check_containers(&self) -> Result<()> {
        const STATES: &str = "created, running, paused, restarting, removing, exited, dead";
        const HEALTH: &str = "none, starting, healthy, unhealthy";
        for (name, what, known) in [("status", "state", STATES), ("health", "health", HEALTH)] {
            if let Some(value) =
                self.values(name).iter().find(|v| !known.split(", ").any(|k| k == v.as_str()))
            {
                return Err(ApiError::bad(format_args!(
                    "invalid filter '{name}={value}': invalid value for {what} ({value}): must be one of {known}"
                )));
            }
        }
        if let Some(code) = self.values("exited").iter().find(|code| code.parse::<i32>().is_err()) {
            return Err(ApiError::bad(format_args!(
                "invalid filter 'exited={code}': strconv.Atoi: parsing \"{code}\": invalid syntax"
            )));
        }
        for name in ["publish", "expose"] {
            if let Some(value) = self.values(name).iter().find(|value| ports(value).is_none()) {
                return Err(ApiError::bad(format_args!(
                    "error while looking up for {name} {value}: strconv.ParseUint: parsing \"{value}\": invalid syntax"
                )));
            }
        }
        self.truth("is-task").map(drop)
    }
}

/// Docker takes a regular expression; what is none is looked for as it is.
pub(crate) fn contains(name: &str, wanted: &str) -> bool {
    // names are shown, and so perhaps typed, with a slash
    let wanted = wanted.strip_prefix('/').unwrap_or(wanted).replacen("^/", "^", 1);
    Regex::new(&wanted).map_or_else(|_| name.contains(&wanted), |pattern| pattern.is_match(name))
}

/// `80`, `80/udp`, `8000-8090/tcp`
fn ports(text: &str) -> Option<(std::ops::RangeInclusive<u16>, &str)> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    Some((first.parse().ok()?..=last.parse().ok()?, protocol))
}

/// Ports of the machine that lead to it now.
fn is_published(record: &Record, wanted: &str) -> bool {
    let Some((numbers, protocol)) = ports(wanted).filter(|_| record.running().is_some()) else {
        return false;
    };
    record.host.port_bindings.iter().any(|(port, bindings)| {
        port.split_once('/').map_or("tcp", |(_, protocol)| protocol) == protocol
            && bindings
                .iter()
                .flatten()
                .any(|b| b.host_port.parse().is_ok_and(|number| numbers.contains(&number)))
    })
}

fn is_exposed(record: &Record, wanted: &str) -> bool {
    let Some((numbers, protocol)) = ports(wanted).filter(|_| record.running().is_some()) else {
        return false;
    };
    record.config.exposed_ports.keys().any(|port| {
        let (number, own) = port.split_once('/').unwrap_or((port, "tcp"));
        own == protocol && number.parse().is_ok_and(|number| numbers.contains(&number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{end, record, run};

    fn filters(text: &str) -> Filters {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_ps_shows() {
        let mut web = record("web");
        web.config.image = "kubia".into();
        web.config.labels = [("app".into(), "shop".into())].into();
        web.networks = [("bridge".into(), Default::default())].into();
        run(&mut web, None);
        let mount = |kind: &str, name: &str, source: &str, target: &str| {
            let said = serde_json::json!({
                "kind": kind, "name": name, "source": source, "target": target, "read_only": false,
                "propagation": "", "copy": false,
            });
            serde_json::from_value(said).unwrap()
        };
        web.mounts = vec![mount("volume", "data", "/volumes/data", "/srv"), mount("bind", "", "/mnt", "/m")];
        let networks = [Network { id: "b01dface".into(), ..Network::new("bridge", "bridge") }];
        let mut job = record("job");
        end(&mut job, 3);
        web.image = "sha256:kubia".into();
        web.config.exposed_ports = [("443/tcp".into(), serde_json::json!({}))].into();
        let binding = crate::model::PortBinding { host_port: "8081".into(), ..Default::default() };
        web.host.port_bindings = [("80/tcp".into(), Some(vec![binding]))].into();
        let ancestors = ["sha256:kubia".to_owned()].into();
        for (text, of_web, of_job) in [
            ("{}", true, true),
            (r#"{"status": {"running": true}}"#, true, false),
            (r#"{"status": ["exited"]}"#, false, true),
            (r#"{"exited": ["3"]}"#, false, true),
            (r#"{"name": ["we"]}"#, true, false),
            (r#"{"name": ["^/web$"]}"#, true, false),
            (r#"{"name": ["^eb"]}"#, false, false),
            (r#"{"label": ["app"]}"#, true, false),
            (r#"{"label": ["app=shop"]}"#, true, false),
            (r#"{"label": ["app=other"]}"#, false, false),
            (r#"{"ancestor": ["kubia"]}"#, true, false),
            (r#"{"name": ["w[aeb]+$"]}"#, true, false),
            (r#"{"name": ["/web"]}"#, true, false),
            (r#"{"publish": ["8081"]}"#, true, false),
            (r#"{"publish": ["8000-8090/tcp"]}"#, true, false),
            (r#"{"publish": ["80"]}"#, false, false),
            (r#"{"publish": ["8081/udp"]}"#, false, false),
            (r#"{"expose": ["443"]}"#, true, false),
            (r#"{"is-task": ["true"]}"#, false, false),
            (r#"{"is-task": ["false"]}"#, true, true),
            (r#"{"network": ["bridge"]}"#, true, false),
            (r#"{"network": ["b01d"]}"#, true, false),
            (r#"{"network": [""]}"#, false, false),
            (r#"{"volume": ["data"]}"#, true, false),
            (r#"{"volume": ["/srv"]}"#, true, false),
            (r#"{"volume": ["/mnt"]}"#, true, false),
            (r#"{"volume": ["/volumes/data"]}"#, false, false),
            (r#"{"id": ["web0"]}"#, true, false),
            (r#"{"health": ["none"]}"#, true, true),
        ] {
            let mut filters = filters(text);
            filters.name_networks(&networks);
            assert_eq!(
                (filters.container(&web, &ancestors), filters.container(&job, &ancestors)),
                (of_web, of_job),
                "{text}"
            );
        }
        for (text, want) in [
            (
                r#"{"status": ["x"]}"#,
                "invalid filter 'status=x': invalid value for state (x): must be one of created, ",
            ),
            (
                r#"{"health": ["x"]}"#,
                "invalid filter 'health=x': invalid value for health (x): must be one of none, ",
            ),
            (r#"{"exited": ["x"]}"#, "invalid filter 'exited=x': strconv.Atoi: "),
            (r#"{"publish": ["x"]}"#, "error while looking up for publish x: "),
            (r#"{"is-task": ["x"]}"#, "invalid filter 'is-task=[x]'"),
        ] {
            let said = filters(text).check_containers().unwrap_err().message;
            assert!(said.starts_with(want), "{text}: {said}");
        }
        let until = filters(r#"{"until": ["2024-01-02", "2024-01-01", "2024-01-03"]}"#).until().unwrap();
        assert_eq!(until.unwrap().to_string(), "2024-01-01T00:00:00Z", "all of them hold");
        assert!(filters(r#"{"until": ["2024-01-02", "soon"]}"#).until().is_err());
        assert!(filters(r#"{"what": ["x"]}"#).check(&["name"]).is_err());
        assert!(filters(r#"{"dangling": ["maybe"]}"#).truth("dangling").is_err());
    }
}
