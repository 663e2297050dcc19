//! What is to be done about a snapshot, from data alone: one step at a time, after each it is looked at anew.

use api::ObjectKey;
use cluster::{STORAGE_PROVISIONER, subject};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::snapshot::{
    BEING_DELETED, BOUND_FINALIZER, DELETE, IS_DEFAULT, SOURCE_FINALIZER, SnapshotError, VolumeSnapshot,
    VolumeSnapshotClass, VolumeSnapshotContent, VolumeSnapshotContentSource, VolumeSnapshotContentSpec,
    VolumeSnapshotStatus,
};
use kinds::{key_of, volume, whole_second};

/// What there is beside a snapshot.
#[derive(Default)]
pub(super) struct Surroundings {
    /// The content that bears the name of the snapshot's own, whosever it is.
    pub(super) content: Option<VolumeSnapshotContent>,
    pub(super) claim: Option<PersistentVolumeClaim>,
    /// The claim's.
    pub(super) volume: Option<PersistentVolume>,
    pub(super) classes: Vec<VolumeSnapshotClass>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Nothing,
    /// Gives the snapshot these finalizers.
    Hold(Vec<&'static str>),
    /// Tells, once, that it is not ready, and why.
    Fail {
        reason: &'static str,
        message: String,
    },
    /// The class that it did not name.
    SetClass(String),
    /// Holds the claim, and makes the content.
    Create(Box<VolumeSnapshotContent>),
    /// Says in the content which snapshot it is bound to.
    Bind,
    Show(Box<VolumeSnapshotStatus>),
}

fn fail(reason: &'static str, message: impl Into<String>) -> Step {
    Step::Fail { reason, message: message.into() }
}

/// Of a snapshot that is not on its way out.
pub(super) fn step(snapshot: &VolumeSnapshot, around: &Surroundings) -> Step {
    let source = &snapshot.spec.source;
    if source.persistent_volume_claim_name.is_some() == source.volume_snapshot_content_name.is_some() {
        let message =
            "Exactly one of PersistentVolumeClaimName and VolumeSnapshotContentName should be specified";
        return fail("SnapshotValidationError", message);
    }
    let content = match around.content.as_ref().map(|content| own(snapshot, content)).transpose() {
        Ok(content) => content,
        // what was bound before says so in fewer words
        Err(_) if snapshot.bound_content().is_some() => {
            let message = "VolumeSnapshotContent is not bound to the VolumeSnapshot correctly";
            return fail("SnapshotMisbound", message);
        }
        Err(step) => return step,
    };
    let deletes = content.is_some_and(|content| content.spec.deletion_policy == DELETE);
    let wanted = [(SOURCE_FINALIZER, true), (BOUND_FINALIZER, deletes)];
    let has = |finalizer: &str| volume::has_finalizer(&snapshot.metadata, finalizer);
    let missing = wanted.into_iter().filter(|(finalizer, wanted)| *wanted && !has(finalizer));
    let missing: Vec<&'static str> = missing.map(|(finalizer, _)| finalizer).collect();
    if !missing.is_empty() {
        return Step::Hold(missing);
    }
    let Some(content) = content else { return without_content(snapshot, around) };
    if content.spec.volume_snapshot_ref.uid.is_none() {
        return Step::Bind;
    }
    let shown = shown(snapshot, content);
    match snapshot.status.as_ref() == Some(&shown) {
        true => Step::Nothing,
        false => Step::Show(Box::new(shown)),
    }
}

/// The content, where it is of the kind that the snapshot asks for, and no other snapshot's.
fn own<'c>(
    snapshot: &VolumeSnapshot,
    content: &'c VolumeSnapshotContent,
) -> Result<&'c VolumeSnapshotContent, Step> {
    let name = content.metadata.name.as_deref().unwrap_or_default();
    let is_named = snapshot.spec.source.volume_snapshot_content_name.is_some();
    if is_named && content.spec.source.snapshot_handle.is_none() {
        let message =
            "VolumeSnapshotContent is dynamically provisioned while expecting a pre-provisioned one";
        return Err(fail("SnapshotContentMismatch", message));
    }
    if !is_named && content.spec.source.volume_handle.is_none() {
        let message = format!(
            "VolumeSnapshotContent {name} is pre-provisioned while expecting a dynamically provisioned one"
        );
        return Err(fail("SnapshotContentMismatch", message));
    }
    // one that a user made names the snapshot, and can not know its uid
    let of = &content.spec.volume_snapshot_ref;
    let is_promised = is_named && of.uid.is_none() && content.snapshot() == key_of(&snapshot.metadata);
    if !is_promised && !content.is_of(snapshot) {
        let message = format!("VolumeSnapshotContent [{name}] is bound to a different snapshot");
        return Err(fail("SnapshotContentMisbound", message));
    }
    Ok(content)
}

