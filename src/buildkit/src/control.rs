//! The service `moby.buildkit.v1.Control`.

use crate::builds::{Begun, Build, Solved};
use crate::proto::control::{
    CacheOptionsEntry, DiskUsageRequest, DiskUsageResponse, InfoRequest, InfoResponse, ListWorkersRequest,
    ListWorkersResponse, PruneRequest, SolveRequest, SolveResponse, StatusRequest, StatusResponse,
    UsageRecord,
};
use crate::proto::history::{
    BuildHistoryEvent, BuildHistoryRequest, UpdateBuildHistoryRequest, UpdateBuildHistoryResponse,
};
use crate::{BuildKit, errors, usage, worker};
use cri::blocking;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

type Many<T> = Result<Response<BoxStream<'static, Result<T, Status>>>, Status>;

impl BuildKit {
    pub(crate) async fn solve(
        self: Arc<Self>,
        request: Request<SolveRequest>,
    ) -> Result<SolveResponse, Status> {
        let request = request.into_inner();
        self.solve_with(Build::new(&request, None), request).await
    }

    pub(crate) async fn solve_with(
        &self,
        (build, returned): Begun,
        request: SolveRequest,
    ) -> Result<SolveResponse, Status> {
        let running = self.builds.begin(&build)?;
        let record =
            (!build.internal).then(|| Record { kit: self, reference: &build.reference, result: None });
        if record.is_some() {
            self.history.started(&request, &build.progress);
        }
        let result = build.within(self.outcome(&build, request, returned)).await;
        if let Some(record) = record {
            record.ended(&result);
        }
        drop(running);
        result
    }

    async fn outcome(
        &self,
        build: &Build,
        request: SolveRequest,
        returned: oneshot::Receiver<Result<Solved, Status>>,
    ) -> Result<SolveResponse, Status> {
        refuse_cache_exports(&request)?;
        let solved = match request.frontend.as_str() {
            "dockerfile.v0" | "gateway.v0" => {
                let built = self.dockerfile(build, &request.frontend_attrs, &request.frontend_inputs).await?;
                Some(Arc::new(built))
            }
            "" if request.definition.is_none() => {
                returned.await.map_err(|_| Status::cancelled("context canceled"))??
            }
            "" => return Err(Status::unknown(DEFINITION)),
            other => return Err(Status::unknown(format!("invalid frontend: {other}"))),
        };
        match solved {
            Some(built) => self.export(build, &built).await,
            None => Ok(SolveResponse::default()),
        }
    }

    pub(crate) async fn status(self: Arc<Self>, request: Request<StatusRequest>) -> Many<StatusResponse> {
        let reference = request.into_inner().r#ref;
        let progress = match self.history.progress(&reference) {
            Some(progress) => progress,
            None => self.builds.progress(&reference).await?,
        };
        Ok(Response::new(progress.follow().map(Ok).boxed()))
    }

    pub(crate) async fn list_workers(
        self: Arc<Self>,
        _: Request<ListWorkersRequest>,
    ) -> Result<ListWorkersResponse, Status> {
        Ok(ListWorkersResponse { record: vec![worker::record(&self.config)] })
    }

    pub(crate) async fn info(self: Arc<Self>, _: Request<InfoRequest>) -> Result<InfoResponse, Status> {
        Ok(InfoResponse { buildkit_version: Some(worker::version()) })
    }

    pub(crate) async fn disk_usage(
        self: Arc<Self>,
        request: Request<DiskUsageRequest>,
    ) -> Result<DiskUsageResponse, Status> {
        let kinds = usage::kinds(&request.into_inner().filter)?;
        let images = self.images.clone();
        let record = tokio::task::spawn_blocking(move || usage::records(&images, kinds)).await;
        Ok(DiskUsageResponse { record: record.map_err(|e| Status::internal(e.to_string()))? })
    }

