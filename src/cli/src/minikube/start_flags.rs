//! The flags of `minikube start`, in one table: which are done, which are taken and mean nothing here, and which are
//! refused.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Flag,
    Text,
    /// May be given several times, or with commas.
    List,
}

/// What becomes of a flag that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// `start.rs` asks for it.
    Done,
    /// Accepted, with this line.
    Means(&'static str),
}
use Effect::{Done, Means};
use Takes::{Flag, List, Text};

const NO_MACHINE: &str = "pods run on this machine itself";
const OWN_RUNTIME: &str = "containers are run by this program, and Docker's socket is always there";
const OWN_NETWORK: &str = "the pod network is built in";
const OWN_IMAGES: &str = "nothing is downloaded: Kubernetes is this program";
const SEES_FILES: &str = "a hostPath sees the files of this machine, each at its own path";
const ALWAYS: &str = "addresses answer on this machine: no port needs to be published";

const FLAGS: &[(&str, Takes, Effect)] = &[
    ("addons", List, Done),
    ("apiserver-ips", List, Done),
    ("apiserver-name", Text, Done),
    ("apiserver-names", List, Done),
    ("apiserver-port", Text, Done),
    ("auto-pause-interval", Text, Means("nothing pauses by itself: at idle there is nothing to save")),
    ("auto-update-drivers", Flag, Means(NO_MACHINE)),
    ("base-image", Text, Means(NO_MACHINE)),
    ("binary-mirror", Text, Means(OWN_IMAGES)),
    ("cache-images", Flag, Means(OWN_IMAGES)),
    ("cert-expiration", Text, Means("certificates are renewed at each start")),
    ("cni", Text, Means(OWN_NETWORK)),
    ("container-runtime", Text, Means(OWN_RUNTIME)),
    ("cpus", Text, Means(NO_MACHINE)),
    ("cri-socket", Text, Means(OWN_RUNTIME)),
    ("delete-on-failure", Flag, Means("a start that fails leaves nothing half made")),
    ("disable-coredns-log", Flag, Means("DNS is built in")),
    ("disable-driver-mounts", Flag, Means(NO_MACHINE)),
    ("disable-metrics", Flag, Means("nothing is measured and sent anywhere")),
    ("disable-optimizations", Flag, Means(OWN_IMAGES)),
    ("disk-size", Text, Means(NO_MACHINE)),
    ("dns-domain", Text, Means("the cluster's domain is cluster.local")),
    ("dns-proxy", Flag, Means(NO_MACHINE)),
    ("docker-env", List, Means("set HTTP_PROXY and its kin for `start` itself")),
    ("docker-opt", List, Means(OWN_RUNTIME)),
    ("download-only", Flag, Done),
    ("driver", Text, Means(NO_MACHINE)),
    ("dry-run", Flag, Done),
    ("embed-certs", Flag, Means("the kubeconfig always has its certificates in it")),
    ("enable-default-cni", Flag, Means(OWN_NETWORK)),
    // each is one, commas and all
    ("extra-config", Text, Done),
    ("extra-disks", Text, Means(NO_MACHINE)),
    ("feature-gates", Text, Means("what is generally available is on; nothing else can be switched")),
    ("force", Flag, Done),
    ("force-systemd", Flag, Means("cgroups are used as this machine has them")),
    ("gpus", Text, Done),
    ("ha", Flag, Done),
    ("host-dns-resolver", Flag, Means(NO_MACHINE)),
    ("host-only-cidr", Text, Means(NO_MACHINE)),
    ("host-only-nic-type", Text, Means(NO_MACHINE)),
    ("hyperkit-vpnkit-sock", Text, Means(NO_MACHINE)),
    ("hyperkit-vsock-ports", List, Means(NO_MACHINE)),
    ("hyperv-external-adapter", Text, Means(NO_MACHINE)),
    ("hyperv-use-external-switch", Flag, Means(NO_MACHINE)),
    ("hyperv-virtual-switch", Text, Means(NO_MACHINE)),
    ("image-mirror-country", Text, Means(OWN_IMAGES)),
    ("image-repository", Text, Means(OWN_IMAGES)),
    ("insecure-registry", List, Done),
    ("install-addons", Flag, Means("what is built in is always there")),
    ("iso-url", List, Means(NO_MACHINE)),
    ("keep-context", Flag, Done),
    ("kubernetes-version", Text, Done),
    ("kvm-gpu", Flag, Means(NO_MACHINE)),
    ("kvm-hidden", Flag, Means(NO_MACHINE)),
    ("kvm-network", Text, Means(NO_MACHINE)),
    ("kvm-numa-count", Text, Means(NO_MACHINE)),
    ("kvm-qemu-uri", Text, Means(NO_MACHINE)),
    ("listen-address", Text, Means("the API server answers on every address of this machine")),
    ("memory", Text, Means(NO_MACHINE)),
    ("mount", Flag, Means(SEES_FILES)),
    ("mount-9p-version", Text, Means(SEES_FILES)),
    ("mount-gid", Text, Means(SEES_FILES)),
    ("mount-ip", Text, Means(SEES_FILES)),
    ("mount-msize", Text, Means(SEES_FILES)),
    ("mount-options", List, Means(SEES_FILES)),
    ("mount-port", Text, Means(SEES_FILES)),
    ("mount-string", Text, Means(SEES_FILES)),
    ("mount-type", Text, Means(SEES_FILES)),
    ("mount-uid", Text, Means(SEES_FILES)),
    ("namespace", Text, Done),
    ("nat-nic-type", Text, Means(NO_MACHINE)),
    ("native-ssh", Flag, Means(NO_MACHINE)),
    ("network", Text, Means(OWN_NETWORK)),
    ("network-plugin", Text, Means(OWN_NETWORK)),
    ("nfs-share", List, Means(SEES_FILES)),
    ("nfs-shares-root", Text, Means(SEES_FILES)),
    ("no-kubernetes", Flag, Done),
    ("no-vtx-check", Flag, Means(NO_MACHINE)),
    ("nodes", Text, Done),
    ("output", Text, Done),
    ("ports", List, Means(ALWAYS)),
    ("preload", Flag, Means(OWN_IMAGES)),
    ("preload-source", Text, Means(OWN_IMAGES)),
    ("qemu-firmware-path", Text, Means(NO_MACHINE)),
    ("registry-mirror", List, Done),
    (
        "service-cluster-ip-range",
        Text,
        Means("the ranges are chosen so that clusters side by side do not meet"),
    ),
    ("socket-vmnet-client-path", Text, Means(NO_MACHINE)),
    ("socket-vmnet-path", Text, Means(NO_MACHINE)),
    ("ssh-ip-address", Text, Means(NO_MACHINE)),
    ("ssh-key", Text, Means(NO_MACHINE)),
    ("ssh-port", Text, Means(NO_MACHINE)),
    ("ssh-user", Text, Means(NO_MACHINE)),
    ("static-ip", Text, Means("the node has this machine's address")),
    ("subnet", Text, Means(OWN_NETWORK)),
    ("trace", Text, Means("nothing is traced")),
    ("uuid", Text, Means(NO_MACHINE)),
    ("vm", Flag, Means(NO_MACHINE)),
    ("vm-driver", Text, Means(NO_MACHINE)),
    ("wait", List, Done),
    ("wait-timeout", Text, Done),
];

