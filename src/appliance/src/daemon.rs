//! A profile's daemon, from its lock to its end: everything that runs in this process is made, joined and stopped here.

use crate::addons::EnabledAddons;
use crate::answers::{Answers, KubernetesHalf, status_of};
use crate::api_server_flags::api_server_flags;
use crate::certs::Certificates;
use crate::claim::claim;
use crate::config_files::ConfigFiles;
use crate::daemon_memory::{self, ended_for_memory};
use crate::datastore::{self, Datastore};
use crate::error::{StartError, failed, io, unclaimed, unopened};
use crate::legacy::{Legacy, unmoved};
use crate::lifecycle::{Step, drain, wait_for_end};
use crate::lock::take_turn;
use crate::node::{self, NodeServices};
use crate::scheduled_stop::ScheduledStop;
use crate::settings::{NODE_PORTS, Settings};
use crate::start_options::{StartOptions, keep, resolve_settings};
use crate::{Paths, control_server, docker_only, log, node_address, open_files, run_directory, socket_owner};
use apiserver::{AggregatedClient, ApiServer, ApiServerConfig, ClientIdentity, KUBELET_PORT, WebhookClient};
use audit::AuditLog;
use cluster::roles::ComponentRole;
use cluster::{Cluster, ClusterConfig, TokenSigner};
use controllers::ControllersConfig;
use dashboard::Dashboard;
use encryption::Encryption;
use nix::sys::stat::{Mode, umask};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use store::{OpenError, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Room for work in the background to hear that nobody waits for it any more.
const BACKGROUND_GRACE: Duration = Duration::from_secs(5);

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Runs the cluster until it is told to stop, by its socket or by SIGTERM or SIGINT.
///
/// # Errors
/// Why it did not start; `step` has been told as well.
pub fn run(paths: &Paths, options: &StartOptions, step: impl Fn(Step)) -> Result<(), StartError> {
    // files that are made for containers are for users without root as well, and a container has the mask of who makes it: that of
    // the shell which starts the daemon is of no concern to either (Docker's daemon sets the same)
    umask(Mode::from_bits_truncate(0o022));
    let outcome = started(paths, options, &step);
    if let Err(error) = &outcome {
        step(Step::Failed { error: error.clone() });
    }
    outcome
}

fn started(paths: &Paths, options: &StartOptions, step: &impl Fn(Step)) -> Result<(), StartError> {
    let (mut notes, lock) = run_directory::take(paths)?;
    if Legacy::stands_in_the_way(&paths.profile) {
        let what =
            "the state of the profile monopod has the layout of an older version: start that profile first";
        return Err(StartError::NotOurs { what: what.to_owned() });
    }
    let legacy = Legacy::find(paths);
    notes.extend(claim(&paths.state, paths).map_err(unclaimed)?);
    if let Some(legacy) = legacy {
        step(Step::Begun { what: "moving the state of an older version".to_owned() });
        notes.push(legacy.migrate(paths).map_err(unmoved)?);
    }
    log::begin(&paths.log(), options.log_to_file).map_err(|e| io(&paths.log(), &e))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "starting");
    notes.extend(ended_for_memory(paths));
    notes.extend(missing(paths));
    for what in notes {
        tracing::warn!("{what}");
        step(Step::Noted { what });
    }
    if options.log_to_file {
        // its own session: the terminal that started it may close. It leads one already only if nobody waits for it.
        let _ = nix::unistd::setsid();
    }
    open_files::raise_limit();
    let is_new = !paths.settings().exists();
    let turn = is_new.then(|| take_turn(paths)).transpose().map_err(|e| io(&paths.state, &e))?;
    let settings = resolve_settings(paths, options)?;
    // before they are kept: a start that nothing came of changes nothing
    let (files, note) = ConfigFiles::read(paths, &settings)?;
    if let Some(what) = note {
        step(Step::Noted { what });
    }
    keep(paths, &settings)?;
    drop(turn);
    // a cluster without a limit is better than none
    let _ = daemon_memory::confine(paths, settings.daemon_memory).inspect_err(|why| tracing::warn!("{why}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|e| failed("make the event queue", &e))?;
    let served = match settings.kubernetes {
        true => runtime.block_on(serve(paths, &settings, options, files, step)),
        false => runtime.block_on(docker_only::serve(paths, &settings, step)),
    };
    // `serve` has closed what is stored. What is still at work in the background may be cut off, as with any end of the
    // process; a thread can not be, so nobody waits for one for ever
    runtime.shutdown_timeout(BACKGROUND_GRACE);
    daemon_memory::ends_in_order(paths);
    if served.is_ok() {
        // a thread that was left works until the process ends: until then the state has no room for another daemon
        std::mem::forget(lock);
    }
    served
}

async fn serve(
    paths: &Paths,
    settings: &Settings,
    typed: &StartOptions,
    files: ConfigFiles,
    step: &impl Fn(Step),
) -> Result<(), StartError> {
    let begun = |what: &str| step(Step::Begun { what: what.to_owned() });
    begun("reading what is stored");
    let listener = listen(Ipv4Addr::UNSPECIFIED, settings.api_port).await?;
    let dashboard_listener = listen(Ipv4Addr::LOCALHOST, settings.dashboard_port).await?;
    let node_ip = node_address::find().unwrap_or(settings.gateway());
    let (store, recovery) = open_store(paths, settings, typed, &files.encryption)?;
    recovery.notes.into_iter().chain(settings.datastore.as_ref().and_then(Datastore::note)).for_each(
        |what| {
            step(Step::Noted { what });
        },
    );

    begun("starting the control plane, the network and the runtime");
    let control_plane = tokio::spawn(control_plane(store.clone(), paths.clone(), settings.clone(), node_ip));
    let control_plane = async { control_plane.await.map_err(|e| failed("control plane", &e))? };
    let services = NodeServices::start(paths, settings, node_ip);
    let (services, (certificates, cluster)) = tokio::try_join!(services, control_plane)?;
    let notes = services.notes();
    let api = format!("https://{}:{}", Ipv4Addr::LOCALHOST, settings.api_port);
    write_kubeconfig(paths, &certificates, &api)?;

    tokio::spawn(crate::memory::keep_small(store.revisions(), crate::memory::OfCluster(cluster.clone())));
    let stop = CancellationToken::new();
    let components = stop.child_token();
    let (ready, is_ready) = watch::channel(false);
    let config = controllers_config(paths, settings, &certificates, &services);
    let mut running = controllers::start(&cluster, &config, &components);
    running.spawn(crate::clock::follow(cluster.clone(), components.clone()));
    running.spawn(scheduler::run(cluster.clone(), files.profiles, components.clone()));
    let kubelet_listener = listen_for_kubelet(node_ip, step).await;
    let kubelet_at = (node_ip, kubelet_listener.is_some().then_some(KUBELET_PORT));
    let (pods, pauser) =
        services.build(&cluster, paths, settings, kubelet_at, &mut running, &components).await?;
    cluster.ask_aggregated_through(Arc::new(AggregatedClient {
        front_proxy: front_proxy_identity(&certificates),
    }));
    if let Some(authorizers) = files.authorizers {
        cluster.authorize_by(authorizers);
    }
    let flags = api_server_flags(settings, ISSUER);
    let config = api_server_config(&certificates, files.authentication, files.audit, is_ready.clone(), flags);
    let server = ApiServer::new(cluster.clone(), Some(pods), config).map_err(|e| failed("API server", &e))?;
    let dashboard = Arc::new(Dashboard::new(paths.profile.as_str(), settings.dashboard_port));
    let gate = socket_owner::session_gate(dashboard.clone(), settings.dashboard_port);
    running.spawn(server.clone().serve_plain(dashboard_listener, gate, components.clone()));
    running.spawn(server.clone().follow_api_services(components.clone()));
    running.spawn(server.clone().follow_flow_control(components.clone()));
    files.followed.start(&server, &cluster, &mut running, &components);
    if let Some(listener) = kubelet_listener {
        let node = node::name(paths);
        running.spawn(server.clone().serve_kubelet(listener, node, components.clone()));
    }
    running.spawn(server.serve(listener, components.clone()));
    let answers = Arc::new(Answers {
        status: status_of(paths, node_ip, Some(&api)),
        ready: is_ready,
        kubernetes: Some(KubernetesHalf {
            cluster: cluster.clone(),
            dashboard,
            pauser,
            addons: EnabledAddons::at(paths.addons()),
        }),
        images: services.images.clone(),
        build_runner: services.build_runner(paths, settings),
        scheduled: ScheduledStop::load(paths.scheduled_stop(), stop.clone()),
        stop: stop.clone(),
    });
    let socket = control_server::listen(paths).map_err(|e| io(&paths.control_socket(), &e))?;
    running.spawn(control_server::serve(answers, socket, components));
    notes.await.into_iter().for_each(|what| step(Step::Noted { what }));
    begun("waiting for the node");
    if let Err(why) = node::is_ready(&cluster, &node::name(paths)).await {
        step(Step::Noted { what: format!("the node is not ready yet: {why}") });
    }
    ready.send_replace(true);
    tracing::info!(%api, "ready");
    step(Step::Ready { api });

    end_of_work(&stop, &store).await;
    tracing::info!("stopping");
    stop.cancel();
    drain(running).await;
    store.close().await;
    let _ = std::fs::remove_file(paths.control_socket());
    Ok(())
}

/// Somebody ends the daemon, or another one has its state.
async fn end_of_work(stop: &CancellationToken, store: &Store) {
    tokio::select! {
        () = wait_for_end(stop) => {}
        // what is here is not what is there: whoever starts next goes on with that
        why = store.taken_over() => tracing::error!(%why, "the state is not this daemon's any more, so it ends"),
    }
}

fn controllers_config(
    paths: &Paths,
    settings: &Settings,
    certificates: &Certificates,
    services: &NodeServices,
) -> ControllersConfig {
    ControllersConfig {
        root_ca_pem: certificates.ca_pem.clone(),
        front_proxy_ca_pem: certificates.front_proxy_ca_pem.clone(),
        authority: Arc::new(crate::signer::Signer::new(paths)),
        service_network: services.service_network(),
        definitions_memory: daemon_memory::for_definitions(settings.daemon_memory),
    }
}

/// By which extension API servers know that it is the API server who asks.
fn front_proxy_identity(certificates: &Certificates) -> ClientIdentity {
    ClientIdentity {
        certificate_pem: certificates.front_proxy.certificate_pem.clone(),
        key_pem: certificates.front_proxy.key_pem.clone(),
    }
}

fn api_server_config(
    certificates: &Certificates,
    authentication: authentication::Configuration,
    audit: Option<Arc<AuditLog>>,
    ready: watch::Receiver<bool>,
    flags: BTreeMap<&'static str, String>,
) -> ApiServerConfig {
    ApiServerConfig {
        chain_pem: certificates.server_chain_pem.clone(),
        key_pem: certificates.server_key_pem.clone(),
        client_ca_pem: certificates.ca_pem.clone(),
        front_proxy: Some(front_proxy_identity(certificates)),
        authentication,
        audit,
        ready,
        flags,
        give_back_memory: ::runtime::give_back_memory,
    }
}

/// A datastore is the profile's from when it was opened for it, and so is the file with the keys of what is there.
fn open_store(
    paths: &Paths,
    settings: &Settings,
    typed: &StartOptions,
    encryption: &Arc<Encryption>,
) -> Result<(Store, store::Recovery), StartError> {
    let asked = settings.datastore.as_ref();
    let options = store::Options {
        // the authority was made when the store was there
        must_exist: paths.certificates().join("ca.crt").exists(),
        accept_loss: typed.accept_loss,
        take_over: typed.take_over,
        backend: datastore::backend(paths, asked),
        encryption: encryption.clone(),
        quota: daemon_memory::for_objects(settings.daemon_memory),
        ..store::Options::default()
    };
    let known = Settings::load(paths).ok().flatten();
    let used = known.as_ref().and_then(|known| known.datastore.as_ref());
    let opened = Store::open(&paths.store(), options).map_err(|error| match (&error, used, asked) {
        (OpenError::Lost { .. }, Some(used), Some(asked)) if used.endpoints() != asked.endpoints() => {
            datastore::elsewhere(paths, Some(used), asked)
        }
        _ => unopened(error),
    })?;
    if known.as_ref() != Some(settings) {
        settings.save(paths).map_err(|e| failed("settings", &e))?;
    }
    Ok(opened)
}

/// A task of its own: it waits for the disk while the network waits for nft.
async fn control_plane(
    store: Store,
    paths: Paths,
    settings: Settings,
    node_ip: Ipv4Addr,
) -> Result<(Certificates, Cluster), StartError> {
    let addresses = [node_ip.into(), settings.gateway().into()];
    let certificates =
        Certificates::load_or_make(&paths, &settings, &addresses).map_err(|e| failed("certificates", &e))?;
    let tokens =
        TokenSigner::from_pkcs8(&certificates.token_key, ISSUER).map_err(|e| failed("token key", &e))?;
    let cluster = Cluster::new(store, kinds::all(), cluster_config(&settings), tokens)
        .map_err(|e| failed("read the cluster", &e))?;
    // at once, so that they share what is synced to the disk
    tokio::try_join!(cluster.bootstrap(), cluster.bootstrap_components(component_roles()))
        .map_err(|e| failed("first objects", &e))?;
    // from now on: no webhook runs yet that could be asked about the cluster's own objects
    cluster.call_webhooks_through(Arc::new(WebhookClient));
    Ok((certificates, cluster))
}

fn component_roles() -> impl Iterator<Item = ComponentRole> {
    let others = [
        kubelet::role(),
        scheduler::role(),
        proxy::role(),
        netpol::role(),
        provisioner::role(),
        dns::role(),
        ingress::role(),
    ];
    controllers::roles().into_iter().chain(others)
}

async fn listen(address: Ipv4Addr, port: u16) -> Result<TcpListener, StartError> {
    let at = SocketAddr::from((address, port));
    TcpListener::bind(at).await.map_err(|e| StartError::PortTaken { port, why: e.to_string() })
}

/// The kubelet's port, at the node's address alone. Another profile may have it, or another cluster's kubelet: the node is as
/// good without, and does not say then that it has one.
async fn listen_for_kubelet(node_ip: Ipv4Addr, step: &impl Fn(Step)) -> Option<TcpListener> {
    match TcpListener::bind((node_ip, KUBELET_PORT)).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::warn!(%error, "the kubelet has no port at {node_ip}:{KUBELET_PORT}");
            let what = format!(
                "the kubelet's pages are not at {node_ip}:{KUBELET_PORT} ({error}); they are behind the API server, at /api/v1/nodes/NAME/proxy"
            );
            step(Step::Noted { what });
            None
        }
    }
}

