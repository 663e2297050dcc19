//! Custom resources that a component acts upon, as its own types.

use crate::cache::typed;
use crate::{Client, DeleteOptions, Target, Verb, WriteOptions, unless_gone};
use ::api::{Object, ObjectKey, Reason, Status};
use kinds::{CustomKind, FieldValidation, Instance, Subresource, Version};
use serde_json::{Value, json};
use std::marker::PhantomData;
use std::sync::Arc;

/// Typed access to custom resources. Their kind may not be served: then there is none, and what is written is `NotFound`.
pub struct CustomApi<K> {
    client: Client,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for CustomApi<K> {
    fn clone(&self) -> Self {
        CustomApi { client: self.client.clone(), kind: PhantomData }
    }
}

impl Client {
    /// Of a kind that is served when somebody has defined it.
    pub fn custom_api<K: CustomKind>(&self) -> CustomApi<K> {
        CustomApi { client: self.clone(), kind: PhantomData }
    }
}

impl<K: CustomKind> CustomApi<K> {
    /// From the store, not from a cache; `None` where there is none.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn find(&self, key: &ObjectKey) -> Result<Option<K>, Status> {
        let Ok(version) = self.version() else { return Ok(None) };
        let target = Target::object(&version, key.namespace.as_deref(), &key.name);
        let found = unless_gone(self.client.cluster.get(&self.client.actor, &target))?;
        found.map(|object| typed(&object).map_err(Status::internal)).transpose()
    }

    /// The object's own metadata says the namespace and the name.
    ///
    /// # Errors
    /// As an HTTP POST.
    pub async fn create(&self, object: &K) -> Result<K, Status> {
        let version = self.version()?;
        let target = Target::collection(&version, object.metadata().namespace.as_deref());
        let instance = instance(&version, object)?;
        let cluster = &self.client.cluster;
        let made = cluster.create(&self.client.actor, &target, instance, &WriteOptions::default()).await?;
        typed(&made).map_err(Status::internal)
    }

    /// Reads, changes and writes again until nobody was faster. `change` may run several times.
    ///
    /// # Errors
    /// As an HTTP PATCH, and what `change` returns.
    pub async fn modify(
        &self,
        key: &ObjectKey,
        change: impl Fn(&mut K) -> Result<(), Status> + Send + Sync,
    ) -> Result<K, Status> {
        self.modify_at(key, None, change).await
    }

    /// The same for the status.
    ///
    /// # Errors
    /// As an HTTP PATCH of `…/status`, and what `change` returns.
    pub async fn modify_status(
        &self,
        key: &ObjectKey,
        change: impl Fn(&mut K) -> Result<(), Status> + Send + Sync,
    ) -> Result<K, Status> {
        self.modify_at(key, Some(Subresource::Status), change).await
    }

    /// # Errors
    /// As an HTTP DELETE; what is gone already is `NotFound`.
    pub async fn delete(&self, key: &ObjectKey, options: &DeleteOptions) -> Result<(), Status> {
        let version = self.version()?;
        let target = Target::object(&version, key.namespace.as_deref(), &key.name);
        self.client.cluster.delete(&self.client.actor, &target, options).await.map(|_| ())
    }

    async fn modify_at(
        &self,
        key: &ObjectKey,
        subresource: Option<Subresource>,
        change: impl Fn(&mut K) -> Result<(), Status> + Send + Sync,
    ) -> Result<K, Status> {
        let version = self.version()?;
        let target = Target { subresource, ..Target::object(&version, key.namespace.as_deref(), &key.name) };
        let edit = |current: &Object| {
            let mut object: K = typed(current).map_err(Status::internal)?;
            change(&mut object)?;
            object.metadata_mut().resource_version = None;
            instance(&version, &object)
        };
        let (cluster, options) = (&self.client.cluster, WriteOptions::default());
        let written = cluster.modify(&self.client.actor, &target, Verb::Patch, &options, &edit).await?;
        typed(&written).map_err(Status::internal)
    }

    /// As it is served now: a definition may be replaced at any time.
    fn version(&self) -> Result<Arc<Version>, Status> {
        let gvr = K::gvr();
        let missing = || Status::new(Reason::NotFound, format!("no {} is defined in {}", K::KIND, K::GROUP));
        self.client.cluster.registry().by_gvr(&gvr).ok_or_else(missing)
    }
}

/// What the definition's schema makes of it.
fn instance<K: CustomKind>(version: &Version, object: &K) -> Result<Box<dyn Instance>, Status> {
    let mut whole = serde_json::to_value(object).map_err(Status::internal)?;
    if let Value::Object(fields) = &mut whole {
        fields.insert("apiVersion".to_owned(), json!(K::API_VERSION));
        fields.insert("kind".to_owned(), json!(K::KIND));
    }
    let bytes = serde_json::to_vec(&whole).map_err(Status::internal)?;
    Ok(version.decode(&bytes, FieldValidation::Ignore)?.instance)
}
