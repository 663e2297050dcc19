//! Which pods may use an image that is here already: what one tenant's secret has brought is not everybody's (KEP-2535, as upstream's
//! `imagePullCredentialsVerificationPolicy: NeverVerifyPreloadedImages` has it). An image that the kubelet has pulled with a
//! credential is for pods that bring the same secret; others pull it with what they have, and so hear from the registry whether
//! they may. What came without credentials, or was built, loaded or pulled by the user, is everybody's, and is not recorded.
//!
//! A secret is known by its uid, as upstream knows it, and not by a hash of what it holds: the record is of no use to anybody who
//! reads it, and a copy of the secret in another namespace costs one question to the registry.

use crate::credentials::{SecretRef, repository};
use cri::blocking;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Of one repository; pods with further ones ask the registry. Upstream's `writeRecordWhileMatchingLimit`.
const MOST_SECRETS: usize = 100;

/// Who may use an image under one repository's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Access {
    Everybody,
    /// Pods that bring one of these.
    Secrets(Vec<SecretRef>),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Records {
    /// By id and repository: who knows an image's content by one name does not have it by another.
    images: BTreeMap<String, BTreeMap<String, Access>>,
    /// What is being pulled with credentials, as the pods name it: were the daemon to end between the pull and its record, the image
    /// would be taken for the user's.
    pulling: BTreeMap<String, Pulling>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Pulling {
    /// By how many.
    count: usize,
    /// Ids that are everybody's whatever the pull brings: what had the name before, and what came without credentials.
    free: BTreeSet<String>,
}

pub(crate) struct PullAccess(Arc<Kept>);

struct Kept {
    records: Mutex<Records>,
    file: PathBuf,
    /// Of who writes the file, with all that the records hold by then. They are not locked meanwhile: who asks whose an image is does
    /// not wait for a disk.
    turn: Mutex<()>,
}

impl PullAccess {
    pub fn open(file: PathBuf) -> Self {
        let records = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(file = %file.display(), %error, "which secrets brought images is not known any more");
                Records::default()
            }),
            Err(_) => Records::default(),
        };
        PullAccess(Arc::new(Kept { records: Mutex::new(records), file, turn: Mutex::default() }))
    }

    pub fn of(&self, id: &str, image: &str) -> Access {
        let records = self.0.records.lock();
        match records.images.get(id) {
            Some(known) => known.get(&repository(image)).cloned().unwrap_or(Access::Secrets(Vec::new())),
            None => match records.pulling.get(image) {
                Some(pulling) if !pulling.free.contains(id) => Access::Secrets(Vec::new()),
                _ => Access::Everybody,
            },
        }
    }

    /// A pull with credentials begins; [`PullAccess::end`] or [`PullAccess::give_up`] says that it is over. `free` is the id that has
    /// the name now, where that is everybody's. It must not go on before it is [`saved`](Self::saved).
    pub fn begin(&self, image: &str, free: Option<&str>) {
        let mut records = self.0.records.lock();
        let pulling = records.pulling.entry(image.to_owned()).or_default();
        pulling.count += 1;
        pulling.free.extend(free.map(str::to_owned));
    }

    /// All that was told is on the disk.
    ///
    /// # Errors
    /// It can not be written down.
    pub async fn saved(&self) -> io::Result<()> {
        let kept = self.0.clone();
        blocking(move || kept.save()).await
    }

    pub fn end(&self, image: &str) {
        let mut records = self.0.records.lock();
        let Some(pulling) = records.pulling.get_mut(image) else { return };
        pulling.count = pulling.count.saturating_sub(1);
        if pulling.count == 0 {
            records.pulling.remove(image);
            drop(records);
            self.save_soon();
        }
    }

    /// The end of a pull of which nobody heard what it has brought: `found` is what has the name now.
    pub fn give_up(&self, image: &str, found: Option<String>) {
        {
            let mut records = self.0.records.lock();
            let is_free =
                |id: &String| records.pulling.get(image).is_none_or(|pulling| pulling.free.contains(id));
            if let Some(id) = found.filter(|id| !is_free(id)) {
                records.images.entry(id).or_default();
            }
        }
        self.end(image);
    }

    /// The registry gave the image to whoever has this secret; to everybody, where it asked for none.
    pub fn record(&self, id: &str, image: &str, by: Option<SecretRef>) {
        let mut records = self.0.records.lock();
        let is_new = match by {
            // of an image that nobody needed a secret for nothing is known
            None => {
                if let Some(pulling) = records.pulling.get_mut(image) {
                    pulling.free.insert(id.to_owned());
                }
                records.images.get_mut(id).is_some_and(|known| {
                    known.insert(repository(image), Access::Everybody) != Some(Access::Everybody)
                })
            }
            Some(secret) => {
                let known = records.images.entry(id.to_owned()).or_default();
                match known.entry(repository(image)).or_insert(Access::Secrets(Vec::new())) {
                    Access::Secrets(known) if !known.contains(&secret) && known.len() < MOST_SECRETS => {
                        known.push(secret);
                        true
                    }
                    _ => false,
                }
            }
        };
        drop(records);
        if is_new {
            self.save_soon();
        }
    }

    pub fn forget(&self, id: &str) {
        let mut records = self.0.records.lock();
        let was_known = records.images.remove(id).is_some();
        drop(records);
        if was_known {
            self.save_soon();
        }
    }

    /// What the last run of the daemon left: the names whose pulls it did not see end. `None` where nothing was ever recorded.
    pub fn left(&self) -> Option<Vec<String>> {
        let records = self.0.records.lock();
        let is_empty = records.images.is_empty() && records.pulling.is_empty();
        (!is_empty).then(|| records.pulling.keys().cloned().collect())
    }

    /// Before the first pod: `brought` are those names with the ids behind them, whose secrets nobody knows; `present` are all.
    pub fn initialize(&self, brought: Vec<(String, String)>, present: &BTreeSet<&str>) {
        let mut records = self.0.records.lock();
        let pulling = std::mem::take(&mut records.pulling);
        for (image, id) in brought {
            if pulling.get(&image).is_none_or(|pulling| !pulling.free.contains(&id)) {
                records.images.entry(id).or_default();
            }
        }
        records.images.retain(|id, _| present.contains(id.as_str()));
        drop(records);
        self.save_soon();
    }

    /// Behind the back of who tells it. What a crash finds unwritten is a pull that goes on, as far as the file knows: its image is
    /// nobody's with the next start.
    fn save_soon(&self) {
        match Handle::try_current() {
            Ok(runtime) => {
                let kept = self.0.clone();
                runtime.spawn_blocking(move || kept.save_or_warn());
            }
            Err(_) => self.0.save_or_warn(),
        }
    }
}

