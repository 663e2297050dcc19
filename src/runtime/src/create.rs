//! Making a container: what is known beforehand, the mounted root file system, who runs in it, the spec, the shim's
//! part.

use crate::account::{self, Account, Wanted};
use crate::cgroups::Hierarchies;
use crate::client::CallError;
use crate::container::{Container, state_of};
use crate::container_prep::ContainerPrep;
use crate::host::Host;
use crate::paths::ContainerPaths;
use crate::pid_namespace::PidNamespace;
use crate::records::{self, ContainerRecord, new_id};
use crate::rootfs::Rootfs;
use crate::runtime::{Inner, blocking};
use crate::sandbox::Sandbox;
use crate::spec::{self, ImageDefaults, Parts};
use cri::wire::{
    self, CgroupView, CreateRequest, ExecRequest, ExitRecord, LateMount, MountRequest, PartMount, Request,
    SharedMount,
};
use cri::{
    CANNOT_START, ContainerConfig, ContainerId, ContainerState, CriError, Mount, Propagation, Resources,
    Result, SandboxId, Seccomp,
};
use nix::errno::Errno;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PROC: &str = "/proc";

impl Inner {
    pub async fn create_container(
        self: Arc<Self>,
        sandbox: SandboxId,
        config: ContainerConfig,
    ) -> Result<ContainerId> {
        let sandbox = self.sandbox(&sandbox)?;
        let _stays = sandbox.gate.read().await;
        sandbox.client()?;
        let id = ContainerId(new_id());
        let paths = self.paths.container(&sandbox.id(), &id);
        match self.make_container(&sandbox, id.clone(), config, &paths).await {
            Ok(container) => {
                self.add_container(Arc::new(container));
                if !sandbox.is_ready() {
                    // its shim died just now, and what died with it has been told already
                    self.containers_ended(&sandbox.id(), "the sandbox ended").await;
                }
                Ok(id)
            }
            Err(e) => {
                self.unmake_container(&sandbox, &id, paths).await;
                Err(e)
            }
        }
    }

    async fn make_container(
        self: &Arc<Self>,
        sandbox: &Arc<Sandbox>,
        id: ContainerId,
        config: ContainerConfig,
        paths: &ContainerPaths,
    ) -> Result<Container> {
        self.expect_moves();
        let name = config.name.clone();
        let doing = |what: &str| format!("{what} container {name}");
        let (inner, at, of) = (self.clone(), paths.clone(), sandbox.clone());
        let prep = blocking(move || inner.prep(&of, id, config, at)).await?;
        let what = doing("mount root file system of");
        let mounted = sandbox.call(&what, Request::Mount(mounts(&prep, self.host.stacks)));
        let (mounted, made) = tokio::join!(mounted, self.make_cgroups(&prep));
        mounted.and(made)?;
        let (host, cgroups, program) = (self.host.clone(), self.cgroups.clone(), self.config.program.clone());
        let files = cgroups.files(&prep.cgroup);
        let (prep, Written { record, late, guarded, cgroup_view }) = blocking(move || {
            let written = write_bundle(&prep, &host, &cgroups, &program)?;
            Ok::<_, CriError>((prep, written))
        })
        .await?;
        let create = CreateRequest {
            container: prep.id.clone(),
            bundle: prep.paths.bundle.clone(),
            log_path: prep.log_path.clone(),
            tty: prep.config.tty,
            terminal_size: prep.config.terminal_size,
            stdin: prep.config.stdin,
            stdin_once: prep.config.stdin_once,
            logging: prep.config.logging.clone(),
            cgroup: files,
            late,
            stop_signal: Some(prep.stop_signal),
            held: spec::loop_devices(&prep.config.devices, &prep.devices),
            guarded,
            cgroup_view,
        };
        let state = match sandbox.client()?.call(Request::Create(create)).await {
            Ok(_) => ContainerState::Created,
            Err(CallError::Refused(why)) if prep.config.keep_unstartable => {
                note_unstartable(&prep.paths, &why).await?
            }
            Err(e) => return Err(CriError::failed(doing("create"), e)),
        };
        if state == ContainerState::Created {
            self.finish_limits(&prep).await?;
        }
        Ok(Container::new(record, prep.paths, sandbox.clone(), state, prep.holds))
    }

