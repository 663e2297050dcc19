//! The scale of whatever has one: what others own pods by, and what autoscalers set. Read and written as the API's `scale`
//! subresource, under the controller's own rights.

use api::{Gvk, Object, Reason, Status};
use cluster::{Client, Target, Verb, WriteOptions};
use k8s_openapi::api::autoscaling::v1::Scale;
use kinds::Subresource;

/// Whose scale it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScaleRef<'r> {
    pub namespace: &'r str,
    pub api_version: &'r str,
    pub kind: &'r str,
    pub name: &'r str,
}

/// # Errors
/// `NotFound` for a kind that is not served, or has no scale, and for an object that is not there; `Forbidden`.
pub(crate) async fn read(client: &Client, of: ScaleRef<'_>) -> Result<Scale, Status> {
    let target = target(client, of)?;
    let object = client.cluster().get(client.actor(), &target)?;
    let object = client.cluster().one_in_version(&target.version, object).await?;
    scale_of(&target, &object)
}

/// # Errors
/// As [`read`], and what a write may be refused for.
pub(crate) async fn write(client: &Client, of: ScaleRef<'_>, replicas: i32) -> Result<(), Status> {
    let target = target(client, of)?;
    let set = |current: &Object| {
        let mut scale = scale_of(&target, current)?;
        scale.metadata.resource_version = None;
        scale.spec.get_or_insert_default().replicas = Some(replicas);
        let mut instance = target.version.decode_stored(current)?;
        kinds::scale::set(&mut *instance, &scale)?;
        Ok(instance)
    };
    let options = WriteOptions::default();
    client.cluster().modify(client.actor(), &target, Verb::Update, &options, &set).await.map(|_| ())
}

fn target(client: &Client, of: ScaleRef<'_>) -> Result<Target, Status> {
    let gvk = Gvk::parse(of.api_version, of.kind);
    let version = client.cluster().registry().by_gvk(&gvk);
    let version = version.ok_or_else(|| {
        let why = format!("no matches for kind {:?} in group {:?}", of.kind, gvk.group);
        Status::new(Reason::NotFound, why)
    })?;
    if !version.info().has_subresource(Subresource::Scale) {
        return Err(no_scale());
    }
    Ok(Target::object(&version, Some(of.namespace), of.name).subresource(Subresource::Scale))
}

fn scale_of(target: &Target, object: &Object) -> Result<Scale, Status> {
    kinds::scale::of(&*target.version.decode_stored(object)?).ok_or_else(no_scale)
}

fn no_scale() -> Status {
    Status::new(Reason::NotFound, "the server could not find the requested resource")
}