fn cluster_config(settings: &Settings) -> ClusterConfig {
    ClusterConfig {
        service_cidr: settings.service_cidr,
        pod_cidr: settings.pod_cidr,
        node_ports: NODE_PORTS,
        // the machine's own address changes with the network that it is in; this one does not
        advertise_address: settings.gateway(),
        secure_port: settings.api_port,
    }
}

fn write_kubeconfig(paths: &Paths, certificates: &Certificates, api: &str) -> Result<(), StartError> {
    let text = crate::certs::kubeconfig(paths.profile.as_str(), certificates, api);
    let path = paths.admin_kubeconfig();
    // a disk that is full must not hold up a cluster whose file is right
    if std::fs::read_to_string(&path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    crate::certs::write(&path, &text).map_err(|e| failed("kubeconfig", &e))
}

/// What is made anew though it was there once: that is no first start, and has its consequences.
fn missing(paths: &Paths) -> Vec<String> {
    let was_used = store::was_used(&paths.store());
    let parts = [
        (paths.settings(), "new ports and default registries are settled"),
        (
            paths.certificates().join("ca.crt"),
            "a new authority is made; kubeconfigs, and the tokens of pods that run, are of the old one",
        ),
    ];
    let gone = parts.into_iter().filter(|(part, _)| was_used && !part.exists());
    gone.map(|(part, then)| format!("{} is missing: {then}", part.display())).collect()
}
