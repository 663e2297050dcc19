//! Events, as `kubectl describe` shows them. They are written beside what they tell of, in order, and one that can not be written
//! holds up nobody.

use crate::event::{EventType, Said, Subject, shortened, subject};
use crate::event_correlator::{Correlated, Correlator};
use crate::{Client, unless_gone};
use ::api::{Reason, Status};
use k8s_openapi::api::core::v1::{Event, EventSource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::StoredKind;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Events that wait to be written; further ones are dropped, as upstream's broadcaster drops them (`maxQueuedEvents`).
const QUEUED: usize = 1000;

/// Writes Events without making its caller wait. A repeated event raises the first one's count; which are written at all, and as
/// what, is the correlator's.
#[derive(Clone)]
pub struct Recorder(mpsc::Sender<Said>);

impl Client {
    /// Writes Events as `component` (`kubelet`, `deployment-controller`), `host` where it sits on a node.
    pub fn recorder(&self, component: &str, host: Option<&str>) -> Recorder {
        Recorder::new(self.clone(), component, host)
    }
}

impl Recorder {
    fn new(client: Client, component: &str, host: Option<&str>) -> Self {
        let (sender, mut said) = mpsc::channel::<Said>(QUEUED);
        let mut writer = Writer {
            client,
            component: component.to_owned(),
            host: host.map(str::to_owned),
            correlator: Correlator::default(),
        };
        tokio::spawn(async move {
            while let Some(event) = said.recv().await {
                writer.write(event).await;
            }
        });
        Recorder(sender)
    }

    pub fn normal<K: StoredKind>(&self, object: &K, reason: &'static str, message: impl Into<String>) {
        self.event(subject(object), EventType::Normal, reason, message);
    }

    pub fn warning<K: StoredKind>(&self, object: &K, reason: &'static str, message: impl Into<String>) {
        self.event(subject(object), EventType::Warning, reason, message);
    }

    pub fn event(&self, about: Subject, kind: EventType, reason: &'static str, message: impl Into<String>) {
        let message = shortened(message.into());
        let said = Said { about, kind, reason, message, at: jiff::Timestamp::now() };
        // the writer ends with the process only
        if self.0.try_send(said).is_err() {
            tracing::debug!("an event is not recorded: too many wait to be written");
        }
    }
}

struct Writer {
    client: Client,
    component: String,
    host: Option<String>,
    correlator: Correlator,
}

impl Writer {
    async fn write(&mut self, said: Said) {
        let Some(event) = self.correlator.correlate(said, Instant::now()) else {
            tracing::debug!(component = self.component, "an event is not recorded: too many of its object");
            return;
        };
        match self.store(event).await {
            Ok(()) => {}
            // the namespace went away meanwhile: nobody will ask
            Err(status) if status.is(Reason::NotFound) || status.is(Reason::Forbidden) => {
                tracing::debug!(component = self.component, %status, "event not recorded");
            }
            // the store is full, and has said so
            Err(status) if status.is(Reason::Unknown) => {
                tracing::debug!(component = self.component, %status, "event not recorded");
            }
            Err(status) => tracing::warn!(component = self.component, %status, "event not recorded"),
        }
    }

    async fn store(&self, event: Correlated) -> Result<(), Status> {
        let events = self.client.api::<Event>();
        let event = self.event(event);
        if event.count > Some(1) {
            let once_more = |known: &mut Event| {
                (known.count, known.last_timestamp) = (event.count, event.last_timestamp.clone());
                known.message.clone_from(&event.message);
                Ok(())
            };
            // it may be old, and gone, or could not be stored
            if unless_gone(events.modify(&kinds::key_of(&event.metadata), once_more).await)?.is_some() {
                return Ok(());
            }
        }
        events.create(event).await.map(|_| ())
    }

    fn event(&self, Correlated { said, first, count }: Correlated) -> Event {
        let namespace = said.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let name = format!("{}.{:x}", said.about.name.as_deref().unwrap_or("unknown"), first.as_nanosecond());
        Event {
            metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() },
            involved_object: said.about,
            reason: Some(said.reason.to_owned()),
            message: Some(said.message),
            type_: Some(said.kind.to_string()),
            source: Some(EventSource { component: Some(self.component.clone()), host: self.host.clone() }),
            first_timestamp: Some(kinds::whole_second(first)),
            last_timestamp: Some(kinds::whole_second(said.at)),
            count: Some(count),
            reporting_component: Some(self.component.clone()),
            reporting_instance: self.host.clone(),
            ..Event::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_could_write_in_time_is_dropped() {
        let (sender, mut said) = mpsc::channel(QUEUED);
        let recorder = Recorder(sender);
        for n in 0..10 * QUEUED {
            recorder.event(Subject::default(), EventType::Warning, "Failed", n.to_string());
        }
        assert_eq!(said.len(), QUEUED);
        assert_eq!(said.recv().await.unwrap().message, "0", "those that wait stay");
    }
}
