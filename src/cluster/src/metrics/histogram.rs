//! How often something took how much.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts in fixed buckets, without a lock.
pub struct Histogram {
    /// Upper bounds, each larger than the one before.
    bounds: &'static [f64],
    /// One for each bound, and one for what is beyond them.
    buckets: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, buckets, sum: AtomicU64::new(0) }
    }

    pub fn observe(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let mut known = self.sum.load(Ordering::Relaxed);
        loop {
            let sum = (f64::from_bits(known) + value).to_bits();
            match self.sum.compare_exchange_weak(known, sum, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => known = other,
            }
        }
    }

    /// In seconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    pub fn sum(&self) -> f64 {
        f64::from_bits(self.sum.load(Ordering::Relaxed))
    }

    /// Each bound, with how many were no larger; the last bound is infinity, and with it stands how many there were.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.buckets.iter()).scan(0_u64, |counted, (bound, count)| {
            *counted += count.load(Ordering::Relaxed);
            Some((bound, *counted))
        })
    }
}

/// `N` bounds, each `factor` times the one before: upstream's `ExponentialBuckets`.
pub const fn exponential<const N: usize>(first: f64, factor: f64) -> [f64; N] {
    let mut bounds = [first; N];
    let mut index = 1;
    while index < N {
        bounds[index] = bounds[index - 1] * factor;
        index += 1;
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_a_bound_is_within_it() {
        let histogram = Histogram::new(&[0.5, 1.0, 2.0]);
        assert!(histogram.is_empty());
        for value in [0.25, 0.5, 0.75, 2.0, 3.0] {
            histogram.observe(value);
        }
        histogram.observe_time(Duration::from_millis(1500));
        let counted: Vec<_> = histogram.cumulative().collect();
        assert_eq!(counted, [(0.5, 2), (1.0, 3), (2.0, 5), (f64::INFINITY, 6)]);
        assert_eq!((histogram.sum(), histogram.count(), histogram.is_empty()), (8.0, 6, false));
    }

    #[test]
    fn bounds_grow_by_their_factor() {
        assert_eq!(exponential::<4>(1000.0, 10.0), [1e3, 1e4, 1e5, 1e6]);
    }
}