    pub(crate) async fn prune(self: Arc<Self>, request: Request<PruneRequest>) -> Many<UsageRecord> {
        let request = request.into_inner();
        let kinds = usage::kinds(&request.filter)?;
        let keep = usage::kept(&request)?;
        let younger = Duration::from_nanos(u64::try_from(request.keep_duration).unwrap_or(0));
        let images = self.images.clone();
        let pruned =
            blocking(move || usage::prune(&images, kinds, younger, keep)).await.map_err(errors::of_image)?;
        Ok(Response::new(stream::iter(pruned.into_iter().map(Ok)).boxed()))
    }

    pub(crate) async fn listen_build_history(
        self: Arc<Self>,
        request: Request<BuildHistoryRequest>,
    ) -> Many<BuildHistoryEvent> {
        let asked = request.into_inner();
        let (known, future) = self.history.list(&asked);
        let known = stream::iter(known.into_iter().map(Ok));
        if asked.early_exit {
            return Ok(Response::new(known.boxed()));
        }
        let future = stream::unfold(future, |mut future| async move {
            // who reads too slowly misses some
            loop {
                match future.recv().await {
                    Ok(event) => return Some((Ok(event), future)),
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        let is_wanted = move |event: &Result<BuildHistoryEvent, Status>| {
            let record = event.as_ref().ok().and_then(|event| event.record.as_ref());
            asked.r#ref.is_empty() || record.is_some_and(|record| record.r#ref == asked.r#ref)
        };
        let future = future.filter(move |event| std::future::ready(is_wanted(event)));
        Ok(Response::new(known.chain(future).boxed()))
    }

    pub(crate) async fn update_build_history(
        self: Arc<Self>,
        request: Request<UpdateBuildHistoryRequest>,
    ) -> Result<UpdateBuildHistoryResponse, Status> {
        let asked = request.into_inner();
        match (asked.delete, asked.finalize) {
            (true, _) => self.history.delete(&asked.r#ref)?,
            // all that there will be is there when a build ends
            (_, true) => {}
            _ => self.history.pin(&asked.r#ref, asked.pinned)?,
        }
        Ok(UpdateBuildHistoryResponse {})
    }
}

pub(crate) const DEFINITION: &str =
    "a low-level build (LLB) that is no Dockerfile is not offered: this builder builds Dockerfiles";

/// What a cache in a registry is for: other machines. Saying nothing would leave them without, but for who says that he goes on
/// without it.
fn refuse_cache_exports(request: &SolveRequest) -> Result<(), Status> {
    let may_fail =
        |export: &CacheOptionsEntry| export.attrs.get("ignore-error").is_some_and(|value| value == "true");
    let exports = request.cache.iter().flat_map(|cache| &cache.exports).filter(|export| !may_fail(export));
    match exports.map(|export| export.r#type.as_str()).find(|kind| *kind != "inline") {
        Some(kind) => Err(Status::unknown(format!(
            "exporting the build cache (type={kind}) is not offered: the cache is kept on this machine"
        ))),
        None => Ok(()),
    }
}

/// A build that is dropped was cancelled, and is remembered so.
struct Record<'k> {
    kit: &'k BuildKit,
    reference: &'k str,
    result: Option<()>,
}

impl Record<'_> {
    fn ended(mut self, result: &Result<SolveResponse, Status>) {
        self.result = Some(());
        self.kit.history.ended(self.reference, result);
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if self.result.is_none() {
            self.kit.history.ended(self.reference, &Err(Status::cancelled("context canceled")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::control::CacheOptions;

    #[test]
    fn a_cache_for_others_is_refused_unless_it_may_fail() {
        for (kind, attrs, want) in [
            ("inline", &[][..], true),
            ("registry", &[("ref", "r.io/cache")], false),
            ("local", &[("dest", "x"), ("ignore-error", "false")], false),
            ("gha", &[("ignore-error", "true")], true),
        ] {
            let attrs = attrs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let export = CacheOptionsEntry { r#type: kind.to_owned(), attrs: attrs.collect() };
            let cache = CacheOptions { exports: vec![export], ..CacheOptions::default() };
            let request = SolveRequest { cache: Some(cache), ..SolveRequest::default() };
            assert_eq!(refuse_cache_exports(&request).is_ok(), want, "{kind}");
        }
    }
}
