//! The builds that run: each is known by the reference that its client gave it, to all calls that belong to it.

use crate::progress::Progress;
use crate::proto::control::{Exporter, SolveRequest};
use crate::sent::SentContext;
use futures::future::Either;
use image::{BuildResult, Digest};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// The calls of one build come side by side: this long its beginning is waited for. BuildKit's own time.
const PATIENCE: Duration = Duration::from_secs(3);
/// More do not end between a call and the next one of the same client.
const REMEMBERED: usize = 64;

/// What a build came to: an image, where there is one.
pub(crate) type Solved = Option<Arc<BuildResult>>;

pub(crate) struct Build {
    pub(crate) reference: String,
    pub(crate) session: String,
    pub(crate) exporters: Vec<Exporter>,
    /// Of those who only look, and leave no trace.
    pub(crate) internal: bool,
    /// What the client allows the Dockerfile beyond the usual: `network.host`.
    pub(crate) entitlements: Vec<String>,
    pub(crate) progress: Arc<Progress>,
    /// Ends all that belongs to the build.
    pub(crate) gone: CancellationToken,
    /// The context, where it came with the request; the first who asks has it.
    pub(crate) sent: Mutex<Option<SentContext>>,
    results: Mutex<HashMap<String, Arc<BuildResult>>>,
    returned: Mutex<Option<oneshot::Sender<Result<Solved, Status>>>>,
}

/// A build, and what it will come to where its client drives it.
pub(crate) type Begun = (Arc<Build>, oneshot::Receiver<Result<Solved, Status>>);

impl Build {
    pub(crate) fn new(request: &SolveRequest, sent: Option<SentContext>) -> Begun {
        let (returned, result) = oneshot::channel();
        let build = Build {
            reference: request.r#ref.clone(),
            session: request.session.clone(),
            exporters: exporters(request),
            internal: request.internal,
            entitlements: request.entitlements.clone(),
            progress: Arc::new(Progress::new(&request.r#ref)),
            gone: CancellationToken::new(),
            sent: Mutex::new(sent),
            results: Mutex::default(),
            returned: Mutex::new(Some(returned)),
        };
        (Arc::new(build), result)
    }

    /// Keeps a result for the build's later calls; gives its name.
    pub(crate) fn keep(&self, result: BuildResult) -> String {
        let mut results = self.results.lock();
        let name = Digest::of(format!("{}/{}", self.reference, results.len()).as_bytes()).hex().to_owned();
        results.insert(name.clone(), Arc::new(result));
        name
    }

    pub(crate) fn result(&self, name: &str) -> Result<Arc<BuildResult>, Status> {
        let found = self.results.lock().get(name).cloned();
        found.ok_or_else(|| Status::not_found(format!("no such ref: {name}")))
    }

    /// The client's side of the build is done.
    pub(crate) fn give_back(&self, result: Result<Solved, Status>) -> Result<(), Status> {
        let waits = self.returned.lock().take();
        let waits = waits.ok_or_else(|| Status::failed_precondition("the build has returned already"))?;
        // who waited may have gone
        let _ = waits.send(result);
        Ok(())
    }

    /// Ends with the build, whatever it is at.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let work = std::pin::pin!(work);
        match futures::future::select(work, std::pin::pin!(self.gone.cancelled())).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err(Status::cancelled("context canceled")),
        }
    }
}

/// New clients name several; old ones one.
fn exporters(request: &SolveRequest) -> Vec<Exporter> {
    match request.exporters.is_empty() && !request.exporter_deprecated.is_empty() {
        true => vec![Exporter {
            r#type: request.exporter_deprecated.clone(),
            attrs: request.exporter_attrs_deprecated.clone(),
        }],
        false => request.exporters.clone(),
    }
}

#[derive(Default)]
struct All {
    running: HashMap<String, Arc<Build>>,
    /// What some that are over told, oldest first: those who only look are done before their client asks how it went.
    over: VecDeque<(String, Arc<Progress>)>,
}

pub(crate) struct Builds(watch::Sender<All>);

impl Default for Builds {
    fn default() -> Self {
        Builds(watch::Sender::new(All::default()))
    }
}