    /// The container's cgroups with their limits, ready for its processes.
    async fn make_cgroups(&self, prep: &ContainerPrep) -> Result<()> {
        let failed = |why: &dyn std::fmt::Display| {
            CriError::failed(format_args!("make cgroups of container {}", prep.config.name), why)
        };
        let rules = spec::device_rules(&prep.config, &prep.devices).map_err(|e| failed(&e))?;
        let limits = Resources { pids_limit: None, oom_kill_disable: false, ..prep.config.resources.clone() };
        if let Some(controller) = self.cgroups.missing(&prep.config.resources) {
            return Err(failed(&format_args!(
                "this machine has no cgroup controller {controller}, which a limit needs"
            )));
        }
        let (cgroups, cgroup) = (self.cgroups.clone(), prep.cgroup.clone());
        let make = move || {
            cgroups.make(&cgroup)?;
            cgroups.limit(&cgroup, &limits)?;
            cgroups.guard_devices(&cgroup, &rules)
        };
        blocking(make).await.map_err(|e| failed(&e))
    }

    /// What would be in the way before: whoever makes the container has processes in its cgroup, which without the OOM killer of v1
    /// would wait for ever for memory that is not given; and the libcontainer of older shims always switches that killer on.
    async fn finish_limits(&self, prep: &ContainerPrep) -> Result<()> {
        let Resources { oom_kill_disable, pids_limit, .. } = prep.config.resources;
        let limits = Resources { oom_kill_disable, pids_limit, ..Resources::default() };
        if limits == Resources::default() {
            return Ok(());
        }
        let (cgroups, cgroup) = (self.cgroups.clone(), prep.cgroup.clone());
        let doing = format!("limit container {}", prep.config.name);
        blocking(move || cgroups.limit(&cgroup, &limits)).await.map_err(|e| CriError::failed(doing, e))
    }

    async fn unmake_container(&self, sandbox: &Sandbox, id: &ContainerId, paths: ContainerPaths) {
        // it may not have come far enough to be known there
        let _ = sandbox.call("remove", Request::Remove { container: id.clone() }).await;
        self.clear_container(paths, format!("{}/{id}", self.pod_cgroup(&sandbox.record().config))).await;
    }
}

/// Remembers that the container's first process could not be made, as the container's end.
async fn note_unstartable(paths: &ContainerPaths, why: &str) -> Result<ContainerState> {
    let exit = ExitRecord {
        exit_code: CANNOT_START,
        oom_killed: false,
        finished_at: jiff::Timestamp::now(),
        message: unstartable(why),
    };
    let seen = wire::ContainerRecord { exit: Some(exit), ..Default::default() };
    let state = state_of(&seen);
    let path = paths.exit();
    let written = blocking(move || records::write(&path, &seen)).await;
    written.map_err(|e| CriError::failed("write exit of a container that can not start", e))?;
    Ok(state)
}

/// As users of other runtimes know it.
fn unstartable(why: &str) -> String {
    let why = match why {
        "exec: no command" => "exec: \"\": executable file not found in $PATH",
        why => why,
    };
    format!("failed to create task: OCI runtime create failed: unable to start container process: {why}")
}

fn mounts(prep: &ContainerPrep, stacks: bool) -> MountRequest {
    let (upper, work) = prep.written();
    let mut request = MountRequest {
        container: prep.id.clone(),
        layers: prep.layers.clone(),
        upper,
        work,
        target: prep.paths.rootfs(),
        stacks: Some(stacks),
        images: prep.images.clone(),
        shared: Vec::new(),
        parts: Vec::new(),
    };
    for (mount, brought) in spec::shared_sources(&prep.config).zip(&prep.shared) {
        let (Some(source), target) = (mount.source.clone(), brought.source.clone()) else { continue };
        match mount.subpath.clone() {
            Some(subpath) => {
                request.parts.push(PartMount { source, subpath, target, propagation: mount.propagation });
            }
            None => {
                let private = mount.propagation == Propagation::Private;
                request.shared.push(SharedMount { source, target, private });
            }
        }
    }
    request
}

/// What the shim is not told by the spec, and what is remembered.
struct Written {
    record: ContainerRecord,
    late: Vec<LateMount>,
    guarded: Vec<PathBuf>,
    cgroup_view: Option<CgroupView>,
}

