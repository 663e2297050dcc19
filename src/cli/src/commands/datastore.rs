//! `monopod datastore copy`: the state of a stopped cluster goes from its file into etcd, or back. The flags that open an
//! etcd are `start`'s as well.

use super::Setting;
use crate::at_boot;
use crate::control_client::{Presence, presence};
use crate::failures::{self, Failure};
use anyhow::Result;
use appliance::DatastoreEndpoint;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the cluster's state is kept: in a file of the profile, or in an etcd cluster.
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Datastore {
    #[command(subcommand)]
    command: DatastoreCommand,
}

#[derive(Subcommand)]
enum DatastoreCommand {
    /// Copy the state from one to the other, look whether all of it arrived, and use the copy from then on. The cluster must be
    /// stopped. What is copied stays as it is.
    Copy(Copy),
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("where").args(["to", "from"]).required(true).multiple(true))]
struct Copy {
    /// The etcd cluster to copy to (https://HOST:2379,…); the profile's own file without it.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    to: Vec<DatastoreEndpoint>,
    /// The etcd cluster to copy from; what the profile uses now without it.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    from: Vec<DatastoreEndpoint>,
    #[command(flatten)]
    files: DatastoreFiles,
    /// Replace what is there already.
    #[arg(long)]
    overwrite: bool,
}

/// What opens an etcd cluster.
#[derive(clap::Args)]
pub(super) struct DatastoreFiles {
    /// The authority (PEM) that etcd's certificate is of; the machine's own authorities without it.
    #[arg(long, value_name = "FILE")]
    datastore_cafile: Option<PathBuf>,
    /// The certificate (PEM) that etcd is shown.
    #[arg(long, value_name = "FILE", requires = "datastore_keyfile")]
    datastore_certfile: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "datastore_certfile")]
    datastore_keyfile: Option<PathBuf>,
}

impl DatastoreFiles {
    pub(super) fn are_given(&self) -> bool {
        self.datastore_cafile.is_some() || self.datastore_certfile.is_some()
    }

    /// `None` where there are no endpoints.
    pub(super) fn datastore(&self, endpoints: &[DatastoreEndpoint]) -> Result<Option<appliance::Datastore>> {
        let identity = self.datastore_certfile.clone().zip(self.datastore_keyfile.clone());
        Ok(appliance::Datastore::new(endpoints, self.datastore_cafile.clone(), identity)?)
    }
}

impl Datastore {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        match &self.command {
            DatastoreCommand::Copy(copy) => copy.run(setting),
        }
    }
}

impl Copy {
    fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let paths = &setting.paths;
        if !nix::unistd::geteuid().is_root() {
            return Err(failures::NOT_ROOT.because(format!("copy the state of {}", paths.profile)));
        }
        if at_boot::is_active(&paths.profile) || !matches!(presence(paths), Presence::Stopped) {
            let what = format!("{} runs: stop it first, its pods go on meanwhile", paths.profile);
            return Err(failures::STATE_IN_USE.because(what));
        }
        let (from, to) = (self.files.datastore(&self.from)?, self.files.datastore(&self.to)?);
        let copied = appliance::copy_datastore(paths, from, to, self.overwrite)
            .map_err(|error| Failure::from(&error).because(error))?;
        println!(
            "{}: {} objects at revision {} are copied from {} to {}, and were read again",
            paths.profile, copied.objects, copied.revision, copied.from, copied.to
        );
        println!("  `{} start` goes on with the copy; what was copied stays as it is", setting.typed());
        Ok(ExitCode::SUCCESS)
    }
}
