//! Has a driver stage and publish a volume for a pod, and take it back: upstream's `csiAttacher` and `csiMountMgr`, and for
//! devices its `csiBlockMapper`.

mod attachment;
mod errors;
mod expand;
mod unmount;

use super::layout::{Form, Place};
use super::records::{self, Step, VolumeData};
use super::volume::{CsiVolume, SecretKey};
use super::{Registered, Turn};
use crate::pod;
use crate::shared::Shared;
use crate::sources::Sources;
use crate::volumes::{VolumeError, give_to_group};
use api::Status;
pub(super) use attachment::report_in_use;
use cluster::{BoundObject, TokenRequestParams};
use cri::blocking;
use csi::{NodeCapabilities, NodePublishRequest, NodeStageRequest, Rpc};
use errors::{device, set_up};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::storage::v1::CSIDriver;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
pub(crate) use unmount::unmount_pod;
pub(super) use unmount::{unmount_unknown, unstage_unused};

/// Where the volume is, when a driver has published it for the pod. May be repeated: what is mounted stays.
///
/// `living` ends the waiting when the pod is to end. What a driver was asked for it is let finish: what is taken back meanwhile
/// would come again.
///
/// # Errors
/// The driver refused, is not there, or the volume is not attached in time; upstream's words.
pub(crate) async fn mount(
    shared: &Shared,
    pod: &Pod,
    volume: &CsiVolume,
    living: &CancellationToken,
) -> Result<PathBuf, VolumeError> {
    let object = shared.csi.object(&volume.driver);
    let again = object.as_ref().and_then(|object| object.spec.requires_republish) == Some(true);
    if !again
        && volume.growth.is_none()
        && let Some(target) = mounted_before(shared, pod, volume).await.map_err(|e| set_up(volume, e))?
    {
        return Ok(target);
    }
    let check = volume.check_lifecycle(object.as_deref());
    check.map_err(|why| set_up(volume, why))?;
    let must_attach = !volume.is_ephemeral && kinds::csi::is_attached(object.as_deref());
    let publish_context = match must_attach {
        true => unless_ended(living, shared.csi.attached(&shared.config.node_name, volume)).await??,
        false => HashMap::new(),
    };
    let driver = found(shared, &volume.driver).map_err(|why| errors::no_driver(volume, &why))?;
    let turn = unless_ended(living, shared.csi.turn(&volume.driver, &volume.handle)).await?;
    let mount =
        Mount { shared, pod, volume, living, turn, object, driver, publish_context, must_attach, again };
    mount.run().await
}

/// Waiting ends with the pod; what is written in between does not.
async fn unless_ended<T>(
    living: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, VolumeError> {
    living.run_until_cancelled(work).await.ok_or(VolumeError::GivenUp)
}

/// Where the pod has the volume since earlier: nobody need be asked, not even where its driver is not back yet.
async fn mounted_before(shared: &Shared, pod: &Pod, volume: &CsiVolume) -> std::io::Result<Option<PathBuf>> {
    let Place { dir, at: target } = published(shared, pod, volume);
    let record = records::read(&dir).await?;
    let is_ready = record.known().is_some_and(|data| data.step == Step::Ready);
    Ok((is_ready && is_published(volume.form, &target).await?).then_some(target))
}

fn published(shared: &Shared, pod: &Pod, volume: &CsiVolume) -> Place {
    volume.form.published(&shared.csi.root, &shared.pod_dir(pod), &volume.spec_name)
}

/// Whether the driver has put there what it was asked for.
async fn is_published(form: Form, target: &Path) -> std::io::Result<bool> {
    match form {
        Form::Filesystem => is_mounted(target).await,
        Form::Block => {
            let target = target.to_owned();
            blocking(move || is_block_device(&target)).await
        }
    }
}

fn is_block_device(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        found => Ok(found?.file_type().is_block_device()),
    }
}

/// All that a driver needs to be told.
struct Mount<'m> {
    shared: &'m Shared,
    pod: &'m Pod,
    volume: &'m CsiVolume,
    living: &'m CancellationToken,
    turn: Turn,
    object: Option<Arc<CSIDriver>>,
    driver: Registered,
    publish_context: HashMap<String, String>,
    must_attach: bool,
    /// The driver wants to be asked also where it has published it.
    again: bool,
}

