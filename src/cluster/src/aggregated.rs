//! What an extension API server says, for components that read it: they ask as themselves, and are authorised as by the API. How
//! the question travels is not known here: [`AggregatedCaller`] is handed in.

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
        match self.0.aggregated.get() {
            Some(caller) => caller.get(self, actor, group, version, path).await,
            None => {
                let why = "the server is currently unable to handle the request";
                Err(Status::new(Reason::ServiceUnavailable, why))
            }
        }
    }
}
