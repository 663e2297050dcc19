//! The builds that there were since the engine started, as `docker buildx history` shows them. They are kept in memory: an
//! image's own history outlives the engine.

use crate::errors;
use crate::progress::Progress;
use crate::proto::control::{SolveRequest, SolveResponse};
use crate::proto::history::{BuildHistoryEvent, BuildHistoryRecord, BuildHistoryRequest, EventType};
use crate::proto::now;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::broadcast;
use tonic::Status;

/// Docker keeps as many.
const KEPT: usize = 50;
/// Bytes of their logs in memory, or fewer are kept.
const MOST_LOGS: usize = 64 << 20;
/// Events that a client may lag behind.
const BACKLOG: usize = 64;

pub(crate) struct History {
    known: Mutex<Vec<Known>>,
    events: broadcast::Sender<BuildHistoryEvent>,
}

struct Known {
    record: BuildHistoryRecord,
    progress: Arc<Progress>,
}

impl Default for History {
    fn default() -> Self {
        History { known: Mutex::default(), events: broadcast::Sender::new(BACKLOG) }
    }
}

impl History {
    pub(crate) fn started(&self, request: &SolveRequest, progress: &Arc<Progress>) {
        let record = BuildHistoryRecord {
            r#ref: request.r#ref.clone(),
            frontend: request.frontend.clone(),
            frontend_attrs: request.frontend_attrs.clone(),
            exporters: request.exporters.clone(),
            created_at: now(),
            ..BuildHistoryRecord::default()
        };
        self.tell(EventType::Started, &record);
        self.known.lock().push(Known { record, progress: progress.clone() });
    }

    /// What the client asked of the frontend becomes known only while the build runs.
    pub(crate) fn attributes(&self, reference: &str, frontend: &str, attrs: &HashMap<String, String>) {
        let mut known = self.known.lock();
        if let Some(known) = known.iter_mut().find(|known| known.record.r#ref == reference) {
            known.record.frontend = frontend.to_owned();
            known.record.frontend_attrs.extend(attrs.clone());
        }
    }

