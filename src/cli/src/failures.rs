//! Everything that can go wrong for a user, in one table: what it is called, how the program ends, why, and what to do.

use appliance::{Missing, StartError};
use std::fmt;
use std::process::ExitCode;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    pub id: &'static str,
    pub exit_code: u8,
    pub cause: &'static str,
    pub cure: &'static str,
}

macro_rules! failures {
    ($($name:ident = $code:literal, $id:literal, $cause:literal, $cure:literal;)*) => {
        $(pub const $name: Failure = Failure { id: $id, exit_code: $code, cause: $cause, cure: $cure };)*
        #[cfg(test)]
        const ALL: &[Failure] = &[$($name),*];
    };
}

failures! {
    OTHER = 1, "UNEXPECTED", "something unforeseen failed", "see `monopod logs` for what the daemon said";
    NOT_ROOT = 10, "NOT_ROOT", "the cluster's state lies where only root may write", "run it again with `sudo`";
    PORT_TAKEN = 20, "PORT_TAKEN", "another program listens on the API server's port", "end that program, or choose another port with `monopod start --apiserver-port PORT`";
    STATE_DAMAGED = 21, "STATE_DAMAGED", "a state file is damaged, and nothing was changed", "restore it from a backup, go on with what is there by `monopod start --accept-loss`, or begin anew with `monopod delete`";
    STATE_IN_USE = 22, "STATE_IN_USE", "another process holds the state of this profile", "stop it with `monopod stop`, or use another profile with `-p NAME`";
    DISK_FULL = 23, "DISK_FULL", "no space is left on the device that holds /var/lib", "free some space and start again: nothing that was acknowledged is lost";
    NOT_OURS = 25, "NOT_OURS", "a directory of the profile is another's, or others could put something in its place", "give it to root with `chown root` and `chmod go-w`, move it away, or use another profile with `-p NAME`";
    START_FAILED = 24, "START_FAILED", "the cluster did not come up", "see `monopod logs` for what the daemon said";
    DATASTORE_UNREACHABLE = 27, "DATASTORE_UNREACHABLE", "the etcd cluster that keeps the state does not answer", "start it, or give endpoints and certificates that it answers to by `monopod start --datastore-endpoint` and `--datastore-cafile`; nothing that was acknowledged is lost";
    DATASTORE_STATE = 28, "DATASTORE_STATE", "what is in the datastore is not what this profile goes on with", "bring the state there with `monopod datastore copy`, or leave the flag away to go on with the state where it is";
    UNDECRYPTABLE = 33, "UNDECRYPTABLE", "something that is stored is encrypted with a key that is missing or is another", "give the file that has the key by `monopod start --encryption-provider-config FILE`; nothing was changed";
    CONFIGURATION = 34, "CONFIGURATION", "a file that configures the cluster can not be used", "mend it, or give another for it to `monopod start`; `none` in its place takes it back";
    NOT_COPIED = 29, "NOT_COPIED", "the state was not copied, and is where it was", "mend what is said above, and try again";
    INTERRUPTED = 130, "INTERRUPTED", "it was interrupted before the cluster was up, and what it had begun has ended", "`monopod start` begins it again, and `monopod delete` removes what it has made";
    NOT_RUNNING = 30, "NOT_RUNNING", "the cluster is not running", "start it with `monopod start`";
    NO_ANSWER = 31, "NO_ANSWER", "the daemon runs, but does not answer", "see `monopod logs`; `monopod stop` and `monopod start` bring it back without losing a container";
    OTHER_VERSION = 35, "OTHER_VERSION", "the daemon that runs is of another version than this program", "`monopod stop` and `monopod start` bring it to this one without losing a container";
    NO_SYSTEMD = 14, "NO_SYSTEMD", "a unit of systemd starts it at boot, and systemd is not this machine's init", "have your init run `monopod start` when the network is up (an OpenRC or runit service, or `@reboot` in root's crontab)";
    AT_BOOT = 15, "AT_BOOT", "the systemd unit could not be set up or removed", "see `systemctl status monopod` and `journalctl -u monopod`";
    UPGRADE = 26, "UPGRADE", "the new program was not taken", "give the file of a monopod for this machine; the one that was there is there still";
    MANIFEST = 43, "MANIFEST", "an add-on's manifests could not be applied or removed", "mend what is said above, and try again; `monopod addons list` shows what is there";
    NO_KUBECTL = 44, "NO_KUBECTL", "the command kubectl is another program, which is looked for on the PATH", "install one as https://kubernetes.io/docs/tasks/tools/#kubectl says, or from your distribution's packages";
    NO_KUBERNETES = 32, "NO_KUBERNETES", "the profile was started as the Docker half alone", "bring Kubernetes by `monopod start --no-kubernetes=false`";
    NO_NFT = 11, "NO_NFT", "the program `nft` is missing, which services need", "install it with `apt-get install nftables`";
    NO_CGROUPS = 12, "NO_CGROUPS", "no cgroup hierarchy is mounted, so nothing can be limited or counted", "mount one with `mount -t cgroup2 none /sys/fs/cgroup`, or run on the machine itself instead of in a container";
    NO_OVERLAY = 13, "NO_OVERLAY", "the kernel has no overlay file system, which images need", "load it with `modprobe overlay`";
    SERVICE_NOT_FOUND = 40, "SERVICE_NOT_FOUND", "there is no such service", "see `monopod service list`, or name its namespace with `-n NAMESPACE`";
    SERVICE_NOT_READY = 41, "SERVICE_NOT_READY", "no ready pod stands behind the service", "see `kubectl get pods` and `kubectl describe pod NAME`, or wait longer with `--wait SECONDS`";
    SERVICE_UNREACHABLE = 42, "SERVICE_UNREACHABLE", "the service has no port that can be reached from outside the cluster", "give it the type NodePort or LoadBalancer";
    REGISTRY = 51, "REGISTRY", "the registry did not do what was asked", "check the image's name, the network and the password; a registry of your own may need `monopod start --insecure-registry HOST` or its authority in /etc/docker/certs.d";
    IMAGE = 50, "IMAGE", "the image store refused", "mend what is said above, and try again; `monopod image ls` shows what is there";
    KUBECONFIG_OWNER = 61, "KUBECONFIG_OWNER", "the kubeconfig, or the directory that it is in, is not the user's who typed `sudo`, as `sudo kubectl` leaves it behind", "give it back with `sudo chown -R \"$USER\" ~/.kube`, then run `monopod update-context`";
    KUBECONFIG = 60, "KUBECONFIG", "the kubeconfig file can not be used", "mend or move the file, then run `monopod update-context`";
}

