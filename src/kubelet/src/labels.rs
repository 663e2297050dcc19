//! What the kubelet writes on sandboxes and containers, so that it knows them again after its own restart.

pub const POD_NAME: &str = "io.kubernetes.pod.name";
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub const POD_UID: &str = "io.kubernetes.pod.uid";
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
pub const GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
pub const MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
pub const MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
/// The image as the pod says it: another one there means that the container must be made anew.
pub const SPEC_IMAGE: &str = "io.monopod.container.specImage";
/// The requests and limits that it was made with, as JSON.
pub const RESOURCES: &str = "io.monopod.container.resources";
/// What `status.containerStatuses[].image` and `imageID` show.
pub const IMAGE: &str = "io.monopod.container.image";
pub const IMAGE_ID: &str = "io.monopod.container.imageID";
