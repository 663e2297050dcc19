//! What Prometheus is told: counters and histograms that cost some atomic additions, the text of a page, and who has
//! numbers to tell.
//!
//! Components know no page, and the page no component: who has numbers is a [`Source`], and is asked when somebody reads
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

/// Has numbers to tell. It is asked by whoever reads the page, and waits for nothing.
pub trait Source: Send + Sync + 'static {
    fn tell(&self, out: &mut Exposition);
}

/// What the components of a cluster count.
#[derive(Default)]
pub struct Metrics {
    queues: Queues,
    pub(crate) webhooks: WebhookMetrics,
    sources: Mutex<Vec<Weak<dyn Source>>>,
}

impl Metrics {
    /// It is asked for as long as it lives.
    pub fn tell_of(&self, source: &Arc<impl Source>) {
        let source: Arc<dyn Source> = source.clone();
        let mut sources = self.sources.lock();
        sources.retain(|source| source.strong_count() > 0);
        sources.push(Arc::downgrade(&source));
    }

    pub fn tell(&self, out: &mut Exposition) {
        self.queues.tell(out);
        self.webhooks.tell(out);
        let sources: Vec<_> = {
            let sources = self.sources.lock();
            sources.iter().filter_map(Weak::upgrade).collect()
        };
        sources.iter().for_each(|source| source.tell(out));
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

    impl Source for One {
        fn tell(&self, out: &mut Exposition) {
            out.metric("one", "gauge", "One.");
            out.value("one", &[], 1, None);
        }
    }

    #[test]
    fn a_source_is_asked_while_it_lives() {
        let (metrics, source) = (Metrics::default(), Arc::new(One));
        metrics.tell_of(&source);
        let told = || {
            let mut out = Exposition::default();
            metrics.tell(&mut out);
            out.into_text()
        };
        assert!(told().ends_with("# HELP one One.\n# TYPE one gauge\none 1\n"), "{}", told());
        drop(source);
        assert!(!told().contains("one 1"), "{}", told());
    }
}
