//! Of the levels of priority.

use cluster::metrics::Exposition;
use flowcontrol::Counts;
use std::sync::Arc;

/// Name, type, help and value.
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

pub(super) fn collect(out: &mut Exposition, levels: &[(Arc<str>, Counts)]) {
    for (name, kind, help, of) in OF_LEVELS {
        out.metric(name, kind, help);
        for (level, counts) in levels {
            out.value(name, &[("priority_level", &**level)], of(counts), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowcontrol::Limits;

    #[test]
    fn each_level_tells_its_seats_and_who_waits() {
        let limits = Limits { nominal: 5, lower: 4, upper: 9 };
        let mut out = Exposition::default();
        collect(&mut out, &[("low".into(), Counts { waiting: 3, limits, ..Counts::default() })]);
        let text = out.into_text();
        for (name, value) in [
            ("current_inqueue_requests", 3),
            ("nominal_limit_seats", 5),
            ("lower_limit_seats", 4),
            ("upper_limit_seats", 9),
            ("current_limit_seats", 0),
        ] {
            let line = format!("apiserver_flowcontrol_{name}{{priority_level=\"low\"}} {value}\n");
            assert!(text.contains(&line), "no {line} in {text}");
        }
    }
}
