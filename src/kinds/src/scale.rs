//! The `scale` of those kinds that have one.

use crate::{ErrorList, Instance, ScaleNumbers, Version};
use api::{GroupResource, Gvk, Reason, Status};
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::{Value, json};

/// In the words of a query; `None` where it is no good selector.
pub(crate) fn told(selector: &LabelSelector) -> Option<String> {
    crate::selectors::from_object(selector).ok().map(|selector| selector.to_string())
}

/// `None` for a kind that can not be scaled.
pub fn of(object: &dyn Instance) -> Option<Scale> {
    let ScaleNumbers { wanted, current, selector } = object.scale()?;
    let meta = object.meta();
    Some(Scale {
        metadata: ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            creation_timestamp: meta.creation_timestamp.clone(),
            ..ObjectMeta::default()
        },
        spec: Some(ScaleSpec { replicas: Some(wanted.unwrap_or(0)) }),
        status: Some(ScaleStatus { replicas: current.unwrap_or(0), selector }),
    })
}

/// What an apply of the scale says of its object, which is of that version.
pub fn as_applied(scale: &Scale, of: &Version) -> Value {
    let (said, gvk) = (&scale.metadata, &of.info().gvk);
    let mut config = json!({"apiVersion": gvk.api_version(), "kind": gvk.kind, "metadata": {}});
    for (field, value) in [
        ("name", &said.name),
        ("namespace", &said.namespace),
        ("uid", &said.uid),
        ("resourceVersion", &said.resource_version),
    ] {
        if let Some(value) = value {
            config["metadata"][field] = value.as_str().into();
        }
    }
    let replicas = scale.spec.as_ref().and_then(|spec| spec.replicas);
    if let Some((replicas, path)) = replicas.zip(of.replicas_path()) {
        let place = path.iter().fold(&mut config, |at, field| &mut at[*field]);
        *place = replicas.into();
    }
    config
}

/// That a patch or an apply of a scale, which may say whose it is, says it of that object. Upstream names the part here as well.
///
/// # Errors
/// `Conflict`.
pub fn is_of(resource: &GroupResource, of: &ObjectMeta, asked: Option<&str>) -> Result<(), Status> {
    let stored = of.uid.as_deref().unwrap_or_default();
    let Some(asked) = asked.filter(|asked| !asked.is_empty() && *asked != stored) else { return Ok(()) };
    let part = GroupResource {
        group: resource.group.clone(),
        resource: format!("{}/scale", resource.resource).into(),
    };
    let why = format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {stored}");
    Err(Status::conflict(&part, of.name.as_deref().unwrap_or_default(), why))
}

/// Sets the wanted number, with the scale's resourceVersion and uid as preconditions, and what it says of its place.
///
/// # Errors
/// A negative number; a kind that can not be scaled.
pub fn set(object: &mut dyn Instance, scale: &Scale) -> Result<(), Status> {
    let replicas = scale.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0);
    if replicas < 0 {
        let mut errors = ErrorList::default();
        errors.invalid("spec.replicas", replicas, "must be greater than or equal to 0");
        let name = object.meta().name.clone().unwrap_or_default();
        return Err(Status::invalid(&Gvk::new("autoscaling", "v1", "Scale"), &name, errors.into_causes()));
    }
    if object.scale().is_none() {
        return Err(Status::new(Reason::NotFound, "the server could not find the requested resource"));
    }
    let (of, said) = (object.meta_mut(), &scale.metadata);
    of.resource_version.clone_from(&said.resource_version);
    for (of, said) in
        [(&mut of.name, &said.name), (&mut of.namespace, &said.namespace), (&mut of.uid, &said.uid)]
    {
        if said.as_deref().is_some_and(|said| !said.is_empty()) {
            of.clone_from(said);
        }
    }
    object.set_replicas(replicas);
    Ok(())
}