fn short(flag: &str) -> Option<char> {
    match flag {
        "container-runtime" => Some('c'),
        "nodes" => Some('n'),
        "output" => Some('o'),
        "gpus" => Some('g'),
        _ => None,
    }
}

/// What `--help` says of those that do something.
fn help(flag: &str) -> Option<&'static str> {
    Some(match flag {
        "addons" => "Enable addons. see `minikube addons list` for a list of valid addon names",
        "apiserver-ips" => "Addresses that the apiserver's certificate holds beside this machine's own",
        "apiserver-name" => "A name that the apiserver's certificate holds beside this machine's own",
        "apiserver-names" => "Names that the apiserver's certificate holds beside this machine's own",
        "apiserver-port" => "The apiserver listening port",
        "download-only" => "Says that there is nothing to download, and stops there",
        "dry-run" => "Checks what was typed, and changes nothing",
        "extra-config" => "kubelet.max-pods=N: how many pods the node takes",
        "force" => "Go on where minikube refuses a size of the machine",
        "gpus" => "Only `none`: devices are not given to pods yet",
        "ha" => "Refused: there is one control plane",
        "insecure-registry" => {
            "Registries that may speak plain HTTP or have a certificate that nobody vouches for"
        }
        "keep-context" => "Keep the current kubectl context, and put the new one beside it",
        "kubernetes-version" => {
            "The version that is served, `stable` or `latest`; another minor one is refused"
        }
        "namespace" => "The namespace that kubectl is pointed at",
        "no-kubernetes" => "Start the Docker engine alone, without Kubernetes",
        "nodes" => "One: this machine",
        "output" => "Format to print stdout in. Options include: [text,json]",
        "registry-mirror" => "Registries to ask before docker.io",
        "wait" => "Taken: a start always waits until the node is Ready",
        "wait-timeout" => "Taken: a start always waits until the node is Ready",
        _ => return None,
    })
}

