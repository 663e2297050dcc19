//! How a container comes to be: what was asked for is checked, completed and written down. Nothing runs yet.

use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::files;
use crate::model::{Config, Create, HostConfig};
use crate::network_mode::{self, shared_with};
use crate::networks::{BRIDGE, HOST, NONE, Network};
use crate::record::{Container, Record, State, new_id};
use crate::{names, plan, publish, verify};
use cri::blocking;
use http::StatusCode;
use image::{ImageDocument, Platform};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// With what is to be warned of.
pub(crate) type Made = (Arc<Container>, Vec<String>);

impl Engine {
    /// Makes a container that does not run yet.
    pub(crate) async fn create(
        self: &Arc<Self>,
        name: Option<&str>,
        platform: Option<Platform>,
        asked: Create,
    ) -> Result<Made> {
        let engine = self.clone();
        let name = name.map(|name| name.trim_start_matches('/').to_owned());
        blocking(move || engine.make(name, platform, asked)).await
    }

    fn make(&self, name: Option<String>, platform: Option<Platform>, asked: Create) -> Result<Made> {
        if asked.config.image.is_empty() {
            return Err(ApiError::bad("no image specified"));
        }
        let details = self.images.details(&asked.config.image)?;
        is_for(&asked.config.image, &details.document, platform.as_ref())?;
        let hold = self.images.rootfs(&details.info.id)?.hold;
        network_mode::check(&asked.config, &asked.host_config)?;
        let mut config = plan::with_image(asked.config, &details.document.config);
        let mut host = asked.host_config;
        let warnings = verify::container(&config, &mut host, &self.machine)?;
        plan::with_defaults(&mut host, self.machine.unified);
        if plan::arguments(&config).is_empty() {
            return Err(ApiError::bad("no command specified"));
        }
        let (id, name) = (new_id(), self.new_name(name)?);
        let _alone = publish::has_range(&host).then(|| self.ranges.lock());
        let asked_ports = Some(host.port_bindings.clone());
        self.complete(&id, &mut config, &mut host)?;
        self.check_links(&host)?;
        let networks = self.networks_of(&host.network_mode, asked.networking_config.endpoints_config)?;
        let mounts = self.resolve_mounts(&config, &host).map_err(no_image_is_missing)?;
        let record = Record {
            created: Timestamp::now(),
            image: details.info.id,
            state: State::Created,
            restart_count: 0,
            short_runs: 0,
            exits: 0,
            manually_stopped: false,
            health: None,
            id,
            name,
            config,
            host,
            asked_ports,
            networks,
            mounts,
        };
        // the volumes that were made for it go with it
        let container =
            self.write_down(record.clone(), hold).inspect_err(|_| self.remove_anonymous(&record))?;
        self.events.container("create", &record, &[]);
        Ok((container, warnings))
    }

    fn new_name(&self, asked: Option<String>) -> Result<String> {
        match asked {
            Some(name) => {
                is_name(&name, &name)?;
                self.is_name_free(&name).map(|()| name)
            }
            None => Ok(names::random(|name| self.container(name).is_ok())),
        }
    }

