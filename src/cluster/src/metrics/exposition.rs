//! Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/

use super::histogram::Histogram;
use jiff::Timestamp;
use std::fmt::{Display, Write};

#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// Begins a metric; `kind` is `counter`, `gauge` or `histogram`.
    pub fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One of its values, with the time at which it was so, where that is said.
    pub fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display, at: Option<Timestamp>) {
        self.0.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, escaped(value));
        }
        let _ = write!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
        match at {
            Some(at) => {
                let _ = writeln!(self.0, " {}", at.as_millisecond());
            }
            None => self.0.push('\n'),
        }
    }

    /// A metric whose values are histograms, each with its labels.
    pub fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        each: impl IntoIterator<Item = (Vec<(&'l str, &'l str)>, &'l Histogram)>,
    ) {
        self.metric(name, "histogram", help);
        for (labels, histogram) in each {
            self.histogram(name, &labels, histogram);
        }
    }

    /// The buckets of a histogram, its sum and its count.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let mut count = 0;
        for (bound, counted) in histogram.cumulative() {
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            let mut labels = labels.to_vec();
            labels.push(("le", bound.as_str()));
            self.value(&bucket, &labels, counted, None);
            count = counted;
        }
        self.value(&format!("{name}_sum"), labels, histogram.sum(), None);
        self.value(&format!("{name}_count"), labels, count, None);
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Seconds with what is left of them.
pub fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// Seconds since 1970.
pub fn unix(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1e3
}
