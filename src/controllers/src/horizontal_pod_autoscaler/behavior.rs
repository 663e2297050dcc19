//! From what the metrics ask for to what may be done about it: stabilization, the rate of change, the bounds. Pure; upstream's
//! `normalizeDesiredReplicas` and its relative with behaviors.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};
use std::time::Duration;

/// The controller manager's `--horizontal-pod-autoscaler-downscale-stabilization`.
const DOWNSCALE_STABILIZATION: Duration = Duration::from_secs(5 * 60);
/// No rule looks back farther (validation bounds both).
const LONGEST_WINDOW: Duration = Duration::from_secs(3600);
/// Without rules a scale may double, or reach this.
const SCALE_UP_LEAST: i32 = 4;

/// What was recommended and done of late.
#[derive(Debug, Default)]
pub(super) struct History {
    recommendations: Vec<(Timestamp, i32)>,
    ups: Vec<(Timestamp, i32)>,
    downs: Vec<(Timestamp, i32)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub fewest: i32,
    pub most: i32,
}

/// Reason and message of a condition.
pub(super) type Why = (&'static str, &'static str);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Normalized {
    pub replicas: i32,
    /// Of `AbleToScale`, which is true.
    pub able: Why,
    /// Of `ScalingLimited`, and whether it is.
    pub limited: (bool, Why),
}

const READY: Why = ("ReadyForNewScale", "recommended size matches current size");
const DOWN_STABILIZED: Why = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const UP_STABILIZED: Why = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);
const WITHIN: Why = ("DesiredWithinRange", "the desired count is within the acceptable range");
const TOO_MANY: Why = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: Why = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const UP_LIMIT: Why =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const DOWN_LIMIT: Why =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");

impl History {
    /// What was there before the first look is a recommendation too.
    pub(super) fn begin(&mut self, current: i32, now: Timestamp) {
        if self.recommendations.is_empty() {
            self.recommendations.push((now, current));
        }
    }

    pub(super) fn scaled(&mut self, from: i32, to: i32, now: Timestamp) {
        match to > from {
            true => self.ups.push((now, to - from)),
            false => self.downs.push((now, from - to)),
        }
    }

    /// Remembers what is desired, and says what may be done about it.
    pub(super) fn normalize(
        &mut self,
        current: i32,
        desired: i32,
        bounds: Bounds,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
        now: Timestamp,
    ) -> Normalized {
        let recent = |at: Timestamp| {
            now.duration_since(at) <= jiff::SignedDuration::try_from(LONGEST_WINDOW).unwrap_or_default()
        };
        for list in [&mut self.recommendations, &mut self.ups, &mut self.downs] {
            list.retain(|(at, _)| recent(*at));
        }
        let (up, down) = (
            behavior.and_then(|behavior| behavior.scale_up.as_ref()),
            behavior.and_then(|behavior| behavior.scale_down.as_ref()),
        );
        let (stabilized, why) = self.stabilized(current, desired, behavior.is_some(), up, down, now);
        self.recommendations.push((now, desired));
        let able = if stabilized == desired { READY } else { why };
        let (replicas, why) = match behavior {
            None => within(current, stabilized, bounds),
            Some(_) => self.at_rate(current, stabilized, bounds, up, down, now),
        };
        Normalized { replicas, able, limited: (replicas != stabilized, why) }
    }

    fn stabilized(
        &self,
        current: i32,
        desired: i32,
        has_behavior: bool,
        up: Option<&HPAScalingRules>,
        down: Option<&HPAScalingRules>,
        now: Timestamp,
    ) -> (i32, Why) {
        let window = |rules: Option<&HPAScalingRules>, otherwise: Duration| {
            let seconds = rules.and_then(|rules| rules.stabilization_window_seconds);
            seconds.map_or(otherwise, |seconds| Duration::from_secs(seconds.max(0).unsigned_abs().into()))
        };
        let within = |window: Duration| {
            let recent = self.recommendations.iter().filter(move |(at, _)| passed(*at, now) < window);
            recent.map(|(_, count)| *count)
        };
        let highest = within(window(down, DOWNSCALE_STABILIZATION)).fold(desired, i32::max);
        if !has_behavior {
            return (highest, DOWN_STABILIZED);
        }
        let lowest = within(window(up, Duration::ZERO)).fold(desired, i32::min);
        let why = if desired >= current { UP_STABILIZED } else { DOWN_STABILIZED };
        (current.max(lowest).min(highest.max(lowest)), why)
    }

