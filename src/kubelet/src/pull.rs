//! Whether a container's image is there, and how it gets there: pull policies, events and errors in upstream's words.

use crate::credentials::Offered;
use crate::pull_access::Access;
use crate::shared::Shared;
use crate::sources::Sources;
use crate::work_counts::Operation;
use crate::{credentials, image_gc, pod};
use cri::{CriError, ImageInfo, Pulled};
use k8s_openapi::api::core::v1::{Container, Pod, Secret};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Why there is no image: the reason and message of the container's waiting state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoImage {
    pub image: String,
    pub reason: &'static str,
    pub message: String,
}

/// How long a pull may still bring its image after it was given up: it is not asked for any more, but what is being unpacked at that
/// moment comes.
const SETTLES: Duration = Duration::from_secs(60);

/// A pull with credentials, from what is written before it to what is recorded of it.
struct Intent {
    shared: Arc<Shared>,
    image: String,
    is_over: bool,
}

impl Intent {
    /// # Errors
    /// It can not be written down, and must not begin.
    async fn begin(shared: &Arc<Shared>, image: &str, free: Option<&str>) -> io::Result<Self> {
        shared.images.access.begin(image, free);
        let intent = Intent { shared: shared.clone(), image: image.to_owned(), is_over: false };
        match shared.images.access.saved().await {
            Ok(()) => Ok(intent),
            Err(error) => {
                intent.end();
                Err(error)
            }
        }
    }

    fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        if self.is_over {
            return self.shared.images.access.end(&self.image);
        }
        // where the daemon ends, the next one settles it
        let Ok(runtime) = Handle::try_current() else { return };
        let (shared, image) = (self.shared.clone(), std::mem::take(&mut self.image));
        runtime.spawn(async move {
            tokio::time::sleep(SETTLES).await;
            shared.images.give_up(&image).await;
        });
    }
}

/// Whose image it is, and where events about it belong.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    pod: &'a Pod,
    container: &'a str,
    image: &'a str,
    policy: Option<&'a str>,
}

/// The container's own image, and those that it has for volumes.
///
/// # Errors
/// The reason that the container waits for.
pub(crate) async fn ensure_all(
    shared: &Arc<Shared>,
    pod: &Pod,
    container: &Container,
) -> Result<ImageInfo, NoImage> {
    let of = |image, policy| Wanted { pod, container: &container.name, image, policy };
    let mounts = container.volume_mounts.iter().flatten();
    for volume in pod::spec(pod).volumes.iter().flatten() {
        let Some(source) = &volume.image else { continue };
        if mounts.clone().any(|mount| mount.name == volume.name) {
            let image = source.reference.as_deref().unwrap_or_default();
            ensure(shared, of(image, source.pull_policy.as_deref())).await?;
        }
    }
    let image = container.image.as_deref().unwrap_or_default();
    ensure(shared, of(image, container.image_pull_policy.as_deref())).await
}

/// Upstream's `EnsureImageExists`.
async fn ensure(shared: &Arc<Shared>, wanted: Wanted<'_>) -> Result<ImageInfo, NoImage> {
    let Wanted { pod, container, image, policy } = wanted;
    let present = match shared.images.service.status(image).await {
        Ok(present) => present,
        Err(error) => return Err(not_inspected(shared, wanted, &error)),
    };
    let policy = policy.unwrap_or("IfNotPresent");
    let usable = present.as_ref().filter(|info| policy != "Always" && may_use(shared, wanted, info));
    match usable {
        Some(info) => {
            shared.images.used(&info.id, shared.clock.now());
            let message = format!(
                "Container image \"{image}\" already present on machine and can be accessed by the pod"
            );
            shared.normal(pod, container, "Pulled", message);
            Ok(info.clone())
        }
        // of what others have brought it is not said that it is there
        None if policy == "Never" => {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            shared.warn(pod, container, "ErrImageNeverPull", message.clone());
            Err(NoImage { image: image.to_owned(), reason: "ErrImageNeverPull", message })
        }
        None => pull(shared, wanted, present.as_ref()).await,
    }
}

/// Upstream's `MustAttemptImagePull`, turned round.
fn may_use(shared: &Shared, wanted: Wanted<'_>, present: &ImageInfo) -> bool {
    match shared.images.access.of(&present.id, wanted.image) {
        Access::Everybody => true,
        Access::Secrets(known) if known.is_empty() => false,
        Access::Secrets(known) => {
            offered(shared, wanted).iter().any(|offered| known.contains(&offered.secret))
        }
    }
}

