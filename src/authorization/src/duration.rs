//! Durations of a configuration, `1m30s`: no time-out is negative.

pub(crate) use durations::parse_unsigned as parse;