fn without_content(snapshot: &VolumeSnapshot, around: &Surroundings) -> Step {
    let is_named = snapshot.spec.source.volume_snapshot_content_name.is_some();
    // another is not made of what the claim holds by now
    if is_named || snapshot.bound_content().is_some() {
        return fail("SnapshotContentMissing", "VolumeSnapshotContent is missing");
    }
    let Some(class_name) = snapshot.spec.volume_snapshot_class_name.as_deref() else {
        return match default_class(snapshot, around) {
            Ok(name) => Step::SetClass(name),
            Err(why) => fail(
                "SetDefaultSnapshotClassFailed",
                format!("Failed to set default snapshot class with error {why}"),
            ),
        };
    };
    let named = |class: &&VolumeSnapshotClass| class.metadata.name.as_deref() == Some(class_name);
    let Some(class) = around.classes.iter().find(named) else {
        let why = format!("volumesnapshotclass.snapshot.storage.k8s.io {class_name:?} not found");
        return fail("GetSnapshotClassFailed", format!("Failed to get snapshot class with error {why}"));
    };
    match content(snapshot, around, class) {
        Ok(content) => Step::Create(Box::new(content)),
        Err(why) => fail(
            "SnapshotContentCreationFailed",
            format!("Failed to create snapshot content with error {why}"),
        ),
    }
}

/// The driver of the claim's volume, and its name for the volume.
fn driver_and_handle(snapshot: &VolumeSnapshot, around: &Surroundings) -> Result<(String, String), String> {
    let name = snapshot.spec.source.persistent_volume_claim_name.as_deref().unwrap_or_default();
    let Some(claim) = &around.claim else {
        return Err(format!(
            "failed to retrieve PVC {name} from the lister: \"persistentvolumeclaim \\\"{name}\\\" not found\""
        ));
    };
    if volume::phase(claim) != "Bound" {
        return Err(format!("the PVC {name} is not yet bound to a PV, will not attempt to take a snapshot"));
    }
    let held = around.volume.as_ref().filter(|held| volume::is_bound_to(held, claim));
    let held = held.ok_or("claim in dataSource not bound or invalid")?;
    let spec = held.spec.as_ref();
    if let Some(csi) = spec.and_then(|spec| spec.csi.as_ref()) {
        return Ok((csi.driver.clone(), csi.volume_handle.clone()));
    }
    // a directory of the cluster's own provisioner is called as its volume is
    let made_by = volume::annotation(&held.metadata, volume::PROVISIONED_BY);
    match (made_by == Some(STORAGE_PROVISIONER), held.metadata.name.clone()) {
        (true, Some(name)) => Ok((STORAGE_PROVISIONER.to_owned(), name)),
        _ => Err(format!(
            "snapshotting non-CSI volumes is not supported, snapshot:{}",
            key_of(&snapshot.metadata)
        )),
    }
}

/// The one default class of the volume's driver.
fn default_class(snapshot: &VolumeSnapshot, around: &Surroundings) -> Result<String, String> {
    let (driver, _) = driver_and_handle(snapshot, around)?;
    let is_default = |class: &&VolumeSnapshotClass| {
        volume::annotation(&class.metadata, IS_DEFAULT) == Some("true") && class.driver == driver
    };
    let all: Vec<&VolumeSnapshotClass> = around.classes.iter().filter(is_default).collect();
    match all.as_slice() {
        [] => Err("cannot find default snapshot class".to_owned()),
        [one] => Ok(one.metadata.name.clone().unwrap_or_default()),
        many => Err(format!("{} default snapshot classes were found", many.len())),
    }
}

/// What the driver is told of the snapshot.
fn content(
    snapshot: &VolumeSnapshot,
    around: &Surroundings,
    class: &VolumeSnapshotClass,
) -> Result<VolumeSnapshotContent, String> {
    if around.claim.as_ref().is_some_and(|claim| claim.metadata.deletion_timestamp.is_some()) {
        return Err("cannot add finalizer on claim because it is being deleted".to_owned());
    }
    let (driver, handle) = driver_and_handle(snapshot, around)?;
    let class_name = class.metadata.name.as_deref().unwrap_or_default();
    if driver != class.driver {
        return Err(format!(
            "the volume's driver is {driver}, and that of the class {class_name} is {}",
            class.driver
        ));
    }
    let name = snapshot.content_name().ok_or("it has no uid")?;
    let mut metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
    if let Some((secret, namespace)) = secret(snapshot, class, &name)? {
        volume::annotate(&mut metadata, "snapshot.storage.kubernetes.io/deletion-secret-name", &secret);
        volume::annotate(
            &mut metadata,
            "snapshot.storage.kubernetes.io/deletion-secret-namespace",
            &namespace,
        );
    }
    let mode = around.volume.as_ref().and_then(|held| held.spec.as_ref()?.volume_mode.clone());
    Ok(VolumeSnapshotContent {
        metadata,
        spec: VolumeSnapshotContentSpec {
            deletion_policy: class.deletion_policy.clone(),
            driver,
            source: VolumeSnapshotContentSource {
                volume_handle: Some(handle),
                ..VolumeSnapshotContentSource::default()
            },
            source_volume_mode: mode,
            volume_snapshot_class_name: Some(class_name.to_owned()),
            volume_snapshot_ref: subject(snapshot),
            ..VolumeSnapshotContentSpec::default()
        },
        status: None,
    })
}

