//! How the profile's state moves from its own file to an etcd cluster, from there back, or from one cluster to another.

use crate::claim::claim;
use crate::datastore::{self, Datastore, Kept, backend};
use crate::error::{StartError, failed, io, unclaimed, unopened};
use crate::lock::Lock;
use crate::{Paths, Settings, SettingsError};
use store::CopyError;

/// What was copied, in words.
pub struct CopyReport {
    pub objects: usize,
    pub revision: u64,
    pub from: String,
    pub to: String,
}

/// Copies the profile's state, and has it used where it was copied to from then on. `from`: what the profile uses now where nothing is
/// given; `to`: its own file. No daemon may run.
///
/// # Errors
/// Why not. The source is as it was, and used as before.
pub fn copy_datastore(
    paths: &Paths,
    from: Option<Datastore>,
    to: Option<Datastore>,
    overwrite: bool,
) -> Result<CopyReport, StartError> {
    claim(&paths.run, paths).map_err(unclaimed)?;
    let running = || StartError::StateInUse { what: format!("{} is running: stop it first", paths.profile) };
    let _lock = Lock::take(paths).map_err(|e| io(&paths.lock(), &e))?.ok_or_else(running)?;
    claim(&paths.state, paths).map_err(unclaimed)?;
    let damaged = |e: SettingsError| StartError::StateDamaged { what: e.to_string() };
    let known = Settings::load(paths).map_err(damaged)?;
    if let (None, None, Some(revision)) = (&known, &from, store::newer_in_etcd(&paths.store())) {
        return Err(datastore::unnamed(paths, revision.0));
    }
    let mut settings = known.unwrap_or_else(|| Settings::fresh(paths));
    let from = from.map(|from| settings.with_known_files(from)).or_else(|| settings.datastore.clone());
    let to = to.map(|to| settings.with_known_files(to));
    let is_same = match (&from, &to) {
        (None, None) => true,
        (Some(from), Some(to)) => from.is_same_cluster(to),
        _ => false,
    };
    let words = |datastore: &Option<Datastore>| Kept(paths, datastore.as_ref()).to_string();
    if is_same {
        let what =
            format!("the state is in {} already: say where it is to be, by `--to` or `--from`", words(&to));
        return Err(StartError::NotCopied { what });
    }
    let encryption = settings.api_server_files.encryption()?;
    // whatever becomes of it: `delete` knows of it
    settings.remember(to.as_ref());
    settings.save(paths).map_err(|e| failed("settings", &e))?;
    let (source, target) = (backend(paths, from.as_ref()), backend(paths, to.as_ref()));
    let copied = store::copy(&paths.store(), &source, &target, overwrite, &encryption).map_err(uncopied)?;
    settings.remember(from.as_ref());
    settings.use_datastore(to.clone());
    settings.save(paths).map_err(|e| failed("settings", &e))?;
    Ok(CopyReport {
        objects: copied.objects,
        revision: copied.revision.0,
        from: words(&from),
        to: words(&to),
    })
}

fn uncopied(error: CopyError) -> StartError {
    let what = error.to_string();
    match error {
        CopyError::Open(error) => unopened(error),
        CopyError::Occupied { .. } => StartError::Datastore { what },
        _ => StartError::NotCopied { what },
    }
}
