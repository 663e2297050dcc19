//! The columns of the tables that `kubectl get` prints.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;
use std::borrow::Cow;

/// One column of the Table that `kubectl get` prints.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: Cow<'static, str>,
    /// `string`, `integer`, `boolean` or `date`
    pub kind: Cow<'static, str>,
    /// `name` for the object's name, else empty
    pub format: Cow<'static, str>,
    pub description: Cow<'static, str>,
    /// 0 is shown always, 1 with `-o wide`
    pub priority: i32,
}

pub type Cell = Value;

impl Column {
    pub const NAME: Column = Column {
        name: Cow::Borrowed("Name"),
        kind: Cow::Borrowed("string"),
        format: Cow::Borrowed("name"),
        description: Cow::Borrowed("Name of the object"),
        priority: 0,
    };
    pub const AGE: Column = Column::new("Age", "string", "Time since the object was created");

    pub const fn new(name: &'static str, kind: &'static str, description: &'static str) -> Self {
        Self::prioritised(name, kind, description, 0)
    }

    pub const fn wide(name: &'static str, kind: &'static str, description: &'static str) -> Self {
        Self::prioritised(name, kind, description, 1)
    }

    const fn prioritised(
        name: &'static str,
        kind: &'static str,
        description: &'static str,
        priority: i32,
    ) -> Self {
        Column {
            name: Cow::Borrowed(name),
            kind: Cow::Borrowed(kind),
            format: Cow::Borrowed(""),
            description: Cow::Borrowed(description),
            priority,
        }
    }
}

/// How long ago, as kubectl writes it: `42s`, `3m5s`, `2d3h`; `<unknown>` without a time.
pub fn age(created: Option<&Time>, now: jiff::Timestamp) -> Cell {
    match created {
        Some(Time(at)) => human_duration(now.as_second() - at.as_second()).into(),
        None => "<unknown>".into(),
    }
}

/// Upstream's `duration.HumanDuration`, from seconds.
pub fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{big_unit}"),
        _ => format!("{big}{big_unit}{small}{small_unit}"),
    };
    match seconds {
        s if s < -1 => "<invalid>".to_owned(),
        s if s < 0 => "0s".to_owned(),
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => two(s / MINUTE, "m", s % MINUTE, "s"),
        s if s < 3 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => two(s / HOUR, "h", s / MINUTE % 60, "m"),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => two(s / DAY, "d", s / HOUR % 24, "h"),
        s if s < 2 * YEAR => format!("{}d", s / DAY),
        s if s < 8 * YEAR => two(s / YEAR, "y", s / DAY % 365, "d"),
        s => format!("{}y", s / YEAR),
    }
}