/// With what the driver deletes, where the class says it; upstream's placeholders may stand in both.
fn secret(
    snapshot: &VolumeSnapshot,
    class: &VolumeSnapshotClass,
    content: &str,
) -> Result<Option<(String, String)>, String> {
    const NAME: &str = "csi.storage.k8s.io/snapshotter-secret-name";
    const NAMESPACE: &str = "csi.storage.k8s.io/snapshotter-secret-namespace";
    let parameter =
        |key| class.parameters.as_ref().and_then(|all| all.get(key)).filter(|text| !text.is_empty());
    let own = &snapshot.metadata;
    let filled = |text: &String| {
        text.replace("${volumesnapshotcontent.name}", content)
            .replace("${volumesnapshot.name}", own.name.as_deref().unwrap_or_default())
            .replace("${volumesnapshot.namespace}", own.namespace.as_deref().unwrap_or_default())
    };
    match (parameter(NAME), parameter(NAMESPACE)) {
        (Some(name), Some(namespace)) => Ok(Some((filled(name), filled(namespace)))),
        (None, None) => Ok(None),
        _ => Err(format!(
            "either name and namespace for Snapshotter secrets specified, Both must be specified: {NAME}, {NAMESPACE}"
        )),
    }
}

/// What a snapshot's status says of the content that it is bound to.
fn shown(snapshot: &VolumeSnapshot, content: &VolumeSnapshotContent) -> VolumeSnapshotStatus {
    let mut shown = snapshot.status.clone().unwrap_or_default();
    let status = content.status.clone().unwrap_or_default();
    let at = status.creation_time.and_then(|at| Timestamp::from_nanosecond(at.into()).ok());
    shown.bound_volume_snapshot_content_name.clone_from(&content.metadata.name);
    shown.creation_time = shown.creation_time.or(at.map(whole_second));
    shown.restore_size = shown.restore_size.or(status.restore_size.map(|size| Quantity(binary(size))));
    let is_ready = status.ready_to_use == Some(true);
    shown.ready_to_use = Some(is_ready);
    // what was wrong before there was a content is over
    shown.error = status.error.filter(|_| !is_ready);
    shown
}

/// Bytes as upstream writes them: `1Gi`.
fn binary(bytes: i64) -> String {
    const UNITS: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let (mut left, mut unit) = (bytes, 0);
    while left != 0 && left % 1024 == 0 && unit + 1 < UNITS.len() {
        (left, unit) = (left / 1024, unit + 1);
    }
    format!("{left}{}", UNITS[unit])
}

/// That it is not ready, and why; `None` where that is told already.
pub(super) fn failed(
    snapshot: &VolumeSnapshot,
    message: &str,
    now: Timestamp,
) -> Option<VolumeSnapshotStatus> {
    let mut status = snapshot.status.clone().unwrap_or_default();
    if status.error.as_ref().and_then(|error| error.message.as_deref()) == Some(message) {
        return None;
    }
    let time = Some(whole_second(now));
    status.error = Some(SnapshotError { message: Some(message.to_owned()), time });
    status.ready_to_use = Some(false);
    Some(status)
}

/// How a snapshot that is on its way out goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A claim's volume is being made of it.
    Wait,
    /// Tells the content's driver that it may do what the policy says.
    Tell,
    DeleteContent,
    /// Takes these finalizers away.
    LetGo(&'static [&'static str]),
}

pub(super) fn ending(
    snapshot: &VolumeSnapshot,
    content: Option<&VolumeSnapshotContent>,
    is_being_restored: bool,
) -> Ending {
    let Some(content) = content.filter(|content| content.is_of(snapshot)) else {
        return Ending::LetGo(&[SOURCE_FINALIZER, BOUND_FINALIZER]);
    };
    let deletes = content.spec.deletion_policy == DELETE;
    if is_being_restored {
        Ending::Wait
    } else if volume::annotation(&content.metadata, BEING_DELETED).is_none() {
        Ending::Tell
    } else if deletes && content.metadata.deletion_timestamp.is_none() {
        Ending::DeleteContent
    } else if deletes {
        // the other when the content is gone
        Ending::LetGo(&[SOURCE_FINALIZER])
    } else {
        Ending::LetGo(&[SOURCE_FINALIZER, BOUND_FINALIZER])
    }
}

/// Whether a snapshot is still to be made of the claim.
pub(super) fn is_being_taken<'s>(
    claim: &ObjectKey,
    mut snapshots: impl Iterator<Item = &'s VolumeSnapshot>,
) -> bool {
    snapshots.any(|snapshot| {
        snapshot.claim().as_ref() == Some(claim)
            && !snapshot.is_ready()
            && snapshot.metadata.deletion_timestamp.is_none()
    })
}
