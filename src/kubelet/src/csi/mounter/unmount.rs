//! What is published for pods is taken back, and what is staged for nobody any more.

use super::errors;
use super::{found, is_mounted, is_published, report_in_use};
use crate::csi::layout::{self, Form, Place};
use crate::csi::records::{self, Step, VolumeData};
use crate::csi::{Turn, reconstruct};
use crate::shared::Shared;
use crate::volumes;
use cri::blocking;
use csi::{NodeUnpublishRequest, NodeUnstageRequest};
use futures::future::join_all;
use std::path::Path;

/// Takes back all that drivers have published for a pod, and what they have staged for nobody else. May be repeated.
///
/// # Errors
/// A driver refused or is not there; upstream's words.
pub(crate) async fn unmount_pod(shared: &Shared, pod_dir: &Path) -> Result<(), String> {
    let all = records::all_of_pod(pod_dir).await.map_err(|e| e.to_string())?;
    let all = all.into_iter().map(|found| async move {
        let (place, form) = (found.published(&shared.csi.root), found.form);
        match reconstruct::of_pod(shared, found) {
            Some(data) => unmount(shared, form, &place, &data).await,
            None => forget(form, &place).await.map_err(|e| e.to_string()),
        }
    });
    let failures: Vec<String> = join_all(all).await.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

/// What no driver can be asked for.
async fn forget(form: Form, place: &Place) -> std::io::Result<()> {
    let dir = place.dir.display();
    tracing::warn!(%dir, "a volume whose driver nobody knows is unmounted without it");
    match form {
        // whoever removes the pod's directory unmounts what is below it first
        Form::Filesystem => Ok(()),
        Form::Block => {
            let at = place.at.clone();
            blocking(move || volumes::unmount_all(&at)).await?;
            records::remove(place).await
        }
    }
}

async fn unmount(shared: &Shared, form: Form, place: &Place, data: &VolumeData) -> Result<(), String> {
    let failed = |why: &dyn std::fmt::Display| errors::not_taken_back(form, &data.spec_name, why);
    let turn = shared.csi.turn(&data.driver_name, &data.volume_handle).await;
    unpublish(shared, &turn, form, place, data).await.map_err(|why| failed(&why))?;
    if !data.is_ephemeral() && !has_others(shared, &place.dir, data).await.map_err(|e| failed(&e))? {
        unstage(shared, &turn, form, data).await?;
    }
    // last: it is what tells that something is left to be done
    records::remove(place).await.map_err(|e| failed(&e))?;
    if let (Form::Block, Some(published)) = (form, place.at.parent()) {
        // others may have theirs in it
        let _ = records::remove_empty(published).await;
    }
    Ok(())
}

async fn unpublish(
    shared: &Shared,
    turn: &Turn,
    form: Form,
    place: &Place,
    data: &VolumeData,
) -> Result<(), String> {
    let failed = |why: &dyn std::fmt::Display| errors::unpublish(form, why);
    // one that refused may have mounted it all the same
    if data.step == Step::Idle && !is_published(form, &place.at).await.map_err(|e| failed(&e))? {
        return Ok(());
    }
    let driver =
        found(shared, &data.driver_name).map_err(|why| errors::unpublish_without_driver(form, &why))?;
    let request = NodeUnpublishRequest {
        volume_id: data.volume_handle.clone(),
        target_path: driver.sees.name_of(&shared.csi.root, &place.at),
    };
    let calls = driver.calls;
    turn.whole(async move { calls.unpublish(request).await }).await.map_err(|e| failed(&e))?;
    match is_mounted(&place.at).await {
        Ok(true) => Err(failed(&"still mounted")),
        Ok(false) => {
            let idle = VolumeData { step: Step::Idle, ..data.clone() };
            records::write(&place.dir, &idle).await.map_err(|e| failed(&e))
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Whether another pod has the volume, or is about to. One whose record is lost has what its directory is called after.
async fn has_others(shared: &Shared, dir: &Path, data: &VolumeData) -> std::io::Result<bool> {
    let all = records::all_of_pods(&shared.csi.pods_dir()).await?;
    let name = layout::escaped(&data.spec_name);
    let has = |found: &records::Found| match found.record.known() {
        Some(of) => of.is_same_volume(data),
        None => found.dir.file_name().is_some_and(|found| *found == *name),
    };
    Ok(all.iter().any(|other| other.dir != dir && has(other)))
}

async fn unstage(shared: &Shared, turn: &Turn, form: Form, data: &VolumeData) -> Result<(), String> {
    let failed = |why: &dyn std::fmt::Display| errors::not_unstaged(form, &data.spec_name, why);
    let root = &shared.csi.root;
    let place = form.staged(root, &data.driver_name, &data.volume_handle, &data.spec_name);
    let record = records::read(&place.dir).await.map_err(|e| failed(&e))?;
    let staged = record.or(|step| VolumeData { step, ..data.clone() });
    if staged.step != Step::Idle || may_be_staged(form, &place.at).await.map_err(|e| failed(&e))? {
        let driver = found(shared, &data.driver_name)
            .map_err(|why| failed(&errors::unstage_without_driver(form, &why)))?;
        if staged.step != Step::Begun {
            // from here on it is not known what is there
            let begun = VolumeData { step: Step::Begun, ..staged.clone() };
            records::write(&place.dir, &begun).await.map_err(|e| failed(&e))?;
        }
        let request = NodeUnstageRequest {
            volume_id: staged.volume_handle.clone(),
            staging_target_path: driver.sees.name_of(root, &place.at),
        };
        let calls = driver.calls;
        let done = turn.whole(async move { calls.unstage(request).await }).await;
        done.map_err(|e| failed(&errors::unstage(form, &e)))?;
    }
    records::remove(&place).await.map_err(|e| failed(&e))?;
    // also where all was gone: who removed the record may not have come to say so
    report_in_use(shared).await.map_err(|e| failed(&e))
}

/// What a driver does for a device need not be a mount: it was asked for it where there is a directory.
async fn may_be_staged(form: Form, at: &Path) -> std::io::Result<bool> {
    match form {
        Form::Filesystem => is_mounted(at).await,
        Form::Block => {
            let at = at.to_owned();
            blocking(move || at.try_exists()).await
        }
    }
}

/// What is staged, and no pod has it: its pod went while nobody was there to see it.
///
/// # Errors
/// As [`unmount_pod`].
pub(crate) async fn unstage_unused(shared: &Shared, driver: &str) -> Result<(), String> {
    let all = records::all_of_node(&shared.csi.root).await.map_err(|e| e.to_string())?;
    let of_driver = layout::drivers(&shared.csi.root).join(driver);
    // those of devices are side by side
    let may_be =
        |found: &records::Found| found.form == Form::Block || found.dir.parent() == Some(of_driver.as_path());
    let mut failures = Vec::new();
    for found in all.into_iter().filter(may_be) {
        let (dir, form) = (found.dir.clone(), found.form);
        let Some(data) = reconstruct::of_node(shared, found).await else { continue };
        if data.driver_name != driver {
            continue;
        }
        let turn = shared.csi.turn(&data.driver_name, &data.volume_handle).await;
        match has_others(shared, &dir, &data).await {
            Ok(true) => {}
            Ok(false) => failures.extend(unstage(shared, &turn, form, &data).await.err()),
            Err(error) => failures.push(error.to_string()),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

/// What is staged, and nobody can tell what it is: no volume, no pod and not the node itself has such a one, and no driver can be
/// asked for it.
///
/// # Errors
/// Something of it is held.
pub(crate) async fn unmount_unknown(shared: &Shared) -> Result<(), String> {
    let all = records::all_of_node(&shared.csi.root).await.map_err(|e| e.to_string())?;
    let mut failures = Vec::new();
    for found in all.into_iter().filter(|found| found.record.known().is_none()) {
        let place = found.form.staged_in(&shared.csi.root, &found.dir);
        if reconstruct::of_node(shared, found).await.is_some() {
            continue;
        }
        let at = place.at.clone();
        let gone = async {
            blocking(move || volumes::unmount_all(&at)).await?;
            records::remove(&place).await
        };
        let dir = place.dir.display();
        match gone.await {
            Ok(()) => {
                tracing::warn!(%dir, "a volume that nobody knows was staged, and is unmounted");
            }
            Err(error) => failures.push(format!("{dir}: {error}")),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}
