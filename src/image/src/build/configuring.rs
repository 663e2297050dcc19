//! Steps that change the configuration only. They are done in memory, and those that follow each other become one image, when something
//! needs one: a step that makes files, the end of the stage, or whoever is to look into what came before a failure. An image for each
//! would keep all labels and the whole history once for each of them, the square of what a Dockerfile says. To do such steps again costs
//! nothing, so nothing is lost for the cache; BuildKit keeps none of them either.

use super::cache::key;
use super::stage::{Builder, Now, item};
use super::steps::shell_of;
use super::{BuildError, BuildEvent};
use crate::Digest;
use crate::document::{HistoryItem, ImageDocument};

impl Builder<'_> {
    /// A step that changes the configuration only.
    pub(super) fn configure(
        &self,
        now: &mut Now,
        what: &str,
        change: impl FnOnce(&mut ImageDocument),
    ) -> Result<(), BuildError> {
        self.configure_as(now, &format!("  {what}"), change)
    }

    /// The same with the blanks of its own that the line of history has.
    pub(super) fn configure_as(
        &self,
        now: &mut Now,
        what: &str,
        change: impl FnOnce(&mut ImageDocument),
    ) -> Result<(), BuildError> {
        change(&mut now.document);
        let created_by = format!("{} #(nop){what}", shell_of(&now.document).join(" "));
        now.pending.add(now.step, &created_by)?;
        let author = now.document.author.as_deref();
        let item = HistoryItem { empty_layer: true, ..item(created_by, author) };
        now.document.step(item);
        Ok(())
    }

    /// Makes an image of what is pending, or finds the one that was made of the same before.
    pub(super) async fn flush(&self, now: &mut Now) -> Result<(), BuildError> {
        let pending = std::mem::take(&mut now.pending);
        if pending.lines.is_empty() {
            return Ok(());
        }
        // the lines alone would not tell `A="1 B=2"` from `A=1 B=2`
        let result = serde_json::to_string(&now.document.config).unwrap_or_default();
        let key = key(now.parent(), &format!("{}{result}", pending.lines), None);
        let known = self.known(now, &key);
        let is_known = known.is_some();
        match known {
            Some(built) => now.stand_on(built),
            None => {
                let draft = self.draft(now)?;
                self.keep(now, draft, key).await?;
            }
        }
        let Some(image) = now.parent() else { return Ok(()) };
        for step in pending.steps {
            if is_known {
                self.tell(BuildEvent::Cached { step, image: image.as_str() });
            }
            self.tell(BuildEvent::Done { step, image: Some(image.as_str()) });
        }
        Ok(())
    }

    /// Tells how a step has ended; one that is pending has not.
    pub(super) async fn ended(
        &self,
        now: &mut Now,
        result: Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        match &result {
            Ok(()) if now.pending.steps.contains(&now.step) => {}
            Ok(()) => {
                self.tell(BuildEvent::Done { step: now.step, image: now.parent().map(Digest::as_str) });
            }
            Err(why) => {
                now.pending.steps.retain(|step| *step != now.step);
                // of the two failures the first is the one to be told
                if let Err(error) = self.flush(now).await {
                    tracing::debug!(%error, "no image of what came before a step that failed");
                }
                self.tell(BuildEvent::Failed { step: now.step, why });
            }
        }
        result
    }
}
