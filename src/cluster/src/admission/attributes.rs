//! One write, as webhooks and policies are asked about it.

use crate::{Actor, Attributes, Cluster, Remarks, Target};
use ::api::{FieldSelector, Gvk, LabelSelector, ResourceVersion, Status};
use bytes::Bytes;
use expressions::{AccessCheck, Authorizer, Variables};
use k8s_openapi::api::autoscaling::v1::Scale;
use kinds::{FieldValidation, Instance, Subresource, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

/// Who writes what, and how.
pub(crate) struct Admission<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) actor: &'a Actor,
    pub(crate) target: &'a Target,
    pub(crate) operation: Operation,
    pub(crate) dry_run: bool,
    pub(crate) remarks: &'a Remarks,
}

/// An object before and after, of which at least one is there; or what is asked for and stored nowhere: the options of a
/// connection, a Binding, an Eviction.
#[derive(Clone, Copy, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) new: Option<&'a dyn Instance>,
    pub(crate) old: Option<&'a dyn Instance>,
    /// As JSON, with its `apiVersion` and `kind`, which are not those of the path: a `PodExecOptions`, say.
    pub(crate) unstored: Option<&'a Value>,
}

impl<'a> Subject<'a> {
    pub(crate) fn written(new: &'a dyn Instance, old: Option<&'a dyn Instance>) -> Self {
        Subject { new: Some(new), old, unstored: None }
    }

    pub(crate) fn deleted(old: &'a dyn Instance) -> Self {
        Subject { old: Some(old), ..Subject::default() }
    }

    pub(crate) fn unstored(what: &'a Value) -> Self {
        Subject { unstored: Some(what), ..Subject::default() }
    }

    pub(crate) fn name(self) -> Option<String> {
        self.new.or(self.old).and_then(|instance| instance.meta().name.clone())
    }
}

/// What is asked for, as policies and webhooks may change it.
pub(crate) struct Draft<'a> {
    what: What<'a>,
    is_changed: bool,
}

enum What<'a> {
    Object {
        new: &'a mut Box<dyn Instance>,
        old: Option<&'a dyn Instance>,
        prepare: &'a Prepare<'a>,
    },
    /// There is nothing to change.
    Deleted(&'a dyn Instance),
    /// `typed` leaves of what replaces it what its type has.
    Unstored {
        what: &'a mut Value,
        typed: &'a Typed<'a>,
    },
}

impl<'a> Draft<'a> {
    pub(crate) fn object(
        new: &'a mut Box<dyn Instance>,
        old: Option<&'a dyn Instance>,
        prepare: &'a Prepare<'a>,
    ) -> Self {
        Draft { what: What::Object { new, old, prepare }, is_changed: false }
    }

    pub(crate) fn deleted(old: &'a dyn Instance) -> Self {
        Draft { what: What::Deleted(old), is_changed: false }
    }

    pub(crate) fn unstored(what: &'a mut Value, typed: &'a Typed<'a>) -> Self {
        Draft { what: What::Unstored { what, typed }, is_changed: false }
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        match &self.what {
            What::Object { new, old, .. } => Subject::written(&***new, *old),
            What::Deleted(old) => Subject::deleted(*old),
            What::Unstored { what, .. } => Subject::unstored(what),
        }
    }

    pub(crate) fn old(&self) -> Option<&'a dyn Instance> {
        match &self.what {
            What::Object { old, .. } => *old,
            What::Deleted(old) => Some(*old),
            What::Unstored { .. } => None,
        }
    }

    pub(crate) fn new_mut(&mut self) -> Option<&mut dyn Instance> {
        match &mut self.what {
            What::Object { new, .. } => Some(&mut ***new),
            What::Deleted(_) | What::Unstored { .. } => None,
        }
    }

    /// Has the cluster itself change what is stored nowhere; nothing where it is an object.
    ///
    /// # Errors
    /// `InternalError` where it is no `T`.
    pub(crate) fn change_unstored<T: Serialize + DeserializeOwned>(
        &mut self,
        change: impl FnOnce(&mut T),
    ) -> Result<(), Status> {
        let What::Unstored { what, .. } = &mut self.what else { return Ok(()) };
        let mut object: T = serde_json::from_value((**what).clone()).map_err(Status::internal)?;
        change(&mut object);
        **what = serde_json::to_value(&object).map_err(Status::internal)?;
        Ok(())
    }

    /// Whether a policy or a webhook has changed it.
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// To see whether somebody has changed it since it was seen.
    pub(crate) fn encoded(&self) -> Result<Bytes, Status> {
        match &self.what {
            What::Object { new, .. } => encoded(&***new),
            What::Deleted(old) => encoded(*old),
            What::Unstored { what, .. } => Ok(what.to_string().into()),
        }
    }
}

