//! What Prometheus is told: counters and histograms that cost some atomic additions, the text of a page, and who has numbers for
//! it.
//!
//! Components know no page, and the page no component: who has numbers is a [`Collector`], and is asked when somebody reads
//! [`Metrics`]. Labels are of what the program knows, never a client's text: there are not many series.

mod exposition;
mod histogram;
mod queues;
mod webhooks;

pub use exposition::{Exposition, seconds, unix};
pub use histogram::{Histogram, exponential};
use parking_lot::Mutex;
pub(crate) use queues::QueueMetrics;
use queues::Queues;
use std::sync::{Arc, Weak};
pub use webhooks::WebhookWait;
pub(crate) use webhooks::{Asking, Call, WebhookMetrics};

/// Has metrics, as Prometheus' own collectors have. It is asked by whoever reads the page, and waits for nothing.
pub trait Collector: Send + Sync + 'static {
    fn collect(&self, out: &mut Exposition);
}

/// What the components of a cluster count.
#[derive(Default)]
pub struct Metrics {
    queues: Queues,
    pub(crate) webhooks: WebhookMetrics,
    collectors: Mutex<Vec<Weak<dyn Collector>>>,
}

impl Metrics {
    /// It is asked for as long as it lives.
    pub fn register(&self, collector: &Arc<impl Collector>) {
        let collector: Arc<dyn Collector> = collector.clone();
        let mut collectors = self.collectors.lock();
        collectors.retain(|collector| collector.strong_count() > 0);
        collectors.push(Arc::downgrade(&collector));
    }

    pub fn collect(&self, out: &mut Exposition) {
        self.queues.collect(out);
        self.webhooks.collect(out);
        let collectors: Vec<_> = {
            let collectors = self.collectors.lock();
            collectors.iter().filter_map(Weak::upgrade).collect()
        };
        collectors.iter().for_each(|collector| collector.collect(out));
    }

    /// `name` is the controller's; upstream's queues do not say that they are one's.
    pub(crate) fn queue(&self, name: &'static str) -> Arc<QueueMetrics> {
        self.queues.of(name.strip_suffix("-controller").unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Collector for One {
        fn collect(&self, out: &mut Exposition) {
            out.metric("one", "gauge", "One.");
            out.value("one", &[], 1, None);
        }
    }

    #[test]
    fn a_collector_is_asked_while_it_lives() {
        let (metrics, collector) = (Metrics::default(), Arc::new(One));
        metrics.register(&collector);
        let told = || {
            let mut out = Exposition::default();
            metrics.collect(&mut out);
            out.into_text()
        };
        assert!(told().ends_with("# HELP one One.\n# TYPE one gauge\none 1\n"), "{}", told());
        drop(collector);
        assert!(!told().contains("one 1"), "{}", told());
    }
}
