//! What webhooks and policies are asked about a write: the objects, and what expressions have as `request`.

use super::attributes::{Admission, Operation, Subject, encoded};
use crate::{Actor, Attributes, Cluster};
use ::api::{FieldSelector, Gvk, LabelSelector, Status};
use expressions::{AccessCheck, Authorizer, Variables};
use kinds::{Instance, Subresource, Version};
use serde_json::{Value, json};
use std::sync::Arc;

/// What is asked about a write.
pub(crate) struct Question {
    /// Everything but the objects: what expressions have as `request`.
    pub(crate) request: Value,
    pub(crate) object: Option<Value>,
    pub(crate) old: Option<Value>,
    pub(crate) name: String,
}

impl Question {
    /// `via` is the kind in the version that is asked for.
    ///
    /// # Errors
    /// `InternalError` where an object can not be shown in that version.
    pub(crate) async fn new(
        admission: &Admission<'_>,
        subject: Subject<'_>,
        via: &Version,
    ) -> Result<Self, Status> {
        let is_scale = admission.target.subresource == Some(Subresource::Scale);
        let shown = async |instance: Option<&dyn Instance>| match instance {
            Some(instance) if is_scale => scale(instance).map(Some),
            Some(instance) => {
                let value = shown(via, instance)?;
                admission.cluster.value_in_version(via, value).await.map(Some)
            }
            None => Ok(None),
        };
        let name = admission.target.name.clone().or(subject.name()).unwrap_or_default();
        Ok(Question {
            request: admission.request(subject, &name, via),
            object: match subject.unstored {
                Some(what) => Some(what.clone()),
                None => shown(subject.new).await?,
            },
            old: shown(subject.old).await?,
            name,
        })
    }

    pub(crate) fn uid(&self) -> &str {
        self.request["uid"].as_str().unwrap_or_default()
    }

    /// What every expression about a write may name.
    pub(crate) fn variables(&self, admission: &Admission<'_>) -> Variables {
        let null = Value::Null;
        let info = admission.target.version.info();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let about_request = AccessCheck {
            group: info.gvr.group.to_string(),
            resource: info.gvr.resource.to_string(),
            subresource: admission.target.subresource.map_or("", Subresource::name).to_owned(),
            namespace: text(&admission.target.namespace),
            name: self.name.clone(),
            ..AccessCheck::default()
        };
        let rights: Arc<dyn Authorizer> =
            Arc::new(Rights { cluster: admission.cluster.clone(), actor: admission.actor.clone() });
        Variables::default()
            .json("object", self.object.as_ref().unwrap_or(&null))
            .json("oldObject", self.old.as_ref().unwrap_or(&null))
            .json("request", &self.request)
            .authorizer(&rights, about_request)
    }
}

impl Admission<'_> {
    fn request(&self, subject: Subject<'_>, name: &str, via: &Version) -> Value {
        let Admission { actor, target, operation, dry_run, told, .. } = self;
        let kind = |version: &Version| {
            let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
            let gvk = match subject.unstored {
                Some(what) => Gvk::parse(&text(&what["apiVersion"]), &text(&what["kind"])),
                None => {
                    let of_object = &version.info().gvk;
                    target.subresource.map_or_else(|| of_object.clone(), |part| part.kind(of_object))
                }
            };
            json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind})
        };
        let resource = |version: &Version| {
            let gvr = &version.info().gvr;
            json!({"group": gvr.group, "version": gvr.version, "resource": gvr.resource})
        };
        let mut options = match operation {
            Operation::Create => json!({"kind": "CreateOptions"}),
            Operation::Update => json!({"kind": "UpdateOptions"}),
            Operation::Delete => json!({"kind": "DeleteOptions"}),
            Operation::Connect => Value::Null,
        };
        if let Some(options) = options.as_object_mut() {
            options.insert("apiVersion".to_owned(), "meta.k8s.io/v1".into());
            if *dry_run {
                options.insert("dryRun".to_owned(), json!(["All"]));
            }
            options.extend(told.iter().map(|(field, value)| ((*field).to_owned(), value.clone())));
        }
        let mut user = json!({"username": actor.name, "groups": actor.groups});
        if !actor.uid.is_empty() {
            user["uid"] = actor.uid.clone().into();
        }
        if !actor.extra.is_empty() {
            user["extra"] = json!(actor.extra);
        }
        debug_assert!(subject.new.is_some() || subject.old.is_some() || subject.unstored.is_some());
        let mut request = json!({
            "uid": uuid::Uuid::new_v4().to_string(),
            "kind": kind(via), "resource": resource(via),
            "requestKind": kind(&target.version), "requestResource": resource(&target.version),
            "name": name, "operation": operation.name(), "userInfo": user, "dryRun": dry_run, "options": options,
        });
        if let Some(subresource) = target.subresource {
            request["subResource"] = subresource.name().into();
            request["requestSubResource"] = subresource.name().into();
        }
        if let Some(namespace) = &target.namespace {
            request["namespace"] = namespace.clone().into();
        }
        request
    }
}

/// What the one who writes may do.
struct Rights {
    cluster: Cluster,
    actor: Actor,
}

impl Authorizer for Rights {
    fn is_allowed(&self, asked: &AccessCheck) -> bool {
        let account = asked.service_account.as_ref();
        let account = account.map(|(namespace, name)| Actor::service_account(namespace, name));
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let attributes = Attributes {
            verb: asked.verb.clone(),
            group: asked.group.clone(),
            resource: asked.resource.clone(),
            subresource: asked.subresource.clone(),
            namespace: some(&asked.namespace),
            name: some(&asked.name),
            path: asked.path.clone(),
            // whichever
            version: "*".to_owned(),
            fields: FieldSelector::parse(&asked.field_selector).unwrap_or_default(),
            labels: LabelSelector::parse(&asked.label_selector).unwrap_or_default(),
        };
        self.cluster.decide(account.as_ref().unwrap_or(&self.actor), &attributes).is_allowed()
    }
}

/// What is sent and answered at `scale`, whose object nobody sees there.
fn scale(instance: &dyn Instance) -> Result<Value, Status> {
    let none = || Status::internal("a kind that has a scale tells none");
    serde_json::to_value(kinds::scale::of(instance).ok_or_else(none)?).map_err(Status::internal)
}

/// As the version of the kind shows it.
fn shown(version: &Version, instance: &dyn Instance) -> Result<Value, Status> {
    let mut object: Value =
        serde_json::from_slice(&version.present(&encoded(instance)?)).map_err(Status::internal)?;
    if let Some(meta) = object["metadata"].as_object_mut() {
        match instance.meta().resource_version.as_deref().filter(|version| !version.is_empty()) {
            Some(version) => drop(meta.insert("resourceVersion".to_owned(), version.into())),
            None => drop(meta.remove("resourceVersion")),
        }
    }
    Ok(object)
}
