//! Of the files that are read again when they change.

use cluster::metrics::Exposition;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// What is read again when its file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigFile {
    Authentication,
    Authorization,
}

/// How often, and when the last time, in seconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    count: u64,
    last: f64,
}

/// By file, and by whether it was good.
#[derive(Default)]
pub(super) struct Reloads(Mutex<BTreeMap<(ConfigFile, bool), Count>>);

impl Reloads {
    pub(super) fn count(&self, file: ConfigFile, is_in_force: bool) {
        let mut all = self.0.lock();
        let reloads = all.entry((file, is_in_force)).or_default();
        reloads.count += 1;
        reloads.last = jiff::Timestamp::now().as_millisecond() as f64 / 1000.0;
    }

    pub(super) fn collect(&self, out: &mut Exposition) {
        let all = self.0.lock();
        for (file, name) in
            [(ConfigFile::Authentication, "authentication"), (ConfigFile::Authorization, "authorization")]
        {
            let of_file = || {
                let known = [("failure", false), ("success", true)].into_iter();
                known.filter_map(|(status, is_in_force)| Some((status, all.get(&(file, is_in_force))?)))
            };
            let metric = format!("apiserver_{name}_config_controller_automatic_reloads_total");
            out.metric(&metric, "counter", "Changes of the file, by whether it was good.");
            for (status, Count { count, .. }) in of_file() {
                out.value(&metric, &[("status", status)], count, None);
            }
            let metric =
                format!("apiserver_{name}_config_controller_automatic_reload_last_timestamp_seconds");
            out.metric(&metric, "gauge", "When the file was read again, by whether it was good.");
            for (status, Count { last, .. }) in of_file() {
                out.value(&metric, &[("status", status)], last, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_tells_how_often_it_was_good() {
        let reloads = Reloads::default();
        for is_in_force in [true, false, true] {
            reloads.count(ConfigFile::Authorization, is_in_force);
        }
        let mut out = Exposition::default();
        reloads.collect(&mut out);
        let told = out.into_text();
        for (status, count) in [("success", 2), ("failure", 1)] {
            let name = "apiserver_authorization_config_controller_automatic_reload";
            assert!(told.contains(&format!("{name}s_total{{status=\"{status}\"}} {count}\n")), "{told}");
            let last = format!("{name}_last_timestamp_seconds{{status=\"{status}\"}} ");
            let last = told.lines().find_map(|line| line.strip_prefix(&last)?.parse::<f64>().ok());
            assert!(last.is_some_and(|last| last > 1.0e9), "{told}");
        }
        assert!(!told.contains("\napiserver_authentication_config_controller_"), "{told}");
    }
}
