//! Conversion of custom resources by webhook: an object is stored in one version and asked for in another.
//!
//! What is stored may be of any version that was the stored one once: its own `apiVersion` says which. Whoever reads has it
//! converted where he waits anyway (an object by `apiserver`, a list by [`Cluster::list_in_version`], what a watch has at once
//! by [`Cluster::watch_in_version`]), and before it is selected by a label or a field; whoever writes has the stored object
//! converted to his version, and what he made of it back (`write.rs`, `delete.rs`). Kinds without such a webhook cost nothing,
//! and objects that are of the version already a look at it. `review.rs` says what is asked and what an answer means.

mod review;

use crate::Cluster;
use crate::webhooks::url_of;
use ::api::{Object, REVISION_PLACEHOLDER, Reason, ResourceVersion, Status, Unstamped};
use k8s_openapi::api::admissionregistration::v1::{ServiceReference, WebhookClientConfig};
use kinds::{Conversion, Version};
use review::ReviewVersion;
use serde_json::Value;
use std::time::Duration;

/// Upstream's.
const TIMEOUT: Duration = Duration::from_secs(30);
/// So much is sent at once: an answer is as large as its question, and a caller reads no more than some megabytes.
pub(crate) const MOST_OBJECTS: usize = 500;
const MOST_BYTES: usize = 2 << 20;
/// By so much what is converted for one request may be larger than what is stored, and else four times as large: who answers for small
/// objects with large ones would fill the daemon with a list of them.
const MOST_GROWTH: usize = 32 << 20;

impl Cluster {
    /// Stored objects as the version of the kind has them, in their order.
    ///
    /// # Errors
    /// `InternalError` where the webhook fails.
    pub async fn in_version(&self, version: &Version, objects: Vec<Object>) -> Result<Vec<Object>, Status> {
        let Some(conversion) = version.conversion() else { return Ok(objects) };
        let wanted = version.info().gvk.api_version();
        if objects.iter().all(|object| version_of_object(object) == wanted) {
            return Ok(objects);
        }
        let (mut converted, mut rest) = (Vec::with_capacity(objects.len()), objects.as_slice());
        let mut grown = Growth::default();
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(batch(rest.iter().map(|object| object.bytes().len())));
            rest = behind;
            let done = self.part_in_version(version, conversion, &wanted, part).await?;
            for (object, before) in done.into_iter().zip(part) {
                grown.by(object.bytes().len(), before.bytes().len(), &wanted)?;
                converted.push(object);
            }
        }
        Ok(converted)
    }

    /// As many as are sent at once: decoded, objects are many times what they are as JSON, and a list may be as large as what is stored.
    async fn part_in_version(
        &self,
        version: &Version,
        conversion: &Conversion,
        wanted: &str,
        part: &[Object],
    ) -> Result<Vec<Object>, Status> {
        let mut values = Vec::with_capacity(part.len());
        for object in part {
            values.push(object.decode::<Value>().map_err(Status::internal)?);
        }
        values
            .iter_mut()
            .filter(|value| version_of(value) != wanted)
            .for_each(|value| version.complete_stored(value));
        let converted = self.convert(conversion, wanted, values).await?;
        let stamped =
            |(value, object): (Value, &Object)| match version_of(&value) == version_of_object(object) {
                true => Ok(object.clone()),
                false => Ok(unstamped(value)?.stamp(object.revision())),
            };
        converted.into_iter().zip(part).map(stamped).collect()
    }

    /// # Errors
    /// As [`Cluster::in_version`].
    pub async fn one_in_version(&self, version: &Version, object: Object) -> Result<Object, Status> {
        if version.conversion().is_none() {
            return Ok(object);
        }
        let mut converted = self.in_version(version, vec![object]).await?;
        converted.pop().ok_or_else(|| Status::internal("a conversion returned no object"))
    }

    /// What is to be stored, in the version in which the kind is stored.
    ///
    /// # Errors
    /// As [`Cluster::in_version`].
    pub(crate) async fn for_storage(&self, version: &Version, draft: Unstamped) -> Result<Unstamped, Status> {
        let Some(conversion) = version.conversion() else { return Ok(draft) };
        if version.info().gvk.api_version() == conversion.stored_version {
            return Ok(draft);
        }
        let value = draft.stamp(ResourceVersion(0)).decode().map_err(Status::internal)?;
        let mut converted = self.convert(conversion, &conversion.stored_version, vec![value]).await?;
        unstamped(converted.pop().unwrap_or_default())
    }

    /// Whether the object would be stored in another version than it is: then a write that changes nothing is one, as upstream has
    /// it, and a storage version migration is nothing else.
    pub(crate) fn moves(version: &Version, stored: &Object) -> bool {
        version.stored_version().is_some_and(|wanted| version_of_object(stored) != wanted)
    }

    /// An object that is shown to somebody, or comes from him, in another version.
    ///
    /// # Errors
    /// As [`Cluster::in_version`].
    pub(crate) async fn value_in_version(&self, version: &Version, value: Value) -> Result<Value, Status> {
        let Some(conversion) = version.conversion() else { return Ok(value) };
        let wanted = version.info().gvk.api_version();
        if version_of(&value) == wanted {
            return Ok(value);
        }
        let mut converted = self.convert(conversion, &wanted, vec![value]).await?;
        Ok(converted.pop().unwrap_or_default())
    }

    /// Those that are of the version already stay as they are.
    async fn convert(
        &self,
        conversion: &Conversion,
        wanted: &str,
        mut values: Vec<Value>,
    ) -> Result<Vec<Value>, Status> {
        let others: Vec<usize> =
            (0..values.len()).filter(|index| version_of(&values[*index]) != wanted).collect();
        let mut others = others.as_slice();
        while !others.is_empty() {
            let sizes = others.iter().map(|index| values[*index].to_string().len());
            let (batch, rest) = others.split_at(batch(sizes));
            others = rest;
            let originals: Vec<Value> = batch.iter().map(|index| values[*index].clone()).collect();
            let converted = self.ask_to_convert(conversion, wanted, &originals).await.map_err(|why| {
                let kind = originals.first().map(review::kind_of).unwrap_or_default();
                Status::new(Reason::InternalError, format!("conversion webhook for {kind} {why}"))
            })?;
            for (index, value) in batch.iter().zip(converted) {
                values[*index] = value;
            }
        }
        Ok(values)
    }

    /// # Errors
    /// What comes after `conversion webhook for KIND`.
    async fn ask_to_convert(
        &self,
        conversion: &Conversion,
        wanted: &str,
        objects: &[Value],
    ) -> Result<Vec<Value>, String> {
        let failed = |why: &str| format!("failed: {why}");
        let version = ReviewVersion::of(&conversion.review_versions)
            .ok_or_else(|| failed("no supported conversion review versions"))?;
        let uid = uuid::Uuid::new_v4().to_string();
        let client = client_of(conversion);
        let url = url_of(&client, TIMEOUT);
        let caller = self.0.webhooks.caller().ok_or_else(|| failed("nobody is there to call it"))?;
        let asked = review::encode(version, &uid, wanted, objects);
        let posted = tokio::time::timeout(TIMEOUT, caller.post(self, &client, &url, asked)).await;
        let unanswered = |why: &str| failed(&format!("Post {url:?}: {why}"));
        let answer = posted.map_err(|_| unanswered("context deadline exceeded"))?;
        let answer = answer.map_err(|why| unanswered(&why))?;
        review::read(version, &uid, wanted, objects, &answer)
    }
}

