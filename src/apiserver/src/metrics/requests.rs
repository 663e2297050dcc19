//! Of requests for objects: how many, how long, how large.
//!
//! What is counted of a request costs a look into a table that nobody locks, and some atomic additions. The table has a line for
//! each verb on each resource that is served and somebody has asked for, never for a name that a client made up.

use crate::patch_body::APPLY_YAML;
use crate::request::Request;
use crate::request_info::RequestInfo;
use api::Gvr;
use arc_swap::ArcSwap;
use cluster::Target;
use cluster::metrics::{Exposition, Histogram, exponential};
use kinds::{Registry, Subresource};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Seconds.
static DURATIONS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
    20.0, 30.0, 45.0, 60.0,
];
/// Seconds; the promise is made of longer ones.
static SLI: [f64; 21] = [
    0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
/// Bytes.
static SIZES: [f64; 7] = exponential(1000.0, 10.0);

/// What we answer, in order; a backend behind a proxy may say others.
const CODES: [u16; 28] = [
    101, 200, 201, 202, 204, 301, 302, 304, 307, 400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422, 429,
    431, 500, 501, 502, 503, 504, 507,
];

/// What a request is counted under, but for its code and whether it was a dry run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Labels {
    /// As upstream reports it: `LIST`, `POST`, `APPLY`, …
    pub(crate) verb: &'static str,
    gvr: Gvr,
    subresource: &'static str,
    /// `cluster`, `namespace` or `resource`.
    scope: &'static str,
}

impl Labels {
    /// Kinds that nobody serves are one: a client could make up any number of names.
    pub(crate) fn of(verb: &'static str, info: &RequestInfo, registry: &Registry) -> Self {
        let unknown = Labels { verb, gvr: Gvr::new("", "", ""), subresource: "", scope: "" };
        let version = registry.by_gvr(&info.gvr);
        let served = version.as_ref().map(|version| version.info()).or_else(|| registry.computed(&info.gvr));
        let Some(served) = served else { return unknown };
        let subresource = match info.subresource.as_deref().map(Subresource::named) {
            None => "",
            Some(Some(part)) if served.has_subresource(part) => part.name(),
            Some(_) => return unknown,
        };
        let scope = match verb {
            "POST" => "resource",
            _ => scope(info.namespace.as_deref(), info.name.as_deref()),
        };
        Labels { verb, gvr: served.gvr.clone(), subresource, scope }
    }

    fn of_watch(target: &Target) -> Self {
        let scope = scope(target.namespace.as_deref(), target.name.as_deref());
        Labels { verb: "WATCH", gvr: target.version.info().gvr.clone(), subresource: "", scope }
    }

    /// Upstream's `CleanVerb`, of the verb that is authorised.
    pub(crate) fn verb(verb: &str, info: &RequestInfo, request: &Request) -> &'static str {
        if matches!(info.subresource.as_deref(), Some("attach" | "exec" | "portforward" | "proxy")) {
            return "CONNECT";
        }
        match verb {
            "get" => "GET",
            "list" => "LIST",
            "watch" => "WATCH",
            "create" => "POST",
            "update" => "PUT",
            "patch" if request.media_type() == APPLY_YAML => "APPLY",
            "patch" => "PATCH",
            "delete" => "DELETE",
            "deletecollection" => "DELETECOLLECTION",
            _ => "other",
        }
    }

    fn list(&self) -> Vec<(&str, &str)> {
        vec![
            ("component", "apiserver"),
            ("group", &*self.gvr.group),
            ("resource", &*self.gvr.resource),
            ("scope", self.scope),
            ("subresource", self.subresource),
            ("verb", self.verb),
            ("version", &*self.gvr.version),
        ]
    }
}

fn scope(namespace: Option<&str>, name: Option<&str>) -> &'static str {
    match (namespace, name) {
        (_, Some(_)) => "resource",
        (Some(_), None) => "namespace",
        (None, None) => "cluster",
    }
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answered {
    pub(crate) code: u16,
    pub(crate) is_dry_run: bool,
    /// Until there was an answer. `None` of one that goes on for as long as its client wants.
    pub(crate) took: Option<Duration>,
    /// Of that, for its turn and for admission webhooks.
    pub(crate) waited: Duration,
    /// Bytes, where they are known.
    pub(crate) size: Option<u64>,
}

/// All requests of a verb on a resource.
struct Series {
    real: Counted,
    dry_runs: OnceLock<Box<Counted>>,
    sli: Histogram,
    sizes: Histogram,
    watches: AtomicU64,
}

struct Counted {
    by_code: [AtomicU64; CODES.len()],
    by_other_code: Mutex<BTreeMap<u16, u64>>,
    durations: Histogram,
}

impl Default for Series {
    fn default() -> Self {
        Series {
            real: Counted::default(),
            dry_runs: OnceLock::new(),
            sli: Histogram::new(&SLI),
            sizes: Histogram::new(&SIZES),
            watches: AtomicU64::new(0),
        }
    }
}

impl Default for Counted {
    fn default() -> Self {
        Counted {
            by_code: Default::default(),
            by_other_code: Mutex::default(),
            durations: Histogram::new(&DURATIONS),
        }
    }
}

