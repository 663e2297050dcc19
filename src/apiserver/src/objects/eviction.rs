//! The eviction of a pod, which its disruption budgets may refuse.

use super::Call;
use crate::request::{Request, typed};
use crate::{negotiate, params, responses};
use api::Status;
use cluster::WriteOptions;
use k8s_openapi::api::policy::v1::Eviction;
use warp::reply::Response;

impl Call<'_> {
    pub(super) async fn evict(&self, request: &mut Request) -> Result<Response, Status> {
        negotiate::no_table(request)?;
        let body = request.json_body().await?;
        let eviction: Eviction = typed(&body).map_err(|e| Status::bad_request(format!("Eviction: {e}")))?;
        let read = |eviction: &Eviction| match &eviction.delete_options {
            Some(options) => params::delete(request, &serde_json::to_vec(options).map_err(Status::internal)?),
            None => params::delete(request, &[]),
        };
        let asked = WriteOptions { dry_run: read(&eviction)?.dry_run, ..self.heard(WriteOptions::default()) };
        let cluster = &self.state.cluster;
        let eviction = cluster.admit_eviction(self.actor, &self.target, eviction, &asked).await?;
        let options = read(&eviction)?;
        self.state.cluster.evict(self.actor, &self.target, &options).await?;
        Ok(responses::success(201))
    }
}
