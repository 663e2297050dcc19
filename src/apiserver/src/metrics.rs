//! `/metrics` in Prometheus' text format, under upstream's names.

use flowcontrol::Counts;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use store::Usage;

/// Verb, group, version, resource, subresource, code. All but the code come from what is served, so there are not many.
type Labels = (String, String, String, String, String, u16);

/// Of a priority level: name, type, help and value.
type OfLevel = (&'static str, &'static str, &'static str, fn(&Counts) -> u64);

const OF_LEVELS: [OfLevel; 8] = [
    (
        "apiserver_flowcontrol_dispatched_requests_total",
        "counter",
        "Requests that got their seats.",
        |counts| counts.dispatched,
    ),
    ("apiserver_flowcontrol_rejected_requests_total", "counter", "Requests that got none.", |counts| {
        counts.rejected
    }),
    ("apiserver_flowcontrol_current_inqueue_requests", "gauge", "Requests that wait for seats.", |counts| {
        counts.waiting as u64
    }),
    ("apiserver_flowcontrol_current_executing_seats", "gauge", "Seats that are taken.", |counts| {
        counts.seats_taken.into()
    }),
    ("apiserver_flowcontrol_nominal_limit_seats", "gauge", "Seats that are its own.", |counts| {
        counts.limits.nominal.into()
    }),
    ("apiserver_flowcontrol_lower_limit_seats", "gauge", "Seats that it never lends.", |counts| {
        counts.limits.lower.into()
    }),
    (
        "apiserver_flowcontrol_upper_limit_seats",
        "gauge",
        "Seats that it may have, if others lend them.",
        |counts| counts.limits.upper.into(),
    ),
    ("apiserver_flowcontrol_current_limit_seats", "gauge", "Seats that it could have now.", |counts| {
        counts.seats_available.into()
    }),
];

/// What is read again when its file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigFile {
    Authentication,
    Authorization,
}

/// How often, and when the last time, in seconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
struct Reloads {
    count: u64,
    last: f64,
}

#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<Labels, u64>>,
    watches: Arc<AtomicU64>,
    /// By file, and by whether it was good.
    reloads: Mutex<BTreeMap<(ConfigFile, bool), Reloads>>,
}