    pub(crate) fn ended(&self, reference: &str, result: &Result<SolveResponse, Status>) {
        let mut all = self.known.lock();
        let Some(known) = all.iter_mut().find(|known| known.record.r#ref == reference) else { return };
        let count = known.progress.count();
        let record = &mut known.record;
        record.completed_at = now();
        (record.num_total_steps, record.num_completed_steps) = (count.total, count.completed);
        (record.num_cached_steps, record.num_warnings) = (count.cached, count.warnings);
        match result {
            Ok(response) => record.exporter_response = response.exporter_response.clone(),
            Err(status) => record.error = Some(errors::for_history(status)),
        }
        let record = record.clone();
        let is_over = |known: &Known| known.record.completed_at.is_some() && !known.record.pinned;
        while all.len() > KEPT {
            let Some(oldest) = all.iter().position(is_over) else { break };
            all.remove(oldest);
        }
        while logs(&all) > MOST_LOGS {
            let is_older = |known: &Known| is_over(known) && known.record.r#ref != reference;
            let Some(oldest) = all.iter().position(is_older) else { break };
            all.remove(oldest);
        }
        drop(all);
        self.tell(EventType::Complete, &record);
    }

    /// The log of a build that is over, or still runs.
    pub(crate) fn progress(&self, reference: &str) -> Option<Arc<Progress>> {
        let known = self.known.lock();
        known.iter().find(|known| known.record.r#ref == reference).map(|known| known.progress.clone())
    }

    /// What is known now, and how to hear of what comes.
    pub(crate) fn list(
        &self,
        asked: &BuildHistoryRequest,
    ) -> (Vec<BuildHistoryEvent>, broadcast::Receiver<BuildHistoryEvent>) {
        let known = self.known.lock();
        let wanted = known.iter().map(|known| &known.record).filter(|record| {
            let is_over = record.completed_at.is_some();
            (asked.r#ref.is_empty() || asked.r#ref == record.r#ref) && !(asked.active_only && is_over)
        });
        let mut events: Vec<BuildHistoryEvent> = wanted
            .map(|record| match record.completed_at {
                Some(_) => event(EventType::Complete, record),
                None => event(EventType::Started, record),
            })
            .collect();
        if let Ok(limit @ 1..) = usize::try_from(asked.limit) {
            // the newest count
            events.drain(..events.len().saturating_sub(limit));
        }
        (events, self.events.subscribe())
    }

    pub(crate) fn pin(&self, reference: &str, pinned: bool) -> Result<(), Status> {
        let mut known = self.known.lock();
        let found = known.iter_mut().find(|known| known.record.r#ref == reference);
        found.ok_or_else(|| none(reference))?.record.pinned = pinned;
        Ok(())
    }

    pub(crate) fn delete(&self, reference: &str) -> Result<(), Status> {
        let mut known = self.known.lock();
        let at = known.iter().position(|known| known.record.r#ref == reference);
        let gone = known.remove(at.ok_or_else(|| none(reference))?);
        drop(known);
        self.tell(EventType::Deleted, &gone.record);
        Ok(())
    }

    fn tell(&self, kind: EventType, record: &BuildHistoryRecord) {
        // nobody may be listening
        let _ = self.events.send(event(kind, record));
    }
}

fn logs(all: &[Known]) -> usize {
    all.iter().map(|known| known.progress.kept()).sum()
}

fn none(reference: &str) -> Status {
    Status::not_found(format!("no build record {reference}"))
}

fn event(kind: EventType, record: &BuildHistoryRecord) -> BuildHistoryEvent {
    BuildHistoryEvent { r#type: kind as i32, record: Some(record.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attack: builds that write as much as they may, one after the other.
    #[test]
    fn logs_of_builds_have_a_bound_together() {
        let history = History::default();
        for number in 0..20 {
            let (reference, progress) = (format!("r{number}"), Arc::new(Progress::new("b")));
            let request = SolveRequest { r#ref: reference.clone(), ..SolveRequest::default() };
            history.started(&request, &progress);
            for _ in 0..10 {
                let step = progress.begin("loud");
                (0..32).for_each(|_| progress.log(step, 1, &vec![b'x'; 64 << 10]));
            }
            history.ended(&reference, &Ok(SolveResponse::default()));
            let known = history.known.lock();
            let logs = logs(&known);
            assert!(logs <= MOST_LOGS && known.last().unwrap().record.r#ref == reference, "{logs}");
        }
        assert!(history.known.lock().len() > 1);
    }

    fn build(history: &History, reference: &str) {
        let request = SolveRequest { r#ref: reference.to_owned(), ..SolveRequest::default() };
        history.started(&request, &Arc::new(Progress::new(reference)));
    }

    fn refs(history: &History, asked: BuildHistoryRequest) -> Vec<String> {
        let (events, _) = history.list(&asked);
        events.into_iter().filter_map(|event| Some(event.record?.r#ref)).collect()
    }

    #[test]
    fn builds_are_listed_and_forgotten() {
        let history = History::default();
        build(&history, "a");
        build(&history, "b");
        history.ended("a", &Err(Status::unknown("no")));
        let all = BuildHistoryRequest::default();
        assert_eq!(refs(&history, all.clone()), ["a", "b"]);
        assert_eq!(refs(&history, BuildHistoryRequest { active_only: true, ..all.clone() }), ["b"]);
        assert_eq!(refs(&history, BuildHistoryRequest { r#ref: "a".into(), ..all.clone() }), ["a"]);
        assert_eq!(refs(&history, BuildHistoryRequest { limit: 1, ..all.clone() }), ["b"]);
        history.delete("a").unwrap();
        assert!(history.delete("a").is_err() && history.pin("b", true).is_ok());
        assert_eq!(refs(&history, all), ["b"]);
    }

    #[test]
    fn only_so_many_are_kept_and_those_that_are_pinned() {
        let history = History::default();
        for number in 0..KEPT + 5 {
            build(&history, &number.to_string());
            if number == 0 {
                history.pin("0", true).unwrap();
            }
            history.ended(&number.to_string(), &Ok(SolveResponse::default()));
        }
        let left = refs(&history, BuildHistoryRequest::default());
        assert_eq!((left.len(), left[0].as_str(), left[1].as_str()), (KEPT, "0", "6"));
    }
}