impl Counted {
    fn count(&self, answered: &Answered) {
        match CODES.binary_search(&answered.code) {
            Ok(index) => {
                self.by_code[index].fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                let mut others = self.by_other_code.lock();
                *others.entry(answered.code).or_default() += 1;
            }
        }
        if let Some(took) = answered.took {
            self.durations.observe_time(took);
        }
    }

    fn codes(&self) -> Vec<(u16, u64)> {
        let known = CODES.iter().zip(&self.by_code);
        let known = known.map(|(code, count)| (*code, count.load(Ordering::Relaxed)));
        let others = self.by_other_code.lock();
        let all = known.chain(others.iter().map(|(code, count)| (*code, *count)));
        all.filter(|(_, count)| *count > 0).collect()
    }
}

impl Series {
    /// With what the label `dry_run` says.
    fn counted(&self) -> impl Iterator<Item = (&'static str, &Counted)> {
        [("", &self.real)].into_iter().chain(self.dry_runs.get().map(|counted| ("All", &**counted)))
    }
}

#[derive(Default)]
pub(crate) struct Requests {
    series: ArcSwap<HashMap<Labels, Arc<Series>>>,
    reading: AtomicU64,
    mutating: AtomicU64,
}

/// Counts for as long as it lives.
pub(crate) struct Watching(Arc<Series>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts for as long as it lives.
pub(crate) struct InFlight<'a>(&'a AtomicU64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Requests {
    pub(crate) fn count(&self, labels: &Labels, answered: &Answered) {
        let series = self.series(labels);
        let counted = match answered.is_dry_run {
            false => &series.real,
            true => &**series.dry_runs.get_or_init(Box::default),
        };
        counted.count(answered);
        if let Some(took) = answered.took {
            series.sli.observe_time(took.saturating_sub(answered.waited));
        }
        if let Some(size) = answered.size.filter(|_| matches!(labels.verb, "GET" | "LIST")) {
            series.sizes.observe(size as f64);
        }
    }

    pub(crate) fn watching(&self, target: &Target) -> Watching {
        let series = self.series(&Labels::of_watch(target));
        series.watches.fetch_add(1, Ordering::Relaxed);
        Watching(series)
    }

    /// Of one that is answered and is over then.
    pub(crate) fn in_flight(&self, is_read: bool) -> InFlight<'_> {
        let count = if is_read { &self.reading } else { &self.mutating };
        count.fetch_add(1, Ordering::Relaxed);
        InFlight(count)
    }

    fn series(&self, labels: &Labels) -> Arc<Series> {
        if let Some(known) = self.series.load().get(labels) {
            return known.clone();
        }
        self.series.rcu(|all| {
            let mut all = (**all).clone();
            all.entry(labels.clone()).or_default();
            all
        });
        self.series.load().get(labels).cloned().unwrap_or_default()
    }

    pub(super) fn collect(&self, out: &mut Exposition) {
        let all = self.series.load_full();
        let mut all: Vec<(&Labels, &Arc<Series>)> = all.iter().collect();
        all.sort_by_key(|(labels, _)| *labels);
        let name = "apiserver_request_total";
        out.metric(name, "counter", "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.");
        for (labels, series) in &all {
            for (dry_run, counted) in series.counted() {
                for (code, count) in counted.codes() {
                    let (code, mut labels) = (code.to_string(), labels.list());
                    labels.extend([("code", code.as_str()), ("dry_run", dry_run)]);
                    out.value(name, &labels, count, None);
                }
            }
        }
        let durations = all.iter().flat_map(|(labels, series)| {
            series.counted().map(move |(dry_run, counted)| {
                let mut labels = labels.list();
                labels.push(("dry_run", dry_run));
                (labels, &counted.durations)
            })
        });
        out.histograms(
            "apiserver_request_duration_seconds",
            "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
            durations.filter(|(_, durations)| !durations.is_empty()),
        );
        let histograms: [(&str, &str, fn(&Series) -> &Histogram); 2] = [
            (
                "apiserver_request_sli_duration_seconds",
                "Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component.",
                |series| &series.sli,
            ),
            (
                "apiserver_response_sizes",
                "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.",
                |series| &series.sizes,
            ),
        ];
        for (name, help, of) in histograms {
            let each = all.iter().map(|(labels, series)| (labels.list(), of(series)));
            out.histograms(name, help, each.filter(|(_, histogram)| !histogram.is_empty()));
        }
        let name = "apiserver_longrunning_requests";
        out.metric(name, "gauge", "Watches that are open.");
        for (labels, series) in all.iter().filter(|(labels, _)| labels.verb == "WATCH") {
            out.value(name, &labels.list(), series.watches.load(Ordering::Relaxed), None);
        }
        let name = "apiserver_current_inflight_requests";
        out.metric(name, "gauge", "Number of requests that are being answered now, per request kind.");
        for (kind, count) in [("mutating", &self.mutating), ("readOnly", &self.reading)] {
            out.value(name, &[("request_kind", kind)], count.load(Ordering::Relaxed), None);
        }
    }
}

#[cfg(test)]
mod tests;
