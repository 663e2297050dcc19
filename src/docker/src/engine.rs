//! The engine's state, and finding things in it.

use crate::config::DockerConfig;
use crate::error::{ApiError, Result};
use crate::events::Events;
use crate::execs::Execs;
use crate::machine::Machine;
use crate::networks::Networks;
use crate::record::{Container, Record};
use crate::volumes::Volumes;
use crate::{files, link};
use buildkit::BuildKit;
use cri::ContainerId;
use image::ImageStore;
use parking_lot::Mutex;
use resolver::{Forwarder, Upstream};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct Engine {
    pub(crate) config: DockerConfig,
    pub(crate) runtime: Arc<dyn cri::Runtime>,
    /// What the kernel has of [`Engine::networks`].
    pub(crate) host_networks: Arc<dyn cri::Networks>,
    pub(crate) images: Arc<ImageStore>,
    pub(crate) events: Arc<Events>,
    pub(crate) networks: Networks,
    pub(crate) volumes: Volumes,
    pub(crate) execs: Execs,
    pub(crate) buildkit: Arc<BuildKit>,
    /// By container: each answers until it is dropped.
    pub(crate) name_servers: Mutex<HashMap<String, DropGuard>>,
    /// Who knows all other names.
    pub(crate) forwarder: Forwarder,
    pub(crate) stop: CancellationToken,
    pub(crate) machine: Machine,
    containers: Mutex<HashMap<String, Arc<Container>>>,
    /// Held by who chooses a port of a range, until its choice is written down.
    pub(crate) ranges: Mutex<()>,
}

impl Engine {
    pub(crate) fn open(
        config: DockerConfig,
        runtime: Arc<dyn cri::Runtime>,
        host_networks: Arc<dyn cri::Networks>,
        images: Arc<ImageStore>,
        stop: CancellationToken,
    ) -> std::io::Result<Arc<Engine>> {
        files::private_dir(&config.state_dir.join("containers"))?;
        let networks = Networks::open(&config.state_dir, config.pools.clone())?;
        let volumes = Volumes::open(config.state_dir.join("volumes"))?;
        let events = Arc::new(Events::default());
        Ok(Arc::new(Engine {
            buildkit: crate::buildkit::open(&config, &runtime, &images, events.clone()),
            runtime,
            host_networks,
            images,
            events,
            networks,
            volumes,
            execs: Execs::default(),
            name_servers: Mutex::default(),
            forwarder: Forwarder::new(Upstream::Servers(vec![(config.dns, 53).into()]), &[]),
            stop,
            machine: Machine::inspect(),
            containers: Mutex::default(),
            ranges: Mutex::default(),
            config,
        }))
    }

    pub(crate) fn container_dir(&self, id: &str) -> PathBuf {
        self.config.state_dir.join("containers").join(id)
    }

    /// Newest first.
    pub(crate) fn containers(&self) -> Vec<Arc<Container>> {
        let mut all: Vec<_> = self.containers.lock().values().cloned().collect();
        all.sort_by_key(|c| std::cmp::Reverse(c.see(|r| (r.created, r.id.clone()))));
        all
    }

    /// By its id, its name, what another one calls it, or the beginning of its id.
    pub(crate) fn container(&self, name: &str) -> Result<Arc<Container>> {
        find(&self.containers.lock(), name)
    }

    /// The one that the runtime knows by this id.
    pub(crate) fn container_of(&self, runtime_id: &ContainerId) -> Option<Arc<Container>> {
        let all = self.containers.lock();
        let runs = |r: &Record| r.running().is_some_and(|running| running.container == *runtime_id);
        all.values().find(|c| c.see(runs)).cloned()
    }

    /// Adds a container, unless its name is taken.
    pub(crate) fn add(&self, container: Arc<Container>) -> Result<()> {
        let mut all = self.containers.lock();
        let (id, name) = container.see(|r| (r.id.clone(), r.name.clone()));
        is_free(&all, &name)?;
        all.insert(id, container);
        Ok(())
    }

    /// Gives a container another name, unless it is taken.
    pub(crate) fn rename(&self, container: &Container, name: &str) -> Result<()> {
        let all = self.containers.lock();
        is_free(&all, name)?;
        container
            .change_on_disk(|r| name.clone_into(&mut r.name))
            .map_err(|e| ApiError::failed("write the container's record", e))
    }

    pub(crate) fn forget(&self, id: &str) {
        self.containers.lock().remove(id);
    }
}

impl Engine {
    /// # Errors
    /// A container has it.
    pub(crate) fn is_name_free(&self, name: &str) -> Result<()> {
        is_free(&self.containers.lock(), name)
    }
}

fn find(all: &HashMap<String, Arc<Container>>, name: &str) -> Result<Arc<Container>> {
    if let Some(found) = all.get(name) {
        return Ok(found.clone());
    }
    let wanted = name.strip_prefix('/').unwrap_or(name);
    if let Some(found) = all.values().find(|c| c.see(|r| r.name == wanted)) {
        return Ok(found.clone());
    }
    // `web/data`: what another one calls it by a link
    if let Some((linker, alias)) = wanted.split_once('/') {
        let of = all.values().find(|c| c.see(|r| r.name == linker));
        let leads = of.and_then(|c| c.see(|r| link::target(r, alias)));
        // a container's own name has no slash, so this ends
        let found = leads.filter(|to| !to.contains('/')).and_then(|to| find(all, &to).ok());
        return found.ok_or_else(|| ApiError::no_container(name));
    }
    let mut found = all.iter().filter(|(id, _)| !name.is_empty() && id.starts_with(name));
    match (found.next(), found.next()) {
        (Some((_, one)), None) => Ok(one.clone()),
        (Some(_), Some(_)) => {
            Err(ApiError::bad(format_args!("multiple IDs found with provided prefix: {name}")))
        }
        _ => Err(ApiError::no_container(name)),
    }
}

fn is_free(all: &HashMap<String, Arc<Container>>, name: &str) -> Result<()> {
    match all.values().find(|c| c.see(|r| r.name == name)) {
        Some(other) => Err(ApiError::conflict(format_args!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You have to remove (or \
             rename) that container to be able to reuse that name.",
            other.see(|r| r.id.clone())
        ))),
        None => Ok(()),
    }
}