/// Everything that needs the root file system, then the spec and the record.
fn write_bundle(prep: &ContainerPrep, host: &Host, cgroups: &Hierarchies, program: &Path) -> Result<Written> {
    let config = &prep.config;
    let failed = |what: &str, why: &dyn std::fmt::Display| {
        CriError::failed(format_args!("{what} of container {}", config.name), why)
    };
    let root = Rootfs::open(&prep.shim.seen(&prep.paths.rootfs()))
        .map_err(|e| failed("open root file system", &e))?;
    for kernel in ["dev", "proc", "sys"] {
        root.keep_dir(kernel).map_err(|e| failed(&format!("make /{kernel}"), &e))?;
    }
    let files = spec::files(&prep.sandbox);
    let volumes = prep.volumes.iter().map(|volume| volume.target.as_path());
    let asked = config.mounts.iter().map(|mount| mount.target.as_path());
    for target in volumes.chain(asked).chain(files.iter().map(|(_, target)| Path::new(*target))) {
        check_links(&root, target)?;
    }
    let account = account_of(&root, config, &prep.defaults)?;
    if config.run_as_non_root && account.uid == 0 {
        return Err(CriError::Invalid("container has runAsNonRoot and image will run as root".to_owned()));
    }
    let own = prep.volumes.iter().map(|v| (v.target.clone(), v.source.clone()));
    for (target, source) in own.chain(to_be_filled(prep)) {
        let copied = root.fill(&target, &source);
        copied.map_err(|e| failed(&format!("fill volume {}", target.display()), &e))?;
    }
    let is_dir = |mount: &Mount| source_of(prep, mount).is_none_or(|source| source.is_dir());
    for (target, is_dir) in spec::mountpoints(&parts(prep, host, &account, program), is_dir) {
        root.make_mountpoint(&target, is_dir)
            .map_err(|e| failed(&format!("make mount point {}", target.display()), &e))?;
    }
    for (path, device) in spec::nodes_in_root(&parts(prep, host, &account, program))? {
        root.make_node(&path, device).map_err(|e| failed(&format!("make device {}", path.display()), &e))?;
    }
    let cwd = spec::working_dir(config, &prep.defaults);
    make_working_dir(prep, &root, &cwd, &account)
        .map_err(|e| failed(&format!("make working directory {}", cwd.display()), &e))?;
    let hierarchies: Vec<PathBuf> = cgroups.mounts().into_iter().map(Path::to_owned).collect();
    let parts = Parts { hierarchies: &hierarchies, ..parts(prep, host, &account, program) };
    let spec = spec::build(&parts)?;
    let late = spec::late(&parts)?;
    let guarded = spec::guarded(&spec, |path, see| root.walk(path, see).ok());
    let cgroup_view = parts.shows_cgroups.then(|| spec::cgroup_view(&parts));
    let text = serde_json::to_vec(&spec).map_err(|e| failed("write spec", &e))?;
    std::fs::write(prep.paths.spec(), text).map_err(|e| failed("write spec", &e))?;
    let record = record_of(prep, &parts, &account)?;
    records::write(&prep.paths.record(), &record).map_err(|e| failed("write record", &e))?;
    Ok(Written { record, late, guarded, cgroup_view })
}

/// The image may have a link at the target of a mount, or on the way there; one that goes in circles is refused where it is followed.
fn check_links(root: &Rootfs, target: &Path) -> Result<()> {
    let mut hidden = None;
    let real = root.walk(target, &mut |at, is_link| {
        if is_link && at.starts_with(PROC) {
            hidden.get_or_insert_with(|| at.to_owned());
        }
    });
    // what the image has in /proc is not there any more when the mount is made: its link leads away from where that will be
    if let Some(hidden) = hidden {
        spec::target_of(&hidden)?;
    }
    real.map_or(Ok(()), |real| spec::target_of(&real).map(drop))
}

/// Mounts that begin with what the image has there, if they are empty still.
fn to_be_filled(prep: &ContainerPrep) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let config = &prep.config;
    let filled: HashSet<&PathBuf> = config.copy_up.iter().collect();
    let asked = config.mounts.iter().filter(move |mount| filled.contains(&mount.target));
    asked.filter_map(|mount| Some((mount.target.clone(), source_of(prep, mount)?)))
}