    fn at_rate(
        &self,
        current: i32,
        desired: i32,
        Bounds { fewest, most }: Bounds,
        up: Option<&HPAScalingRules>,
        down: Option<&HPAScalingRules>,
        now: Timestamp,
    ) -> (i32, Why) {
        if desired > current {
            let limit = self.up_limit(current, up, now).max(current);
            let (most, why) = if most > limit { (limit, UP_LIMIT) } else { (most, TOO_MANY) };
            return if desired > most { (most, why) } else { (desired, WITHIN) };
        }
        if desired < current {
            let limit = self.down_limit(current, down, now).min(current);
            let (fewest, why) = if fewest < limit { (limit, DOWN_LIMIT) } else { (fewest, TOO_FEW) };
            return if desired < fewest { (fewest, why) } else { (desired, WITHIN) };
        }
        (desired, WITHIN)
    }

    fn up_limit(&self, current: i32, rules: Option<&HPAScalingRules>, now: Timestamp) -> i32 {
        let after = |policy: &HPAScalingPolicy, from: i32| match policy.type_.as_str() {
            "Pods" => from.saturating_add(policy.value),
            _ => (f64::from(from) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32,
        };
        self.limit(current, rules, now, after, i32::max, i32::min)
    }

    fn down_limit(&self, current: i32, rules: Option<&HPAScalingRules>, now: Timestamp) -> i32 {
        let after = |policy: &HPAScalingPolicy, from: i32| match policy.type_.as_str() {
            "Pods" => from.saturating_sub(policy.value),
            _ => (f64::from(from) * (1.0 - f64::from(policy.value) / 100.0)) as i32,
        };
        self.limit(current, rules, now, after, i32::min, i32::max)
    }

    /// How far the policies let the count go, from where it was when the period of each began.
    fn limit(
        &self,
        current: i32,
        rules: Option<&HPAScalingRules>,
        now: Timestamp,
        after: impl Fn(&HPAScalingPolicy, i32) -> i32,
        widest: fn(i32, i32) -> i32,
        narrowest: fn(i32, i32) -> i32,
    ) -> i32 {
        let select = rules.and_then(|rules| rules.select_policy.as_deref()).unwrap_or("Max");
        let choose = match select {
            "Disabled" => return current,
            "Min" => narrowest,
            _ => widest,
        };
        let policies = rules.and_then(|rules| rules.policies.as_deref()).unwrap_or_default();
        let changed = |events: &[(Timestamp, i32)], seconds: i32| -> i32 {
            let period = Duration::from_secs(seconds.max(0).unsigned_abs().into());
            events.iter().filter(|(at, _)| passed(*at, now) < period).map(|(_, count)| *count).sum()
        };
        let each = policies.iter().map(|policy| {
            let (added, removed) =
                (changed(&self.ups, policy.period_seconds), changed(&self.downs, policy.period_seconds));
            after(policy, current - added + removed)
        });
        each.reduce(choose).unwrap_or(current)
    }
}

fn passed(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

fn within(current: i32, desired: i32, Bounds { fewest, most }: Bounds) -> (i32, Why) {
    let limit = current.saturating_mul(2).max(SCALE_UP_LEAST);
    let (most, why) = if most > limit { (limit, UP_LIMIT) } else { (most, TOO_MANY) };
    match desired {
        desired if desired < fewest => (fewest, TOO_FEW),
        desired if desired > most => (most, why),
        desired => (desired, WITHIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const BOUNDS: Bounds = Bounds { fewest: 2, most: 100 };

    #[test]
    fn without_rules_a_scale_doubles_at_most_and_goes_down_late() {
        // (name, recommended before, current, desired, wanted, able, limited)
        let cases: &[(&str, &[(i64, i32)], i32, i32, i32, &str, &str)] = &[
            ("as it is", &[], 5, 5, 5, "ReadyForNewScale", "DesiredWithinRange"),
            ("up", &[], 5, 9, 9, "ReadyForNewScale", "DesiredWithinRange"),
            ("too fast", &[], 5, 50, 10, "ReadyForNewScale", "ScaleUpLimit"),
            ("from one", &[], 1, 9, 4, "ReadyForNewScale", "ScaleUpLimit"),
            ("too many", &[], 80, 200, 100, "ReadyForNewScale", "TooManyReplicas"),
            ("too few", &[], 5, 1, 2, "ReadyForNewScale", "TooFewReplicas"),
            ("down too early", &[(800, 5)], 5, 3, 5, "ScaleDownStabilized", "DesiredWithinRange"),
            ("down in time", &[(600, 5)], 5, 3, 3, "ReadyForNewScale", "DesiredWithinRange"),
        ];
        for (name, before, current, desired, want, able, limited) in cases {
            let recommendations = before.iter().map(|(second, count)| (at(*second), *count)).collect();
            let mut history = History { recommendations, ..History::default() };
            let got = history.normalize(*current, *desired, BOUNDS, None, at(1000));
            assert_eq!((got.replicas, got.able.0, got.limited.1.0), (*want, *able, *limited), "{name}");
        }
    }

    #[test]
    fn rules_bound_the_rate_and_the_direction() {
        let policy = |kind: &str, value: i32, seconds: i32| json!({"type": kind, "value": value, "periodSeconds": seconds});
        let up = |select: &str, policies: Value| json!({"scaleUp": {"selectPolicy": select, "policies": policies, "stabilizationWindowSeconds": 0}});
        let down = |select: &str, policies: Value| json!({"scaleDown": {"selectPolicy": select, "policies": policies, "stabilizationWindowSeconds": 0}});
        let both = || json!([policy("Pods", 4, 60), policy("Percent", 100, 60)]);
        // (name, behavior, done before as (second, change), current, desired, wanted, reason)
        let cases = [
            ("the widest", up("Max", both()), vec![], 10, 50, 20, "ScaleUpLimit"),
            ("the narrowest", up("Min", both()), vec![], 10, 50, 14, "ScaleUpLimit"),
            ("never", up("Disabled", both()), vec![], 10, 50, 10, "ScaleUpLimit"),
            ("part of it is used up", up("Min", both()), vec![(990, 3)], 10, 50, 11, "ScaleUpLimit"),
            ("long ago", up("Min", both()), vec![(900, 3)], 10, 50, 14, "ScaleUpLimit"),
            (
                "the bound",
                up("Max", json!([policy("Percent", 900, 60)])),
                vec![],
                50,
                400,
                100,
                "TooManyReplicas",
            ),
            ("down, the widest", down("Max", both()), vec![], 10, 1, 2, "TooFewReplicas"),
            ("down, the narrowest", down("Min", both()), vec![], 10, 1, 6, "ScaleDownLimit"),
            ("down, used up", down("Min", both()), vec![(990, -3)], 10, 1, 9, "ScaleDownLimit"),
            ("down, never", down("Disabled", both()), vec![], 10, 1, 10, "ScaleDownLimit"),
            ("within", down("Max", both()), vec![], 10, 8, 8, "DesiredWithinRange"),
        ];
        for (name, behavior, before, current, desired, want, reason) in cases {
            let behavior: HorizontalPodAutoscalerBehavior = serde_json::from_value(behavior).unwrap();
            let mut history = History::default();
            for (second, change) in before {
                history.scaled(current - change, current, at(second));
            }
            let got = history.normalize(current, desired, BOUNDS, Some(&behavior), at(1000));
            assert_eq!((got.replicas, got.limited.1.0), (want, reason), "{name}");
        }
    }

    #[test]
    fn windows_hold_back_in_either_direction() {
        let behavior: HorizontalPodAutoscalerBehavior = serde_json::from_value(json!({
            "scaleUp": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Percent", "value": 900, "periodSeconds": 15}]},
            "scaleDown": {"policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
        }))
        .unwrap();
        let mut history = History::default();
        history.begin(5, at(1000));
        let mut step =
            |desired: i32, second: i64| history.normalize(5, desired, BOUNDS, Some(&behavior), at(second));
        let held = step(9, 1030);
        assert_eq!((held.replicas, held.able.0), (5, "ScaleUpStabilized"), "five were enough 30 s ago");
        assert_eq!(step(9, 1070).replicas, 9);
        let held = step(2, 1100);
        assert_eq!((held.replicas, held.able.0), (5, "ScaleDownStabilized"), "nine were asked for");
        assert_eq!(step(2, 1400).replicas, 2);
    }
}