impl Mount<'_> {
    async fn run(&self) -> Result<PathBuf, VolumeError> {
        let volume = self.volume;
        let Place { dir, at: target } = published(self.shared, self.pod, volume);
        let record = records::read(&dir).await.map_err(|e| set_up(volume, e))?;
        let mut data = record.or(|step| self.data(step));
        let can = unless_ended(self.living, self.driver.calls.capabilities()).await?;
        let can = can.map_err(|e| errors::no_capabilities(volume, &e))?;
        let is_there = data.step == Step::Ready
            && is_published(volume.form, &target).await.map_err(|e| set_up(volume, e))?;
        if is_there {
            if self.again {
                let request = self.publish_request(&can, &target)?;
                // it is published: what is taken back meanwhile does not come again
                let done = unless_ended(self.living, self.driver.calls.publish(request)).await?;
                done.map_err(|e| set_up(volume, e))?;
            }
            self.grow(&can, &target, expand::When::Used).await?;
            return Ok(target);
        }
        records::write(&dir, &data).await.map_err(|e| set_up(volume, e))?;
        if !volume.is_ephemeral {
            self.stage(&can).await?;
        }
        if volume.form == Form::Block {
            // what is in it is the driver's to make
            make_dir(target.parent().unwrap_or(&target)).await.map_err(|e| set_up(volume, e))?;
        }
        let request = self.publish_request(&can, &target)?;
        self.go_on()?;
        if data.step != Step::Begun {
            data.step = Step::Begun;
            records::write(&dir, &data).await.map_err(|e| set_up(volume, e))?;
        }
        let calls = self.driver.calls.clone();
        if let Err(error) = self.turn.whole(async move { calls.publish(request).await }).await {
            if error.is_final() {
                data.step = Step::Idle;
                records::write(&dir, &data).await.map_err(|e| set_up(volume, e))?;
            }
            return Err(set_up(volume, error));
        }
        if volume.form == Form::Block
            && !is_published(volume.form, &target).await.map_err(|e| set_up(volume, e))?
        {
            return Err(set_up(volume, format_args!("{} is no block device", target.display())));
        }
        self.give(&can, &target).await?;
        // until then it is published again, as upstream does where it failed
        self.grow(&can, &target, expand::When::SetUp).await?;
        self.ready(&mut data);
        records::write(&dir, &data).await.map_err(|e| set_up(volume, e))?;
        Ok(target)
    }

    /// Whether a device is there still, a later look at it does not tell.
    fn ready(&self, data: &mut VolumeData) {
        data.step = Step::Ready;
        data.boot_id = match self.volume.form {
            Form::Filesystem => None,
            Form::Block => records::boot_id(),
        };
    }

    /// Nothing new is begun for a pod that is to end.
    fn go_on(&self) -> Result<(), VolumeError> {
        if self.living.is_cancelled() { Err(VolumeError::GivenUp) } else { Ok(()) }
    }

    fn data(&self, step: Step) -> VolumeData {
        VolumeData {
            spec_name: self.volume.spec_name.clone(),
            driver_name: self.volume.driver.clone(),
            volume_handle: self.volume.handle.clone(),
            volume_lifecycle_mode: self.volume.lifecycle().to_owned(),
            step,
            boot_id: None,
        }
    }

    fn told(&self, path: &Path) -> String {
        self.driver.sees.name_of(&self.shared.csi.root, path)
    }

    fn staged(&self) -> Place {
        let CsiVolume { form, driver, handle, spec_name, .. } = self.volume;
        form.staged(&self.shared.csi.root, driver, handle, spec_name)
    }

    /// The node says that it has the volume before a driver stages it, so that nobody detaches it meanwhile.
    async fn stage(&self, can: &NodeCapabilities) -> Result<(), VolumeError> {
        let volume = self.volume;
        let Place { dir, at: staging } = self.staged();
        let record = records::read(&dir).await.map_err(|e| device(volume, e))?;
        let mut data = record.or(|step| self.data(step));
        records::write(&dir, &data).await.map_err(|e| device(volume, e))?;
        if self.must_attach {
            report_in_use(self.shared).await.map_err(|e| device(volume, e))?;
            self.shared.csi.still_attached(&self.shared.config.node_name, volume)?;
        }
        if !can.has(Rpc::StageUnstageVolume) {
            return Ok(());
        }
        let is_there = is_mounted(&staging).await.map_err(|e| device(volume, e))?;
        // what a driver does there with a device is its own business
        if data.step == Step::Ready && (is_there || volume.form == Form::Block) {
            return Ok(());
        }
        // only looked at where nothing is mounted: what is may not answer
        if !is_there {
            make_dir(&staging).await.map_err(|e| device(volume, e))?;
        }
        let secrets = self.secret(volume.stage_secret.as_ref(), "NodeStageSecretRef");
        let request = NodeStageRequest {
            volume_id: volume.handle.clone(),
            publish_context: self.publish_context.clone(),
            staging_target_path: self.told(&staging),
            volume_capability: Some(volume.capability(can, pod::fs_group(self.pod))),
            secrets: secrets.map_err(|why| device(volume, why))?,
            volume_context: volume.attributes.clone().into_iter().collect(),
        };
        self.go_on()?;
        let was_idle = data.step == Step::Idle;
        if data.step != Step::Begun {
            data.step = Step::Begun;
            records::write(&dir, &data).await.map_err(|e| device(volume, e))?;
        }
        let calls = self.driver.calls.clone();
        if let Err(error) = self.turn.whole(async move { calls.stage(request).await }).await {
            if was_idle && error.is_final() {
                data.step = Step::Idle;
                records::write(&dir, &data).await.map_err(|e| device(volume, e))?;
            }
            return Err(device(volume, error));
        }
        self.ready(&mut data);
        records::write(&dir, &data).await.map_err(|e| device(volume, e))
    }

    fn publish_request(
        &self,
        can: &NodeCapabilities,
        target: &Path,
    ) -> Result<NodePublishRequest, VolumeError> {
        let volume = self.volume;
        let staging = self.staging(can);
        let mut secrets = self
            .secret(volume.publish_secret.as_ref(), "NodePublishSecretRef")
            .map_err(|why| set_up(volume, why))?;
        let mut volume_context = volume.context(self.pod, self.object.as_deref());
        let tokens = self.tokens().map_err(|why| {
            set_up(volume, format_args!("kubernetes.io/csi: mounter.SetUpAt failed to get service accoount token attributes: {why}"))
        })?;
        let in_secrets = self.object.as_ref().and_then(|of| of.spec.service_account_token_in_secrets);
        match in_secrets {
            Some(true) => secrets.extend(tokens),
            _ => volume_context.extend(tokens),
        }
        Ok(NodePublishRequest {
            volume_id: volume.handle.clone(),
            publish_context: self.publish_context.clone(),
            staging_target_path: staging,
            target_path: self.told(target),
            volume_capability: Some(volume.capability(can, pod::fs_group(self.pod))),
            readonly: volume.read_only,
            secrets,
            volume_context,
        })
    }

    /// As the driver has it; empty where nothing is staged.
    fn staging(&self, can: &NodeCapabilities) -> String {
        match can.has(Rpc::StageUnstageVolume) && !self.volume.is_ephemeral {
            true => self.told(&self.staged().at),
            false => String::new(),
        }
    }

    fn secret(&self, key: Option<&SecretKey>, field: &str) -> Result<HashMap<String, String>, String> {
        self.find_secret(key).map_err(|(key, why)| errors::no_secret(self.volume.form, field, &key, &why))
    }

    /// # Errors
    /// Which it is, and that it is not there.
    fn find_secret(&self, key: Option<&SecretKey>) -> Result<HashMap<String, String>, (String, String)> {
        let Some((namespace, name)) = key else { return Ok(HashMap::new()) };
        let Some(secret) = self.shared.sources.secret(namespace, name) else {
            let why = format!(
                "kubernetes.io/csi: failed to find the secret {name} in the namespace {namespace} with error: secrets \"{name}\" not found"
            );
            return Err((format!("{namespace}/{name}"), why));
        };
        let data = secret.data.iter().flatten();
        Ok(data.map(|(key, value)| (key.clone(), String::from_utf8_lossy(&value.0).into_owned())).collect())
    }

    /// Tokens of the pod's account, for the audiences that the driver asks for.
    fn tokens(&self) -> Result<Option<(String, String)>, Status> {
        let asked = self.object.as_ref().and_then(|object| object.spec.token_requests.as_deref());
        let Some(asked) = asked.filter(|asked| !asked.is_empty()) else { return Ok(None) };
        let pod = self.pod;
        let account = pod::spec(pod).service_account_name.as_deref().unwrap_or("default");
        let mut tokens = Map::new();
        for request in asked {
            let params = TokenRequestParams {
                audiences: Some(request.audience.clone()).filter(|a| !a.is_empty()).into_iter().collect(),
                expiration_seconds: request.expiration_seconds,
                bound: Some(BoundObject::pod(pod::name(pod), pod::uid(pod))),
            };
            let issued = self.shared.client.create_token(pod::namespace(pod), account, params)?;
            let expires = issued.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let status = json!({"token": issued.token, "expirationTimestamp": expires});
            tokens.insert(request.audience.clone(), status);
        }
        let key = "csi.storage.k8s.io/serviceAccount.tokens".to_owned();
        Ok(Some((key, Value::Object(tokens).to_string())))
    }

    async fn give(&self, can: &NodeCapabilities, target: &Path) -> Result<(), VolumeError> {
        let group = pod::fs_group(self.pod).filter(|_| self.volume.is_given(self.object.as_deref(), can));
        let Some(group) = group else { return Ok(()) };
        let (pod, path) = (self.pod.clone(), target.to_owned());
        let given = blocking(move || give_to_group(&path, &pod, group)).await;
        given.map_err(|e| {
            set_up(self.volume, format_args!("applyFSGroup failed for vol {}: {e}", self.volume.handle))
        })
    }
}

fn found(shared: &Shared, name: &str) -> Result<Registered, String> {
    shared
        .csi
        .driver(name)
        .ok_or_else(|| format!("driver name {name} not found in the list of registered CSI drivers"))
}

async fn make_dir(dir: &Path) -> std::io::Result<()> {
    let dir = dir.to_owned();
    blocking(move || {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o750).create(dir)
    })
    .await
}

async fn is_mounted(path: &Path) -> std::io::Result<bool> {
    let path = path.to_owned();
    blocking(move || records::is_mounted(&path)).await
}
