//! A state in etcd as one end of a copy: read whole while nobody writes, or filled with what was read elsewhere.

use super::{Opening, Seen};
use crate::copy_error::{CopyError, compare};
use crate::log::etcd::parts::{LARGEST_OBJECT, in_parts};
use crate::log::etcd::session::Holder;
use crate::log::etcd::state::State;
use crate::log::etcd::writer::{Trouble, Writer};
use crate::log::etcd::{APPEND_PATIENCE, CLOSE_PATIENCE};
use crate::log::seal::Seal;
use crate::log::{OpenError, row_sum};
use crate::root::Root;
use crate::{Options, Resource};
use ::etcd::Op;
use api::{Object, ObjectKey, ResourceVersion};
use tokio::time::Instant;

impl Opening {
    /// For a copy of it.
    pub(in crate::log::etcd) async fn read(&self) -> Result<Root, CopyError> {
        let place = || self.place.clone();
        let seen = self.read_keys().await?;
        self.nobody_writes(&seen).await?;
        let options = Options { take_over: true, ..Options::default() };
        let Some(state) = self.state_of(&seen, &options)? else {
            return Err(CopyError::Nothing { place: place() });
        };
        let (mut loaded, _, mut lost) = self.load(&self.client, &state).await?;
        lost.extend(loaded.lost(&state, None));
        if !lost.is_empty() {
            return Err(OpenError::Lost { place: place(), what: lost.join("; ") }.into());
        }
        let again = self.read_keys().await?;
        let at = |seen: &Seen| seen.state.as_ref().map(|state| state.mod_revision);
        if at(&seen) != at(&again) || again.holder.is_some_and(|holder| !self.is_ours(&holder)) {
            let holder = "a process that began to write while it was read".to_owned();
            return Err(OpenError::InUse { place: place(), holder }.into());
        }
        let revision = if state.clean { state.seal.revision } else { state.seal.reserved };
        loaded.root.revision = loaded.root.revision.max(ResourceVersion(revision));
        Ok(loaded.root)
    }

    async fn nobody_writes(&self, seen: &Seen) -> Result<(), OpenError> {
        let Some(key) = seen.holder.as_ref().filter(|holder| !self.is_ours(holder)) else { return Ok(()) };
        let holder = Holder::decode(&key.value).words;
        Err(OpenError::InUse { place: self.place.clone(), holder })
    }

    /// # Errors
    /// There is a state that is not to be replaced, an object is too large for an etcd, or what is read back is another state.
    pub(in crate::log::etcd) async fn fill(&self, root: &Root, overwrite: bool) -> Result<Seal, CopyError> {
        let place = || self.place.clone();
        let mut seal = Seal { revision: root.revision.0, reserved: root.revision.0, ..Seal::default() };
        for (resource, key, object) in root.objects() {
            let (bytes, most) = (object.bytes().len(), LARGEST_OBJECT);
            if bytes > most {
                let object = format!("{resource} {key}");
                return Err(CopyError::TooLarge { place: place(), object, bytes, most });
            }
            seal.objects += 1;
            seal.sum += u64::from(row_sum(resource, key, object.revision(), object.bytes()));
        }
        let seen = self.read_keys().await?;
        if let (Some(key), false) = (&seen.state, overwrite) {
            let what = match State::decode(&key.value) {
                Ok(State { copying: true, .. }) => "a copy that was cut short".to_owned(),
                Ok(State { seal: Seal { objects, revision, .. }, host, .. }) => {
                    format!("a state of {host} ({objects} objects, revision {revision})")
                }
                Err(_) => "something that can not be read".to_owned(),
            };
            return Err(CopyError::Occupied { place: place(), what });
        }
        let (held, seen) = self.hold(seen).await?;
        let known = seen.state.as_ref().map_or(0, |state| state.mod_revision);
        let session = &self.session;
        let unfinished = State {
            owner: session.owner.clone(),
            host: session.host.clone(),
            copying: true,
            ..State::default()
        };
        let (client, keys) = (self.client.clone(), self.keys.clone());
        let mut writer = Writer::new(client, keys, session.clone(), held, unfinished.clone(), known);
        let filled = self.fill_with(&mut writer, root, seal, unfinished).await;
        writer.release(Instant::now() + CLOSE_PATIENCE).await;
        filled?;
        compare(&self.place, root, &self.read().await?)?;
        Ok(seal)
    }

    async fn fill_with(
        &self,
        writer: &mut Writer,
        root: &Root,
        seal: Seal,
        unfinished: State,
    ) -> Result<(), CopyError> {
        let until = || Instant::now() + APPEND_PATIENCE;
        let failed =
            |trouble: Trouble| CopyError::Write { place: self.place.clone(), why: trouble.to_string() };
        writer.clear(unfinished.clone(), until()).await.map_err(failed)?;
        let put = |(resource, key, object): (&Resource, &ObjectKey, &Object)| {
            Op::put(self.keys.object(resource, key), self.keys.value(resource, key, object))
        };
        for part in in_parts(root.objects().map(put)) {
            writer.add(part, unfinished.clone(), until()).await.map_err(failed)?;
        }
        let whole = State { seal, clean: true, copying: false, ..unfinished };
        writer.add(Vec::new(), whole, until()).await.map_err(failed)
    }
}
