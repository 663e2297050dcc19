//! How the profile's state moves from its own file to an etcd cluster, from there back, or from one cluster to another.

use crate::claim::claim;
use crate::datastore::{Datastore, Kept, backend};
use crate::error::{StartError, failed, io, unclaimed, unopened};
use crate::lock::Lock;
use crate::{Places, Settings, SettingsError};
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
    places: &Places,
    from: Option<Datastore>,
    to: Option<Datastore>,
    overwrite: bool,
) -> Result<CopyReport, StartError> {
    claim(&places.run, places).map_err(unclaimed)?;
    let running = || StartError::StateInUse { what: format!("{} is running: stop it first", places.profile) };
    let _lock = Lock::take(places).map_err(|e| io(&places.lock(), &e))?.ok_or_else(running)?;
    claim(&places.state, places).map_err(unclaimed)?;
    let damaged = |e: SettingsError| StartError::StateDamaged { what: e.to_string() };
    let known = Settings::load(places).map_err(damaged)?;
    let mut settings = known.unwrap_or_else(|| Settings::fresh(places));
    let from = from.map(|from| settings.with_known_files(from)).or_else(|| settings.datastore.clone());
    let to = to.map(|to| settings.with_known_files(to));
    let is_same = match (&from, &to) {
        (None, None) => true,
        (Some(from), Some(to)) => from.is_same_cluster(to),
        _ => false,
    };
    let words = |datastore: &Option<Datastore>| Kept(places, datastore.as_ref()).to_string();
    if is_same {
        let what =
            format!("the state is in {} already: say where it is to be, by `--to` or `--from`", words(&to));
        return Err(StartError::NotCopied { what });
    }
    let encryption = settings.api_server_files.encryption()?;
    // whatever becomes of it: `delete` knows of it
    settings.remember(to.as_ref());
    settings.save(places).map_err(|e| failed("settings", &e))?;
    let (source, target) = (backend(places, from.as_ref()), backend(places, to.as_ref()));
    let copied = store::copy(&places.store(), &source, &target, overwrite, &encryption).map_err(uncopied)?;
    settings.remember(from.as_ref());
    settings.use_datastore(to.clone());
    settings.save(places).map_err(|e| failed("settings", &e))?;
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