/// Those that were given, with their values.
#[derive(Debug, Clone, Default)]
pub(super) struct StartFlags(Vec<(&'static str, Vec<String>)>);

impl StartFlags {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str)
    }

    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.iter().find(|(known, _)| *known == name).map_or(&[], |(_, values)| values)
    }

    /// Go's booleans: what is no `false` is true.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| !matches!(value, "false" | "False" | "FALSE" | "f" | "F" | "0"))
    }

    /// Those that are true or false, each with what was said of it.
    pub(super) fn switches(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let is_switch = |name: &str| FLAGS.iter().any(|(known, takes, _)| *known == name && *takes == Flag);
        let given = self.0.iter().filter(move |(name, _)| is_switch(name));
        given.flat_map(|(name, values)| values.iter().map(|value| (*name, value.as_str())))
    }

    /// What the flags without effect mean here, once each.
    pub(super) fn meanings(&self) -> Vec<String> {
        let mut lines: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
        for (name, effect) in self.0.iter().filter_map(|(name, _)| Some((*name, effect(name)?))) {
            let Means(what) = effect else { continue };
            match lines.iter_mut().find(|(known, _)| *known == what) {
                Some((_, names)) => names.push(name),
                None => lines.push((what, vec![name])),
            }
        }
        lines
            .into_iter()
            .map(|(what, names)| {
                let flags: Vec<String> = names.iter().map(|name| format!("--{name}")).collect();
                let have = if flags.len() == 1 { "has" } else { "have" };
                format!("{} {have} no effect: {what}", flags.join(", "))
            })
            .collect()
    }
}

fn effect(name: &str) -> Option<Effect> {
    FLAGS.iter().find(|(known, ..)| *known == name).map(|(.., effect)| *effect)
}

impl Args for StartFlags {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, (name, takes, effect)| {
            let arg = Arg::new(*name).long(*name).hide(*effect != Done).help(help(name));
            let arg = match short(name) {
                Some(letter) => arg.short(letter),
                None => arg,
            };
            command.arg(match takes {
                Flag => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                Text => arg.num_args(1).action(ArgAction::Append),
                List => arg.num_args(1).action(ArgAction::Append).value_delimiter(','),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for StartFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = FLAGS.iter().filter_map(|(name, ..)| {
            let values: Vec<String> = matches.get_many::<String>(name)?.cloned().collect();
            Some((*name, values))
        });
        Ok(StartFlags(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> StartFlags {
        let command = StartFlags::augment_args(Command::new("start").no_binary_name(true));
        StartFlags::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
    }

    #[test]
    fn flags_are_understood_as_go_does() {
        let flags = parse(&[
            "--vm=false",
            "--keep-context",
            "--addons=a,b",
            "--addons",
            "c",
            "--driver",
            "docker",
            "-n",
            "1",
        ]);
        assert!(!flags.is_set("vm") && flags.is_set("keep-context") && !flags.is_set("ha"));
        assert_eq!(flags.all("addons"), ["a", "b", "c"]);
        assert_eq!(flags.text("nodes"), Some("1"));
    }

    #[test]
    fn what_does_something_has_its_help() {
        for (name, _, effect) in FLAGS {
            assert_eq!(help(name).is_some(), *effect == Done, "{name}");
        }
    }

    #[test]
    fn what_has_no_effect_is_said_once() {
        let flags = parse(&["--driver=docker", "--cpus=2", "--memory=4g", "--cni=calico", "--wait=all"]);
        assert_eq!(
            flags.meanings(),
            [
                "--cni has no effect: the pod network is built in",
                "--cpus, --driver, --memory have no effect: pods run on this machine itself",
            ]
        );
    }
}