/// What conversion has made of the objects of one request.
#[derive(Default)]
struct Growth {
    before: usize,
    after: usize,
}

impl Growth {
    /// # Errors
    /// `InternalError` where it is too much.
    fn by(&mut self, after: usize, before: usize, wanted: &str) -> Result<(), Status> {
        self.before += before;
        self.after += after;
        if self.after <= MOST_GROWTH + 4 * self.before {
            return Ok(());
        }
        let why = format!("conversion webhook for {wanted} returned objects that are too large together");
        Err(Status::new(Reason::InternalError, why))
    }
}

/// How many of the next ones, of which these are the sizes in bytes, are sent at once.
pub(crate) fn batch(sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = |size: &usize| {
        bytes += size;
        bytes <= MOST_BYTES
    };
    sizes.take(MOST_OBJECTS).take_while(fits).count().max(1)
}

fn client_of(conversion: &Conversion) -> WebhookClientConfig {
    let client = &conversion.client;
    WebhookClientConfig {
        ca_bundle: client.ca_bundle.clone(),
        url: client.url.clone(),
        service: client.service.as_ref().map(|service| ServiceReference {
            name: service.name.clone(),
            namespace: service.namespace.clone(),
            path: service.path.clone(),
            port: service.port,
        }),
    }
}

fn version_of(value: &Value) -> &str {
    value["apiVersion"].as_str().unwrap_or_default()
}

fn version_of_object(object: &Object) -> String {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        #[serde(default)]
        api_version: String,
    }
    object.decode::<Version>().map(|version| version.api_version).unwrap_or_default()
}

fn unstamped(mut value: Value) -> Result<Unstamped, Status> {
    value["metadata"]["resourceVersion"] = REVISION_PLACEHOLDER.into();
    Unstamped::new(serde_json::to_vec(&value).map_err(Status::internal)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_converted_is_not_many_times_what_is_stored() {
        const MIB: usize = 1 << 20;
        for (name, before, after, count, fits) in [
            ("as large", MIB, MIB, 1000, true),
            ("four times as large", MIB, 4 * MIB, 1000, true),
            ("small ones that become a little larger", 300, 3000, 5000, true),
            ("one that becomes large", 300, 8 * MIB, 1, true),
            ("many of them", 300, 8 * MIB, 5, false),
        ] {
            let mut grown = Growth::default();
            let done = (0..count).try_for_each(|_| grown.by(after, before, "example.com/v2"));
            assert_eq!(done.is_ok(), fits, "{name}: {done:?}");
        }
    }
}
