//! `--filter`, as `ps`, `images`, `events`, networks and volumes know it.

use crate::record::Record;
use crate::refusal::{Refusal, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

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
            Some(name) => Err(Refusal::bad(format_args!("invalid filter '{name}'"))),
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
            Some(other) => Err(Refusal::bad(format_args!("invalid filter '{name}=[{other}]'"))),
        }
    }

    /// `label=name` and `label=name=value`, all of them; `label!=…`, none of them.
    pub(crate) fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let fits = |wanted: &String| match wanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|v| v == value),
            None => labels.contains_key(wanted),
        };
        self.values("label").iter().all(fits) && !self.values("label!").iter().any(fits)
    }

    /// What `docker ps` shows.
    pub(crate) fn container(&self, record: &Record, image_names: &[String]) -> bool {
        let health = record.health.as_ref().map_or("none", |health| health.status);
        self.labels(&record.config.labels)
            && self.any("id", |id| record.id.starts_with(id))
            && self.any("name", |name| contains(&record.name, name))
            && self.any("status", |status| record.status() == status)
            && self.any("exited", |code| record.ended().is_some_and(|e| e.code.to_string() == code))
            && self.any("health", |wanted| wanted == health)
            && self.any("network", |wanted| record.networks.keys().any(|name| name == wanted))
            && self.any("ancestor", |wanted| is_of(record, image_names, wanted))
            && self.any("volume", |wanted| {
                record.mounts.iter().any(|m| m.name == wanted || m.target.to_str() == Some(wanted))
            })
            && self.any("publish", |wanted| publishes(record, wanted))
            && self.any("expose", |wanted| {
                record.config.exposed_ports.keys().any(|port| same_port(port, wanted))
            })
    }
}

/// Docker matches a pattern; what people write is a part of the name, perhaps with `^` and `$`.
pub(crate) fn contains(name: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_start_matches('/');
    match (wanted.strip_prefix('^').map(|w| w.trim_start_matches('/')), wanted.strip_suffix('$')) {
        (Some(start), Some(_)) => start.strip_suffix('$') == Some(name),
        (Some(start), None) => name.starts_with(start),
        (None, Some(end)) => name.ends_with(end),
        (None, None) => name.contains(wanted),
    }
}

fn is_of(record: &Record, image_names: &[String], wanted: &str) -> bool {
    let id = record.image.trim_start_matches("sha256:");
    record.config.image == wanted
        || (wanted.len() > 3 && id.starts_with(wanted.trim_start_matches("sha256:")))
        || image_names.iter().any(|name| name == wanted || name.strip_suffix(":latest") == Some(wanted))
}

fn publishes(record: &Record, wanted: &str) -> bool {
    record.host.port_bindings.iter().any(|(port, bindings)| {
        same_port(port, wanted) || bindings.iter().flatten().any(|b| b.host_port == wanted)
    })
}

fn same_port(port: &str, wanted: &str) -> bool {
    port == wanted || port.strip_suffix("/tcp") == Some(wanted)
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
        let mut job = record("job");
        end(&mut job, 3);
        let names = ["kubia:latest".to_owned()];
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
            (r#"{"ancestor": ["kubia"]}"#, true, true),
            (r#"{"network": ["bridge"]}"#, true, false),
            (r#"{"id": ["web0"]}"#, true, false),
            (r#"{"health": ["none"]}"#, true, true),
        ] {
            let filters = filters(text);
            assert_eq!(
                (filters.container(&web, &names), filters.container(&job, &names)),
                (of_web, of_job),
                "{text}"
            );
        }
        assert!(filters(r#"{"what": ["x"]}"#).check(&["name"]).is_err());
        assert!(filters(r#"{"dangling": ["maybe"]}"#).truth("dangling").is_err());
    }
}
