//! One write, as webhooks and policies are asked about it.

use crate::{Actor, Cluster, Remarks, Target};
use ::api::{ResourceVersion, Status};
use bytes::Bytes;
use k8s_openapi::api::autoscaling::v1::Scale;
use kinds::{FieldValidation, Instance, Subresource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

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
    /// Fields of the operation's options (`CreateOptions`, `DeleteOptions`), as JSON has them; `dryRun` is not among them.
    pub(crate) told: Vec<(&'static str, Value)>,
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