impl Kept {
    fn save_or_warn(&self) {
        if let Err(error) = self.save() {
            tracing::warn!(file = %self.file.display(), %error, "which secrets brought images is not recorded");
        }
    }

    fn save(&self) -> io::Result<()> {
        let _turn = self.turn.lock();
        let text = serde_json::to_vec(&*self.records.lock())?;
        let next = self.file.with_extension("next");
        let mut file = File::create(&next)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&next, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "reg.example/team/app:1";

    fn secret(uid: &str) -> SecretRef {
        SecretRef { uid: uid.into(), namespace: "n".into(), name: "s".into() }
    }

    fn only(uids: &[&str]) -> Access {
        Access::Secrets(uids.iter().map(|uid| secret(uid)).collect())
    }

    #[test]
    fn an_image_is_for_those_whom_the_registry_gave_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pull-access.json");
        let access = PullAccess::open(file.clone());
        assert_eq!(access.of("preloaded", IMAGE), Access::Everybody);
        access.record("open", IMAGE, None);
        assert_eq!((access.of("open", IMAGE), access.left()), (Access::Everybody, None));
        assert!(!file.exists(), "who never has credentials pays for nothing");

        access.record("private", IMAGE, Some(secret("a")));
        access.record("private", "reg.example/team/app@sha256:1", Some(secret("b")));
        access.record("private", IMAGE, Some(secret("a")));
        let cases = [
            ("one of the secrets", "private", IMAGE, only(&["a", "b"])),
            ("another tag of it", "private", "reg.example/team/app", only(&["a", "b"])),
            ("by another name", "private", "reg.example/else/app:1", only(&[])),
            ("by its id", "private", "sha256:private", only(&[])),
            ("another image", "other", IMAGE, Access::Everybody),
        ];
        for (name, id, image, want) in &cases {
            assert_eq!(access.of(id, image), *want, "{name}");
        }
        let access = PullAccess::open(file.clone());
        for (name, id, image, want) in &cases {
            assert_eq!(access.of(id, image), *want, "{name}, after a restart");
        }
        access.record("private", "docker.io/library/app:1", None);
        assert_eq!(access.of("private", "app:1"), Access::Everybody, "another repository gives it to all");
        assert_eq!(access.of("private", IMAGE), only(&["a", "b"]), "and this one does not");
        access.record("private", IMAGE, None);
        access.record("private", IMAGE, Some(secret("c")));
        assert_eq!(access.of("private", IMAGE), Access::Everybody, "now it does");
        access.forget("private");
        assert_eq!(PullAccess::open(file).left(), None);
    }

