//! The scale of an object: read, set, patched and applied as an object of its own, and stored as the number that it is.

use super::{Call, show_typed};
use crate::params;
use crate::parse_budget::read_in_turn;
use crate::patch_body::{APPLY_YAML, Patch};
use crate::request::{Request, typed, typed_body};
use crate::responses::not_found;
use api::{Object, Status};
use cluster::{Verb, Wanted};
use k8s_openapi::api::autoscaling::v1::Scale;
use warp::reply::Response;

impl Call<'_> {
    pub(super) async fn get_scale(&self) -> Result<Response, Status> {
        self.show_scale(self.state.cluster.get(self.actor, &self.target)?).await
    }

    pub(super) async fn put_scale(&self, request: &mut Request) -> Result<Response, Status> {
        let scale: Scale = typed_body(request).await?;
        self.write_scale(request, Verb::Update, &|_| Ok(scale.clone())).await
    }

    pub(super) async fn patch_scale(&self, request: &mut Request) -> Result<Response, Status> {
        if request.media_type() == APPLY_YAML {
            return self.apply_scale(request).await;
        }
        let patch = Patch::read(request).await?;
        self.write_scale(request, Verb::Patch, &|scale| {
            let current = serde_json::to_value(scale).map_err(Status::internal)?;
            let fields = schema::table::named("autoscaling.v1.Scale");
            let mut patched = patch.apply_value(current, fields)?;
            if let Some(fields) = fields {
                schema::zero_nulls(&mut patched, fields);
            }
            let mut patched: Scale =
                serde_json::from_value(patched).map_err(|e| Status::bad_request(e.to_string()))?;
            // nobody asked for a revision: where somebody was faster it is tried again
            if patched.metadata.resource_version == scale.metadata.resource_version {
                patched.metadata.resource_version = None;
            }
            Ok(patched)
        })
        .await
    }

    /// As an apply of the object that says nothing but its replicas, by a manager of the part.
    async fn apply_scale(&self, request: &mut Request) -> Result<Response, Status> {
        let (options, force) = params::apply(request)?;
        let options = self.heard(options);
        let validation = params::field_validation(request);
        let body = serde_json::to_vec(&request.yaml_body().await?).map_err(Status::internal)?;
        let scale: Scale = typed(&body).map_err(|e| Status::bad_request(format!("Scale: {e}")))?;
        let config = kinds::scale::as_applied(&scale, &self.target.version);
        let wanted = Wanted { config, force, validation, doubled_keys: Vec::new() };
        let applied = self.state.cluster.apply(self.actor, &self.target, wanted, &options).await?;
        self.show_scale(applied.object).await
    }

    async fn show_scale(&self, object: Object) -> Result<Response, Status> {
        let version = self.target.version.clone();
        let object = self.state.cluster.one_in_version(&version, object).await?;
        let scale = move |object: &Object| {
            let instance = version.decode_stored(object)?;
            kinds::scale::of(&*instance).ok_or_else(not_found)
        };
        show_typed(200, &read_in_turn(self.turns, &object, scale).await?)
    }

    async fn write_scale(
        &self,
        request: &Request,
        verb: Verb,
        change: &(dyn Fn(&Scale) -> Result<Scale, Status> + Send + Sync),
    ) -> Result<Response, Status> {
        let options = self.heard(params::write(request)?);
        let (version, resource) = (&self.target.version, self.target.group_resource());
        let set = |current: &Object| {
            let mut instance = version.decode_stored(current)?;
            let scale = change(&kinds::scale::of(&*instance).ok_or_else(not_found)?)?;
            // of a PUT it is a precondition, as of the object itself
            if verb == Verb::Patch {
                kinds::scale::is_of(&resource, instance.meta(), scale.metadata.uid.as_deref())?;
            }
            kinds::scale::set(&mut *instance, &scale)?;
            Ok(instance)
        };
        // authorised as the part, written as the whole: generation and validation are those of the object
        let written = self.state.cluster.modify(self.actor, &self.target, verb, &options, &set).await?;
        self.show_scale(written).await
    }
}