/// Puts in order what a policy or a webhook has changed: defaults, and what only the system sets.
pub(crate) type Prepare<'a> = dyn Fn(&mut dyn Instance) + Send + Sync + 'a;

pub(crate) type Typed<'a> = dyn Fn(Value) -> Result<Value, Status> + Send + Sync + 'a;

impl Admission<'_> {
    /// Whether there is any policy or webhook at all.
    pub(crate) fn is_of_interest(&self) -> bool {
        self.has_policies() || self.has_webhooks()
    }

    pub(crate) fn has_policies(&self) -> bool {
        self.cluster.0.policies.any()
    }

    pub(crate) fn has_webhooks(&self) -> bool {
        self.cluster.0.webhooks.any()
    }

    /// Nobody is asked about what would ask him.
    fn is_of_admission(&self, resources: &[&str]) -> bool {
        let gvr = &self.target.version.info().gvr;
        gvr.group == "admissionregistration.k8s.io" && resources.contains(&gvr.resource.as_ref())
    }

    /// A broken configuration of webhooks, or a policy, could not be mended. What a binding makes of its pod is nobody's matter:
    /// the Binding itself was.
    pub(crate) fn is_exempt_from_webhooks(&self) -> bool {
        let configurations = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
        self.is_of_admission(&configurations) || self.is_exempt_from_policies()
    }

    pub(crate) fn is_exempt_from_policies(&self) -> bool {
        let policies = [
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
            "mutatingadmissionpolicies",
            "mutatingadmissionpolicybindings",
        ];
        let is_of_binding = self.target.subresource == Some(Subresource::Binding);
        self.is_of_admission(&policies) || (is_of_binding && self.operation == Operation::Update)
    }

    /// Puts `after`, which may be in another version of the kind, in the draft's place.
    ///
    /// # Errors
    /// `InternalError` where it is no object of the kind any more.
    pub(crate) async fn replace(&self, draft: &mut Draft<'_>, after: Value) -> Result<(), Status> {
        let (new, prepare) = match &mut draft.what {
            What::Object { new, prepare, .. } => (new, prepare),
            What::Deleted(_) => return Ok(()),
            What::Unstored { what, typed } => {
                **what = typed(after)?;
                draft.is_changed = true;
                return Ok(());
            }
        };
        if self.target.subresource == Some(Subresource::Scale) {
            let scale: Scale = serde_json::from_value(after).map_err(Status::internal)?;
            let mut scaled = new.clone_box();
            kinds::scale::set(&mut *scaled, &scale)?;
            keep_identity(&mut *scaled, &***new);
            prepare(&mut *scaled);
            **new = scaled;
            draft.is_changed = true;
            return Ok(());
        }
        let mut after = self.cluster.value_in_version(&self.target.version, after).await?;
        let gvk = &self.target.version.info().gvk;
        if let Some(fields) = after.as_object_mut() {
            fields.insert("apiVersion".to_owned(), gvk.api_version().into());
            fields.insert("kind".to_owned(), gvk.kind.clone().into());
        }
        let bytes = serde_json::to_vec(&after).map_err(Status::internal)?;
        let decoded = self.target.version.decode(&bytes, FieldValidation::Ignore);
        let mut decoded = decoded.map_err(|why| Status::internal(why.message))?.instance;
        keep_identity(&mut *decoded, &***new);
        prepare(&mut *decoded);
        **new = decoded;
        draft.is_changed = true;
        Ok(())
    }

    fn request(&self, subject: Subject<'_>, name: &str, via: &Version) -> Value {
        let Admission { actor, target, operation, dry_run, .. } = self;
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

/// What nobody who is asked can change.
fn keep_identity(new: &mut dyn Instance, before: &dyn Instance) {
    let (new, before) = (new.meta_mut(), before.meta());
    new.name.clone_from(&before.name);
    new.generate_name.clone_from(&before.generate_name);
    new.namespace.clone_from(&before.namespace);
    new.uid.clone_from(&before.uid);
    new.resource_version.clone_from(&before.resource_version);
    new.creation_timestamp.clone_from(&before.creation_timestamp);
    new.deletion_timestamp.clone_from(&before.deletion_timestamp);
    new.deletion_grace_period_seconds = before.deletion_grace_period_seconds;
    new.generation = before.generation;
}

pub(crate) fn encoded(instance: &dyn Instance) -> Result<Bytes, Status> {
    Ok(instance.encode()?.stamp(ResourceVersion(0)).bytes().clone())
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
