//! The Docker half alone: network, images, runtime, name server and Docker's socket, and no Kubernetes beside them.

use crate::answers::{Answers, status_of};
use crate::error::{StartError, failed};
use crate::lifecycle::{Step, drain, wait_for_end};
use crate::node::NodeServices;
use crate::scheduled_stop::ScheduledStop;
use crate::{Paths, Settings, control_server, node_address};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Until it is told to stop. Pods that are left of a start with Kubernetes end: nobody would look after them; the next
/// start with Kubernetes makes them again.
///
/// # Errors
/// Why it did not start.
pub(crate) async fn serve(
    paths: &Paths,
    settings: &Settings,
    step: &impl Fn(Step),
) -> Result<(), StartError> {
    step(Step::Begun { what: "starting the network and the runtime".to_owned() });
    let node_ip = node_address::find().unwrap_or(settings.gateway());
    let services = NodeServices::start(paths, settings, node_ip).await?;
    services.notes().await.into_iter().for_each(|what| step(Step::Noted { what }));
    services.end_pods(paths).await.map_err(|e| failed("end the pods", &e))?;
    let stop = CancellationToken::new();
    let parts = stop.child_token();
    let mut running = JoinSet::new();
    services.serve_docker_alone(paths, settings, &mut running, &parts).await?;
    let answers = Arc::new(Answers {
        status: status_of(paths, node_ip, None),
        ready: watch::channel(true).1,
        kubernetes: None,
        images: services.images.clone(),
        build_runner: services.build_runner(paths, settings),
        scheduled: ScheduledStop::load(paths.scheduled_stop(), stop.clone()),
        stop: stop.clone(),
    });
    let socket = control_server::listen(paths).map_err(|e| failed("listen for the command line", &e))?;
    running.spawn(control_server::serve(answers, socket, parts));
    tracing::info!("ready without Kubernetes");
    step(Step::Ready { api: String::new() });
    wait_for_end(&stop).await;
    tracing::info!("stopping");
    stop.cancel();
    drain(running).await;
    let _ = std::fs::remove_file(paths.control_socket());
    Ok(())
}
