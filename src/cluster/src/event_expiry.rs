//! Events go an hour after their last write, as upstream's do with the leases that etcd holds for them: without admission, webhooks and
//! finalizers.
//!
//! Nothing is kept of an event. Revisions rise with time, so for each minute in which events were written it is enough to know up
//! to which revision. Where nobody writes events and none is left, nothing wakes.

use crate::{Cluster, Target};
use ::api::{Object, ResourceVersion, Status};
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kinds::{TypedKind, Version};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use store::{Change, CommitError, Durability, EventKind, Precondition, Resource, TooOld, Watch, Write};
use tokio_util::sync::CancellationToken;

const LIFE_MINUTES: i64 = 60; // upstream's --event-ttl
/// Deletions that are under way together: watchers have time to read them before the next come.
const AT_ONCE: usize = 256;

/// Minutes since 1970 in which events were written, and the newest revision of each. Both rise. Upstream too gives what is written
/// in one minute one lease, and it ends no sooner than it would for the last of them.
#[derive(Default)]
struct Written(VecDeque<(i64, ResourceVersion)>);

enum Woken {
    Wrote(ResourceVersion),
    Behind,
    Nothing,
}

impl Cluster {
    /// Removes events when they are old, until `stop`. Those that are there already count from the times that they tell.
    pub async fn expire_events(self, stop: CancellationToken) {
        let Some(version) = self.registry().by_gvr(&Event::info().gvr) else { return };
        stop.run_until_cancelled(self.remove_old_events(&version)).await;
    }

    async fn remove_old_events(&self, version: &Arc<Version>) {
        let (store, events) = (self.store(), Resource::from(&version.info().storage));
        let snapshot = store.snapshot();
        let mut written = Written::of_stored(snapshot.list(&events, None, None), Timestamp::now());
        let mut watch = store.watch(&events, snapshot.revision());
        drop(snapshot);
        loop {
            let now = Timestamp::now();
            if let Some(revision) = written.take_old(now) {
                if let Err(why) = self.remove_events_until(version, revision).await {
                    tracing::warn!(%why, "old events stay for another minute");
                    written.again(revision, now);
                }
                continue;
            }
            match next(&mut watch, written.left(now)).await {
                Woken::Wrote(revision) => written.note(minute(Timestamp::now()), revision),
                Woken::Behind => {
                    // what was missed was written by now
                    let revision = store.revision();
                    written.note(minute(now), revision);
                    watch = store.watch(&events, revision);
                }
                Woken::Nothing => {}
            }
        }
    }

    /// Those that nobody has written since.
    async fn remove_events_until(
        &self,
        version: &Arc<Version>,
        revision: ResourceVersion,
    ) -> Result<(), Status> {
        let resource = Resource::from(&version.info().storage);
        let old: Vec<Object> = {
            let snapshot = self.store().snapshot();
            let events = snapshot.list(&resource, None, None);
            events.filter(|event| event.revision() <= revision).cloned().collect()
        };
        for some in old.chunks(AT_ONCE) {
            let writes = some.iter().filter_map(|event| deletion(version, &resource, event));
            let commits: Vec<_> = writes.map(|write| self.store().commit(vec![write])).collect();
            for outcome in join_all(commits).await {
                match outcome {
                    // written again, or deleted, meanwhile
                    Ok(_) | Err(CommitError::Precondition { .. }) => {}
                    Err(error) => return Err(Status::internal(error)),
                }
            }
            let namespaces: BTreeSet<_> = some.iter().filter_map(|e| e.meta().namespace.as_deref()).collect();
            for namespace in namespaces {
                self.touch_quotas(&Target::collection(version, Some(namespace)), Some(namespace));
            }
        }
        Ok(())
    }
}

/// The next write, for so long.
async fn next(watch: &mut Result<Watch, TooOld>, left: Option<Duration>) -> Woken {
    let heard = async {
        match watch {
            Ok(watch) => watch.next().await,
            Err(behind) => Err(*behind),
        }
    };
    let heard = match left {
        Some(left) => match tokio::time::timeout(left, heard).await {
            Ok(heard) => heard,
            Err(_) => return Woken::Nothing,
        },
        None => heard.await,
    };
    match heard {
        Ok(event) if event.kind == EventKind::Deleted => Woken::Nothing,
        Ok(event) => Woken::Wrote(event.object.revision()),
        Err(_) => Woken::Behind,
    }
}