    #[test]
    fn secrets_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let access = PullAccess::open(dir.path().join("pull-access.json"));
        (0..150).for_each(|uid| access.record("private", IMAGE, Some(secret(&uid.to_string()))));
        let Access::Secrets(known) = access.of("private", IMAGE) else { panic!("everybody's") };
        assert_eq!(known.len(), MOST_SECRETS);
    }

    #[test]
    fn what_was_brought_before_it_was_recorded_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pull-access.json");
        let access = PullAccess::open(file.clone());
        access.begin(IMAGE, Some("mine"));
        access.begin(IMAGE, None);
        access.0.save().unwrap();
        access.end(IMAGE);
        assert_eq!(access.of("fresh", IMAGE), only(&[]), "another pull goes on");
        assert_eq!(access.of("mine", IMAGE), Access::Everybody, "what was the user's stays so");
        assert_eq!(access.of("fresh", "reg.example/team/app:2"), Access::Everybody);

        let again = PullAccess::open(file.clone());
        assert_eq!(again.left().as_deref(), Some(&[IMAGE.to_owned()][..]));
        let brought = ["fresh", "mine"].map(|id| (IMAGE.to_owned(), id.to_owned()));
        again.initialize(brought.to_vec(), &["fresh", "users", "mine"].into());
        assert_eq!(again.of("fresh", IMAGE), only(&[]));
        assert_eq!(again.of("users", IMAGE), Access::Everybody);
        assert_eq!(again.of("mine", IMAGE), Access::Everybody);

        let access = PullAccess::open(file.clone());
        assert_eq!(access.left(), Some(Vec::new()));
        access.begin(IMAGE, None);
        access.end(IMAGE);
        assert_eq!(access.of("users", IMAGE), Access::Everybody, "a pull that failed brought nothing");
        access.initialize(Vec::new(), &["users"].into());
        assert_eq!(access.left(), None, "what is gone is forgotten");

        let nowhere = PullAccess::open(dir.path().join("missing/pull-access.json"));
        nowhere.begin(IMAGE, None);
        assert!(nowhere.0.save().is_err());
        nowhere.end(IMAGE);
        assert_eq!(nowhere.of("fresh", IMAGE), Access::Everybody);
    }

    #[test]
    fn a_pull_that_is_given_up_is_over_too() {
        let dir = tempfile::tempdir().unwrap();
        let access = PullAccess::open(dir.path().join("pull-access.json"));
        access.begin(IMAGE, Some("mine"));
        access.give_up(IMAGE, Some("mine".into()));
        assert_eq!(access.left(), None, "nothing has come");
        access.begin(IMAGE, None);
        access.give_up(IMAGE, None);
        assert_eq!(access.left(), None, "nothing is here");

        access.begin(IMAGE, None);
        access.begin(IMAGE, None);
        access.record("open", IMAGE, None);
        access.end(IMAGE);
        assert_eq!(access.of("open", IMAGE), Access::Everybody, "the registry gave it to all");
        access.give_up(IMAGE, Some("open".into()));
        assert_eq!((access.of("open", IMAGE), access.left()), (Access::Everybody, None));

        access.begin(IMAGE, None);
        access.give_up(IMAGE, Some("fresh".into()));
        assert_eq!(access.of("fresh", IMAGE), only(&[]), "it has come, and nobody knows by whom");
        assert_eq!(access.of("built", IMAGE), Access::Everybody, "the name is the user's again");
        assert_eq!(access.left(), Some(Vec::new()));
    }
}
