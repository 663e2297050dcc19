//! Tokens of service accounts: a TokenRequest is answered with the token that it asks for, and is not stored.

use super::{Call, show_typed};
use crate::request::{Request, typed_body};
use crate::{negotiate, params};
use api::Status;
use cluster::{BoundObject, TokenRequestParams};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use warp::reply::Response;

impl Call<'_> {
    pub(super) async fn token(&self, request: &mut Request) -> Result<Response, Status> {
        negotiate::no_table(request)?;
        let asked: TokenRequest = typed_body(request).await?;
        let client = self.state.cluster.acting_as(self.actor.clone());
        let (namespace, name) = (
            self.target.namespace.as_deref().unwrap_or_default(),
            self.target.name.as_deref().unwrap_or_default(),
        );
        let options = self.heard(params::write(request)?);
        let mut asked = client.admit_token_request(namespace, name, asked, &options).await?;
        let spec = asked.spec.get_or_insert_default();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let bound = spec.bound_object_ref.as_ref().map(|to| {
            BoundObject::new(&text(&to.api_version), &text(&to.kind), text(&to.name), text(&to.uid))
        });
        let issued = client.create_token(
            namespace,
            name,
            TokenRequestParams {
                audiences: spec.audiences.clone().unwrap_or_default(),
                expiration_seconds: spec.expiration_seconds,
                bound: bound.transpose()?,
            },
        )?;
        spec.audiences = Some(issued.audiences);
        spec.expiration_seconds = Some(issued.seconds);
        asked.status = Some(TokenRequestStatus {
            expiration_timestamp: Some(Time(issued.expires_at)),
            token: Some(issued.token),
        });
        show_typed(201, &asked)
    }
}