fn deletion(version: &Version, resource: &Resource, event: &Object) -> Option<Write> {
    let last = version.decode_stored(event).and_then(|event| event.encode());
    let last = last.inspect_err(|error| {
        tracing::error!(key = %event.key(), %error, "an old event can not be read, and stays");
    });
    Some(Write {
        resource: resource.clone(),
        key: event.key(),
        precondition: Precondition::At(event.revision()),
        change: Change::Delete { last: last.ok()? },
        durability: Durability::Lazy,
    })
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

/// As far as the event tells; nobody writes in the future.
fn last_write(event: &Object, now: Timestamp) -> Timestamp {
    let Ok(event) = event.decode::<Event>() else { return now };
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let times = [
        event.metadata.creation_timestamp.as_ref().map(|time| time.0),
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
        series.map(|time| time.0),
    ];
    times.into_iter().flatten().max().map_or(now, |last| last.min(now))
}

impl Written {
    fn of_stored<'a>(events: impl Iterator<Item = &'a Object>, now: Timestamp) -> Self {
        let mut all: Vec<_> =
            events.map(|event| (event.revision(), minute(last_write(event, now)))).collect();
        all.sort_unstable();
        let mut written = Written::default();
        let mut latest = i64::MIN;
        for (revision, minute) in all {
            // it was written after those before it, whatever it tells
            latest = latest.max(minute);
            written.note(latest, revision);
        }
        written
    }

    fn note(&mut self, minute: i64, revision: ResourceVersion) {
        match self.0.back_mut() {
            Some((last, newest)) if *last == minute => {
                *newest = revision;
                return;
            }
            // a clock that was set back
            Some((last, _)) if *last > minute => {
                self.0.iter_mut().for_each(|(known, _)| *known = minute.min(*known));
            }
            _ => {}
        }
        self.0.push_back((minute, revision));
    }

    /// How long until the oldest are old; `None` where there are none.
    fn left(&self, now: Timestamp) -> Option<Duration> {
        let (minute, _) = self.0.front()?;
        let end = Timestamp::from_second((minute + 1 + LIFE_MINUTES) * 60).unwrap_or(Timestamp::MAX);
        Some(Duration::try_from(end.duration_since(now)).unwrap_or_default())
    }

    /// Up to which revision all are old.
    fn take_old(&mut self, now: Timestamp) -> Option<ResourceVersion> {
        let mut old = None;
        while self.left(now).is_some_and(|left| left.is_zero()) {
            old = self.0.pop_front().map(|(_, revision)| revision);
        }
        old
    }

    /// They are old when this minute is over.
    fn again(&mut self, revision: ResourceVersion, now: Timestamp) {
        self.0.push_front((minute(now) - LIFE_MINUTES, revision));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::{Value, json};

    fn at(text: &str) -> Timestamp {
        format!("2026-05-04T{text}Z").parse().unwrap()
    }

    fn old_at(written: &mut Written, text: &str) -> Option<u64> {
        written.take_old(at(text)).map(|revision| revision.0)
    }

    #[test]
    fn what_is_written_in_a_minute_goes_an_hour_after_it() {
        let mut written = Written::default();
        assert_eq!(written.left(at("10:00:00")), None, "nothing to wait for");
        for (time, revision) in [("10:00:01", 3), ("10:00:59", 7), ("10:02:00", 9)] {
            written.note(minute(at(time)), ResourceVersion(revision));
        }
        assert_eq!(written.0.len(), 2, "one place for each minute");
        assert_eq!(written.left(at("10:30:00")), Some(Duration::from_secs(31 * 60)));
        assert_eq!(old_at(&mut written, "11:00:59"), None);
        assert_eq!(old_at(&mut written, "11:01:00"), Some(7));
        assert_eq!(old_at(&mut written, "11:01:00"), None);
        written.again(ResourceVersion(7), at("11:01:20"));
        assert_eq!(old_at(&mut written, "11:01:59"), None);
        assert_eq!(old_at(&mut written, "11:02:00"), Some(7), "it was to be tried again");
        assert_eq!(old_at(&mut written, "12:00:00"), Some(9), "late, after a machine's sleep");
        assert_eq!(written.left(at("12:00:00")), None);
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_longer() {
        let mut written = Written::default();
        written.note(minute(at("20:00:00")), ResourceVersion(1));
        written.note(minute(at("10:00:00")), ResourceVersion(2));
        assert_eq!(old_at(&mut written, "11:01:00"), Some(2));
    }

    #[test]
    fn stored_events_count_from_the_last_time_that_they_tell() {
        let created = |time: &str| json!({"metadata": {"creationTimestamp": at(time).to_string()}});
        let with = |more: Value| {
            let mut event = created("10:00:00");
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        // (name, event, written)
        let cases = [
            ("made", created("10:00:00"), "10:00:00"),
            ("counted", with(json!({"lastTimestamp": at("10:05:00").to_string()})), "10:05:00"),
            ("dated back", with(json!({"lastTimestamp": at("01:05:00").to_string()})), "10:00:00"),
            ("in the future", with(json!({"lastTimestamp": at("23:05:00").to_string()})), "12:00:00"),
            ("newer API", with(json!({"eventTime": "2026-05-04T10:07:00.000001Z"})), "10:07:00.000001"),
            (
                "a series",
                with(json!({"series": {"lastObservedTime": "2026-05-04T10:09:00.000000Z"}})),
                "10:09:00",
            ),
            ("tells nothing", json!({"metadata": {}}), "12:00:00"),
        ];
        for (name, mut event, want) in cases {
            event["metadata"]["name"] = json!("e");
            event["involvedObject"] = json!({});
            let event = Object::from_stored(Bytes::from(event.to_string()), ResourceVersion(1)).unwrap();
            assert_eq!(last_write(&event, at("12:00:00")), at(want), "{name}");
        }
    }

    #[test]
    fn an_event_that_tells_an_early_time_takes_none_along_that_was_written_before() {
        let event = |revision, time: &str| {
            let json = json!({"metadata": {"name": "e", "creationTimestamp": at(time).to_string()}, "involvedObject": {}});
            Object::from_stored(Bytes::from(json.to_string()), ResourceVersion(revision)).unwrap()
        };
        let events = [event(5, "10:10:00"), event(9, "08:00:00"), event(4, "10:00:00")];
        let mut written = Written::of_stored(events.iter(), at("10:20:00"));
        assert_eq!(old_at(&mut written, "11:01:00"), Some(4));
        assert_eq!(old_at(&mut written, "11:11:00"), Some(9));
    }
}