fn offered(shared: &Shared, wanted: Wanted<'_>) -> Vec<Offered> {
    let secrets = pull_secrets(shared, wanted.pod);
    credentials::for_image(wanted.image, secrets.iter().map(|secret| &**secret))
}

fn not_inspected(shared: &Shared, wanted: Wanted<'_>, error: &CriError) -> NoImage {
    let Wanted { pod, container, image, .. } = wanted;
    let (reason, message) = match error {
        CriError::InvalidImageName(_) | CriError::Invalid(_) => (
            "InvalidImageName",
            format!(
                "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {error}"
            ),
        ),
        _ => ("ImageInspectError", format!("Failed to inspect image \"{image}\": {error}")),
    };
    shared.warn(pod, container, "InspectFailed", message.clone());
    NoImage { image: image.to_owned(), reason, message }
}

async fn pull(
    shared: &Arc<Shared>,
    wanted: Wanted<'_>,
    present: Option<&ImageInfo>,
) -> Result<ImageInfo, NoImage> {
    let Wanted { pod, container, image, .. } = wanted;
    let access = &shared.images.access;
    let was_free = present.filter(|info| access.of(&info.id, image) == Access::Everybody);
    let was_free = was_free.map(|info| info.id.as_str());
    let offered = offered(shared, wanted);
    let intent = match offered.is_empty() {
        true => Ok(None),
        false => Intent::begin(shared, image, was_free).await.map(Some),
    };
    let intent = match intent {
        Ok(intent) => intent,
        Err(error) => {
            let message =
                format!("Failed to record image pull intent for container image \"{image}\": {error}");
            shared.warn(pod, container, "Failed", message.clone());
            return Err(NoImage { image: image.to_owned(), reason: "ErrImagePull", message });
        }
    };
    shared.normal(pod, container, "Pulling", format!("Pulling image \"{image}\""));
    let credentials: Vec<_> = offered.iter().map(|offered| offered.credentials.clone()).collect();
    let began = Instant::now();
    let pull = shared.images.service.pull(image, &credentials);
    let pulled = shared.work_counts.time(Operation::PullImage, pull).await;
    if let Ok(pulled) = &pulled
        && was_free.is_none_or(|before| before != pulled.image.id)
    {
        let by = pulled.by.and_then(|by| offered.get(by)).map(|offered| offered.secret.clone());
        access.record(&pulled.image.id, image, by);
    }
    if let Some(intent) = intent {
        intent.end();
    }
    match pulled {
        Ok(Pulled { image: info, .. }) => {
            let took = durations::print_millis(began.elapsed());
            let size = info.size;
            let message = format!(
                "Successfully pulled image \"{image}\" in {took} ({took} including waiting). Image size: {size} bytes."
            );
            shared.normal(pod, container, "Pulled", message);
            shared.images.remember(&info.id, shared.clock.now());
            let collector = shared.clone();
            tokio::spawn(async move { image_gc::collect_garbage(&collector).await });
            Ok(info)
        }
        Err(CriError::InvalidImageName(why)) => {
            Err(not_inspected(shared, wanted, &CriError::InvalidImageName(why)))
        }
        Err(error) => {
            let message = format!("Failed to pull image \"{image}\": {error}");
            shared.warn(pod, container, "Failed", message);
            Err(NoImage { image: image.to_owned(), reason: "ErrImagePull", message: error.to_string() })
        }
    }
}

/// The pod's, which admission took from its service account where it names none.
fn pull_secrets(shared: &Shared, pod: &Pod) -> Vec<Arc<Secret>> {
    let names = pod::spec(pod).image_pull_secrets.iter().flatten().map(|s| s.name.as_str());
    let mut secrets = Vec::new();
    let mut missing = Vec::new();
    for name in names {
        match shared.sources.secret(pod::namespace(pod), name) {
            Some(secret) => secrets.push(secret),
            None => missing.push(name),
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            missing.join(", ")
        );
        shared.record_event(
            pod,
            None,
            cluster::EventType::Warning,
            "FailedToRetrieveImagePullSecret",
            message,
        );
    }
    secrets
}
