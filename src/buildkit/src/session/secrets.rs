//! `--secret`

use super::{Session, is_absent};
use crate::proto::session::{GetSecretRequest, GetSecretResponse};
use async_trait::async_trait;
use image::BuildSecrets;
use std::sync::Arc;

const METHOD: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";

/// The client's secrets: each is asked for when a RUN needs it, and kept nowhere.
pub(crate) struct Secrets(pub(crate) Arc<Session>);

#[async_trait]
impl BuildSecrets for Secrets {
    async fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, String> {
        if !self.0.offers(METHOD) {
            return Ok(None);
        }
        match self.0.ask(METHOD, GetSecretRequest { id: id.to_owned() }).await {
            Ok(GetSecretResponse { data }) => Ok(Some(data)),
            Err(status) if is_absent(&status) => Ok(None),
            Err(status) => Err(format!("secret {id}: {}", status.message())),
        }
    }
}