    /// What follows from what else was said.
    fn complete(&self, id: &str, config: &mut Config, host: &mut HostConfig) -> Result<()> {
        if config.network_disabled {
            host.network_mode = NONE.to_owned();
        }
        if host.network_mode.is_empty() || host.network_mode == "default" {
            host.network_mode = BRIDGE.to_owned();
        }
        // by its id, which a renaming does not change
        for (what, mode) in [("PID", &mut host.pid_mode), ("IPC", &mut host.ipc_mode)] {
            if let Some(other) = shared_with(mode) {
                let found = self.container(other);
                let found = found
                    .map_err(|why| ApiError::bad(format_args!("invalid {what} mode: {}", why.message)))?;
                *mode = format!("container:{}", found.see(|r| r.id.clone()));
            }
        }
        if config.hostname.is_empty() {
            let of_machine = host.network_mode == HOST || host.uts_mode == HOST;
            config.hostname = if of_machine { machine_name() } else { id[..12].to_owned() };
        }
        if let Some(other) = shared_with(&host.network_mode) {
            // by its id, which a renaming does not change
            if let Ok(id) = self.container(other).map(|other| other.see(|r| r.id.clone())) {
                host.network_mode = format!("container:{id}");
            }
        } else if ![HOST, NONE].contains(&host.network_mode.as_str()) {
            publish::check_count(config, host)?;
            let mut taken: BTreeSet<_> =
                self.containers().iter().flat_map(|c| c.see(publish::published)).collect();
            taken.extend(publish::said(host));
            let network = self.networks.find(&host.network_mode).ok();
            plan::bind_ports(host, network.as_ref().and_then(Network::host_binding));
            plan::choose_ports(config, host, |protocol, said| {
                let port = publish::choose(protocol, said, &taken)?;
                taken.insert((protocol, port));
                Ok(port)
            })?;
        }
        Ok(())
    }

    fn write_down(&self, record: Record, hold: image::Lease) -> Result<Arc<Container>> {
        plan::check(&record)?;
        let (id, dir) = (record.id.clone(), self.container_dir(&record.id));
        let leases = self.leases_of_mounted(&record);
        let container = Arc::new(Container::new(record, dir.clone(), Some(hold)));
        container.holds.lock().extend(leases);
        let failed = |e| ApiError::failed(format_args!("write the record of {id}"), e);
        let written = files::private_dir(&dir).and_then(|()| container.save()).map_err(failed);
        // on a full disk too: nothing is left of what is not there
        written.and_then(|()| self.add(container.clone())).inspect_err(|_| drop(trees::remove(&dir)))?;
        Ok(container)
    }
}

/// # Errors
/// The image is for other machines than was asked for; the client then pulls one that is not.
fn is_for(name: &str, image: &ImageDocument, wanted: Option<&Platform>) -> Result<()> {
    let own = Platform { os: image.os.clone(), architecture: image.architecture.clone(), variant: None };
    match wanted {
        Some(wanted) if !wanted.is_served_by(&own) => Err(ApiError::not_found(format_args!(
            "image with reference {name} was found but its platform ({own}) does not match the specified platform ({wanted})"
        ))),
        _ => Ok(()),
    }
}

/// A client takes 404 for a missing image, and would pull it.
fn no_image_is_missing(refusal: ApiError) -> ApiError {
    match refusal.status {
        StatusCode::NOT_FOUND => ApiError::bad(refusal.message),
        _ => refusal,
    }
}

/// `shown` is how Docker tells of it: as it came where a container is made, with a slash where one is renamed.
pub(crate) fn is_name(name: &str, shown: &str) -> Result<()> {
    if names::is_name(name) {
        return Ok(());
    }
    Err(ApiError::bad(format_args!(
        "Invalid container name ({shown}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

fn machine_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_as_docker_tells_it() {
        assert!(is_name("box", "/box").is_ok());
        for shown in ["x", "/x"] {
            let want =
                format!("Invalid container name ({shown}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
            assert_eq!(is_name("x", shown).unwrap_err().message, want);
        }
    }

    #[test]
    fn an_image_for_another_machine_is_none() {
        let image = ImageDocument { architecture: "amd64".into(), os: "linux".into(), ..Default::default() };
        let platform = |text: &str| Platform::parse(text).ok();
        assert!(is_for("box", &image, None).is_ok());
        assert!(is_for("box", &image, platform("linux/amd64").as_ref()).is_ok());
        let said = is_for("box", &image, platform("linux/arm64").as_ref()).unwrap_err();
        assert_eq!(said.status, StatusCode::NOT_FOUND);
        assert!(
            said.message
                .contains("its platform (linux/amd64) does not match the specified platform (linux/arm64"),
            "{said}"
        );
    }
}