/// Counts for as long as it lives.
pub(crate) struct Watching(Arc<AtomicU64>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn count(&self, labels: Labels) {
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry(labels).or_default() += 1;
    }

    pub(crate) fn count_reload(&self, file: ConfigFile, is_in_force: bool) {
        let mut all = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        let reloads = all.entry((file, is_in_force)).or_default();
        reloads.count += 1;
        reloads.last = jiff::Timestamp::now().as_millisecond() as f64 / 1000.0;
    }

    pub(crate) fn watching(&self) -> Watching {
        self.watches.fetch_add(1, Ordering::Relaxed);
        Watching(self.watches.clone())
    }

    pub(crate) fn text(&self, levels: &[(Arc<str>, Counts)], stored: Usage) -> String {
        let mut out = String::new();
        head(
            &mut out,
            "apiserver_request_total",
            "counter",
            "Requests by what they asked for and how they were answered.",
        );
        for (labels, count) in self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let (verb, group, version, resource, subresource, code) = labels;
            let _ = writeln!(
                out,
                "apiserver_request_total{{code=\"{code}\",group=\"{group}\",resource=\"{resource}\",subresource=\"{subresource}\",verb=\"{verb}\",version=\"{version}\"}} {count}"
            );
        }
        head(&mut out, "apiserver_longrunning_requests", "gauge", "Watches that are open.");
        let _ = writeln!(
            out,
            "apiserver_longrunning_requests{{verb=\"WATCH\"}} {}",
            self.watches.load(Ordering::Relaxed)
        );
        for (name, kind, help, of) in OF_LEVELS {
            head(&mut out, name, kind, help);
            for (level, counts) in levels {
                let _ = writeln!(out, "{name}{{priority_level=\"{level}\"}} {}", of(counts));
            }
        }
        self.reloads_text(&mut out);
        // under etcd's names: alerts ask how much is left
        let in_use = ("etcd_mvcc_db_total_size_in_use_in_bytes", "What is stored takes of memory, about.");
        let quota = ("etcd_server_quota_backend_bytes", "What it may take; 0 for any amount.");
        for ((name, help), value) in [(in_use, stored.bytes), (quota, stored.quota.unwrap_or(0))] {
            head(&mut out, name, "gauge", help);
            let _ = writeln!(out, "{name} {value}");
        }
        if let Some(bytes) = resident() {
            head(&mut out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
            let _ = writeln!(out, "process_resident_memory_bytes {bytes}");
        }
        out
    }

    fn reloads_text(&self, out: &mut String) {
        let all = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        for (file, name) in
            [(ConfigFile::Authentication, "authentication"), (ConfigFile::Authorization, "authorization")]
        {
            let of_file = || {
                let known = [("failure", false), ("success", true)].into_iter();
                known.filter_map(|(status, is_in_force)| Some((status, all.get(&(file, is_in_force))?)))
            };
            let metric = format!("apiserver_{name}_config_controller_automatic_reloads_total");
            head(out, &metric, "counter", "Changes of the file, by whether it was good.");
            for (status, Reloads { count, .. }) in of_file() {
                let _ = writeln!(out, "{metric}{{status=\"{status}\"}} {count}");
            }
            let metric =
                format!("apiserver_{name}_config_controller_automatic_reload_last_timestamp_seconds");
            head(out, &metric, "gauge", "When the file was read again, by whether it was good.");
            for (status, Reloads { last, .. }) in of_file() {
                let _ = writeln!(out, "{metric}{{status=\"{status}\"}} {last}");
            }
        }
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// In kB in the kernel's words, whatever a page is.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowcontrol::Limits;

    #[test]
    fn what_was_counted_is_told() {
        let metrics = Metrics::default();
        let labels = || ("LIST".into(), String::new(), "v1".into(), "pods".into(), String::new(), 200);
        metrics.count(labels());
        metrics.count(labels());
        let watching = metrics.watching();
        let limits = Limits { nominal: 5, lower: 4, upper: 9 };
        let levels: [(Arc<str>, Counts); 1] =
            [("low".into(), Counts { waiting: 3, limits, ..Counts::default() })];
        let stored = Usage { bytes: 7, quota: Some(9), is_full: false };
        let text = metrics.text(&levels, stored);
        assert!(text.contains("\netcd_mvcc_db_total_size_in_use_in_bytes 7\n"), "{text}");
        assert!(text.contains("\netcd_server_quota_backend_bytes 9\n"), "{text}");
        assert!(
            text.contains("apiserver_flowcontrol_current_inqueue_requests{priority_level=\"low\"} 3\n"),
            "{text}"
        );
        for (limit, seats) in [("nominal", 5), ("lower", 4), ("upper", 9), ("current", 0)] {
            let line =
                format!("apiserver_flowcontrol_{limit}_limit_seats{{priority_level=\"low\"}} {seats}\n");
            assert!(text.contains(&line), "{text}");
        }
        for is_in_force in [true, false, true] {
            metrics.count_reload(ConfigFile::Authorization, is_in_force);
        }
        let told = metrics.text(&[], stored);
        for (status, count) in [("success", 2), ("failure", 1)] {
            let name = "apiserver_authorization_config_controller_automatic_reload";
            assert!(told.contains(&format!("{name}s_total{{status=\"{status}\"}} {count}\n")), "{told}");
            let last = format!("{name}_last_timestamp_seconds{{status=\"{status}\"}} ");
            let last = told.lines().find_map(|line| line.strip_prefix(&last)?.parse::<f64>().ok());
            assert!(last.is_some_and(|last| last > 1.0e9), "{told}");
        }
        assert!(!told.contains("\napiserver_authentication_config_controller_"), "{told}");
        let want = "apiserver_request_total{code=\"200\",group=\"\",resource=\"pods\",subresource=\"\",verb=\"LIST\",version=\"v1\"} 2\n";
        assert!(text.contains(want), "{text}");
        assert!(text.contains("apiserver_longrunning_requests{verb=\"WATCH\"} 1\n"), "{text}");
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
        drop(watching);
        assert!(metrics.text(&[], stored).contains("apiserver_longrunning_requests{verb=\"WATCH\"} 0\n"));
    }
}