impl Builds {
    pub(crate) fn begin(&self, build: &Arc<Build>) -> Result<Running<'_>, Status> {
        let reference = &build.reference;
        let is_new = self.0.send_if_modified(|all| {
            let is_new = !all.running.contains_key(reference);
            if is_new {
                all.running.insert(reference.clone(), build.clone());
            }
            is_new
        });
        match is_new && !reference.is_empty() {
            true => Ok(Running { builds: self, build: build.clone() }),
            false => Err(Status::already_exists(format!("job {reference} already exists"))),
        }
    }

    /// Waits a moment for one that is about to begin.
    pub(crate) async fn get(&self, reference: &str) -> Result<Arc<Build>, Status> {
        self.find(reference, |all| all.running.get(reference).cloned()).await
    }

    /// The same for what it tells; it may be over as well.
    pub(crate) async fn progress(&self, reference: &str) -> Result<Arc<Progress>, Status> {
        let over =
            |all: &All| all.over.iter().find(|(name, _)| name == reference).map(|(_, told)| told.clone());
        let running = |all: &All| all.running.get(reference).map(|build| build.progress.clone());
        self.find(reference, |all| running(all).or_else(|| over(all))).await
    }

    pub(crate) fn cancel(&self, reference: &str) {
        if let Some(build) = self.0.borrow().running.get(reference) {
            build.gone.cancel();
        }
    }

    async fn find<T>(&self, reference: &str, find: impl Fn(&All) -> Option<T>) -> Result<T, Status> {
        let mut all = self.0.subscribe();
        let found = tokio::time::timeout(PATIENCE, all.wait_for(|all| find(all).is_some())).await;
        let found = found.ok().and_then(Result::ok).and_then(|all| find(&all));
        found.ok_or_else(|| Status::not_found(format!("no such job {reference}")))
    }
}

/// While this is there, so is the build; however it ends, whoever watches hears of it.
pub(crate) struct Running<'b> {
    builds: &'b Builds,
    build: Arc<Build>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let build = &self.build;
        build.gone.cancel();
        build.progress.close();
        self.builds.0.send_modify(|all| {
            all.running.remove(&build.reference);
            // the others are in the history
            if build.internal {
                all.over.push_back((build.reference.clone(), build.progress.clone()));
            }
            while all.over.len() > REMEMBERED {
                all.over.pop_front();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(reference: &str) -> SolveRequest {
        SolveRequest { r#ref: reference.to_owned(), ..SolveRequest::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_of_a_build_may_come_before_it() {
        let builds = Builds::default();
        let early = builds.get("a");
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let (build, _) = Build::new(&request("a"), None);
            std::mem::forget(builds.begin(&build).unwrap());
        };
        let (early, ()) = tokio::join!(early, later);
        assert_eq!(early.unwrap().reference, "a");
        assert_eq!(builds.get("b").await.err().unwrap().message(), "no such job b");
        let (again, _) = Build::new(&request("a"), None);
        assert!(builds.begin(&again).is_err());
    }

    #[tokio::test]
    async fn the_end_of_a_build_ends_all_that_belongs_to_it() {
        let builds = Builds::default();
        let (build, result) = Build::new(&request("a"), None);
        let running = builds.begin(&build).unwrap();
        build.give_back(Ok(None)).unwrap();
        assert!(build.give_back(Ok(None)).is_err() && result.await.unwrap().unwrap().is_none());
        drop(running);
        let never = build.within(std::future::pending::<Result<(), Status>>()).await;
        assert_eq!(never.unwrap_err().code(), tonic::Code::Cancelled);
    }

    #[tokio::test]
    async fn who_asks_how_it_went_may_come_late() {
        let builds = Builds::default();
        for number in 0..=REMEMBERED {
            let look = SolveRequest { internal: true, ..request(&number.to_string()) };
            drop(builds.begin(&Build::new(&look, None).0).unwrap());
        }
        assert!(builds.progress("1").await.is_ok());
        assert_eq!(builds.0.borrow().over.len(), REMEMBERED);
    }

    #[test]
    fn exporters_of_old_clients() {
        let old = SolveRequest { exporter_deprecated: "moby".into(), ..SolveRequest::default() };
        assert_eq!(exporters(&old)[0].r#type, "moby");
        assert!(exporters(&SolveRequest::default()).is_empty());
    }
}
