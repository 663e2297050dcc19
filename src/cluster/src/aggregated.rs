//! What an extension API server says and has, for components that read it or delete there: they ask as themselves, and are
//! authorised as by the API. How the question travels is not known here: [`AggregatedCaller`] is handed in.

use crate::{Actor, Cluster};
use ::api::{Reason, Status};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// Asks whoever an APIService names.
#[async_trait]
pub trait AggregatedCaller: Send + Sync + 'static {
    /// What is at `path` (with its query) below the group and version.
    ///
    /// # Errors
    /// `Forbidden`, `ServiceUnavailable`, and what is answered.
    async fn get(
        &self,
        cluster: &Cluster,
        actor: &Actor,
        group: &str,
        version: &str,
        path: &str,
    ) -> Result<Bytes, Status>;

    /// Deletes what is at `path` (with its query) below the group and version: an object, or all of a collection.
    ///
    /// # Errors
    /// As [`AggregatedCaller::get`].
    async fn delete(
        &self,
        cluster: &Cluster,
        actor: &Actor,
        group: &str,
        version: &str,
        path: &str,
    ) -> Result<(), Status>;
}

impl Cluster {
    /// From now on extension API servers are asked by this.
    pub fn ask_aggregated_through(&self, caller: Arc<dyn AggregatedCaller>) {
        let _ = self.0.aggregated.set(caller);
    }

    /// # Errors
    /// As [`AggregatedCaller::get`].
    pub async fn get_aggregated(
        &self,
        actor: &Actor,
        group: &str,
        version: &str,
        path: &str,
    ) -> Result<Bytes, Status> {
        self.aggregated_caller()?.get(self, actor, group, version, path).await
    }

    /// # Errors
    /// As [`AggregatedCaller::delete`].
    pub async fn delete_aggregated(
        &self,
        actor: &Actor,
        group: &str,
        version: &str,
        path: &str,
    ) -> Result<(), Status> {
        self.aggregated_caller()?.delete(self, actor, group, version, path).await
    }

    fn aggregated_caller(&self) -> Result<&Arc<dyn AggregatedCaller>, Status> {
        let why = "the server is currently unable to handle the request";
        self.0.aggregated.get().ok_or_else(|| Status::new(Reason::ServiceUnavailable, why))
    }
}