/// A row, and what it was about this time.
#[derive(Debug)]
pub struct Failed {
    pub failure: Failure,
    pub what: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failed {}

impl Failure {
    /// The error to return, about `what`: one line in lower case, which the user reads first.
    pub fn because(self, what: impl fmt::Display) -> anyhow::Error {
        anyhow::Error::new(Failed { failure: self, what: what.to_string() })
    }
}

impl From<Missing> for Failure {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Root => NOT_ROOT,
            Missing::Cgroups => NO_CGROUPS,
            Missing::Overlay => NO_OVERLAY,
            Missing::Nft => NO_NFT,
        }
    }
}

impl From<&StartError> for Failure {
    fn from(error: &StartError) -> Self {
        match error {
            StartError::PortTaken { .. } => PORT_TAKEN,
            StartError::StateDamaged { .. } => STATE_DAMAGED,
            StartError::StateInUse { .. } => STATE_IN_USE,
            StartError::NotOurs { .. } => NOT_OURS,
            StartError::DiskFull { .. } => DISK_FULL,
            StartError::Unreachable { .. } => DATASTORE_UNREACHABLE,
            StartError::Datastore { .. } => DATASTORE_STATE,
            StartError::Undecryptable { .. } => UNDECRYPTABLE,
            StartError::NotCopied { .. } => NOT_COPIED,
            StartError::Configuration { .. } => CONFIGURATION,
            StartError::Failed { .. } => START_FAILED,
        }
    }
}

/// Whether an error is of this row.
pub fn is(error: &anyhow::Error, failure: Failure) -> bool {
    error.downcast_ref::<Failed>().is_some_and(|failed| failed.failure.id == failure.id)
}

/// Tells the user, and says how the program ends. `typed` is the program as it is typed for the profile that was meant.
pub fn report(error: &anyhow::Error, typed: &str) -> ExitCode {
    let failure = error.downcast_ref::<Failed>().map_or(OTHER, |failed| failed.failure);
    eprintln!("monopod: {error:#}");
    eprintln!("  why:  {} ({})", failure.cause, failure.id);
    eprintln!("  cure: {}", cure(failure, typed));
    ExitCode::from(failure.exit_code)
}

fn cure(failure: Failure, typed: &str) -> String {
    failure.cure.replace("`monopod ", &format!("`{typed} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cure_is_for_the_profile_that_was_meant() {
        for (typed, want) in [
            ("monopod", "start it with `monopod start`"),
            ("monopod -p other", "start it with `monopod -p other start`"),
        ] {
            assert_eq!(cure(NOT_RUNNING, typed), want);
        }
        assert_eq!(cure(AT_BOOT, "monopod -p other"), AT_BOOT.cure, "a unit is no command of ours");
    }

    #[test]
    fn every_failure_has_a_name_and_an_exit_code_of_its_own() {
        for (index, failure) in ALL.iter().enumerate() {
            assert!(!failure.cause.is_empty() && !failure.cure.is_empty(), "{}", failure.id);
            for other in &ALL[index + 1..] {
                assert_ne!(failure.exit_code, other.exit_code, "{} and {}", failure.id, other.id);
                assert_ne!(failure.id, other.id);
            }
        }
    }
}