/// Where we find what is mounted: an image, and a part of a volume, where the shim has it. A part's name may lead elsewhere by now.
fn source_of(prep: &ContainerPrep, mount: &Mount) -> Option<PathBuf> {
    if mount.subpath.is_some() {
        let brought = prep.shared.iter().find(|brought| brought.target == mount.target)?;
        return Some(prep.shim.seen(&brought.source));
    }
    match (&mount.source, &mount.image) {
        (Some(source), Some(_)) => Some(prep.shim.seen(source)),
        (source, _) => source.clone(),
    }
}

/// Where a process that looks from inside will find it: in what is mounted there, else in the root. Nothing is made in what the container
/// may only read.
fn make_working_dir(prep: &ContainerPrep, root: &Rootfs, cwd: &Path, account: &Account) -> nix::Result<()> {
    let asked = prep.config.mounts.iter();
    let asked = asked.map(|m| (m.target.as_path(), source_of(prep, m).filter(|_| !m.read_only)));
    let volumes = prep.volumes.iter().map(|v| (v.target.as_path(), Some(v.source.clone())));
    let over = asked.chain(volumes).filter(|(target, _)| cwd.starts_with(target));
    match over.max_by_key(|(target, _)| target.components().count()) {
        None => root.make_dir(&root.real(cwd)?, account.uid, account.gid),
        Some((target, Some(source))) if source.is_dir() => {
            let rest = cwd.strip_prefix(target).unwrap_or(Path::new(""));
            let volume = Rootfs::open(&source)?;
            match volume.make_dir(rest, account.uid, account.gid) {
                // an absolute link is one of the container's, and there is more in its root than in the volume
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) if has_link(&volume, rest) => Ok(()),
                made => made,
            }
        }
        // a fresh tmpfs has its own top only, and a file no directory: the container's start says so
        Some(_) => Ok(()),
    }
}

fn has_link(volume: &Rootfs, path: &Path) -> bool {
    let mut found = false;
    // one that goes in circles is one as well
    let _ = volume.walk(path, &mut |_, is_link| found |= is_link);
    found
}

fn parts<'a>(prep: &'a ContainerPrep, host: &'a Host, account: &'a Account, program: &'a Path) -> Parts<'a> {
    Parts {
        container: &prep.config,
        sandbox: &prep.sandbox,
        image: &prep.defaults,
        account,
        host,
        rootfs: Path::new("rootfs"),
        sandbox_dir: &prep.sandbox_dir,
        etc_dir: &prep.etc_dir,
        volumes: &prep.volumes,
        shared: &prep.shared,
        devices: &prep.devices,
        localhost: prep.localhost.clone(),
        cgroup: &prep.cgroup,
        hierarchies: &[],
        shows_cgroups: prep.shows_cgroups,
        pid_namespace: prep.pid_namespace.as_ref().map(PidNamespace::path),
        program,
    }
}

fn record_of(prep: &ContainerPrep, parts: &Parts<'_>, account: &Account) -> Result<ContainerRecord> {
    let config = &prep.config;
    let process = ExecRequest {
        env: spec::environment(config, &prep.defaults, &prep.sandbox.hostname),
        cwd: spec::working_dir(config, &prep.defaults),
        uid: account.uid,
        gid: account.gid,
        groups: account.groups.clone(),
        capabilities: spec::capabilities_of(parts)?.0,
        no_new_privileges: config.no_new_privileges,
        seccomp: match config.seccomp {
            Seccomp::Unconfined => false,
            Seccomp::Profile(_) => true,
            Seccomp::RuntimeDefault | Seccomp::Localhost(_) => !config.privileged,
        },
        tty: config.tty,
        ..ExecRequest::default()
    };
    Ok(ContainerRecord {
        id: prep.id.clone(),
        sandbox: prep.sandbox_id.clone(),
        config: config.clone(),
        image_id: prep.image_id.clone(),
        created_at: jiff::Timestamp::now(),
        log_path: prep.log_path.clone(),
        stop_signal: prep.stop_signal,
        process,
        home: account.home.clone(),
        cgroup: prep.cgroup.clone(),
    })
}

fn account_of(root: &Rootfs, config: &ContainerConfig, image: &ImageDefaults) -> Result<Account> {
    let wanted = Wanted {
        user: config.user.as_deref().or(image.user.as_deref()),
        uid: config.run_as_user,
        gid: config.run_as_group,
        supplemental: &config.supplemental_groups,
        group_names: &config.group_names,
    };
    let read = |path: &str| root.read_text(Path::new(path));
    account::resolve(wanted, &read("/etc/passwd"), &read("/etc/group"))
}
