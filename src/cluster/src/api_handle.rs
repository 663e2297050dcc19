//! How components read and write: [`Client`] is the cluster as one actor sees it, [`Api`] the objects of one kind. Both go the way
//! of an HTTP request, with the same checks, but for the socket.

use crate::cache::typed;
use crate::{Actor, Cluster, DeleteOptions, ListParams, Target, Verb, WriteOptions, unless_gone};
use ::api::{LabelSelector, ObjectKey, Status};
use kinds::{Instance, Subresource, TypedKind, Version};
use std::marker::PhantomData;
use std::sync::Arc;

/// The cluster as one actor sees it.
#[derive(Clone)]
pub struct Client {
    pub(crate) cluster: Cluster,
    pub(crate) actor: Arc<Actor>,
}

/// Typed access to the objects of one kind, all namespaces. Every error is the [`Status`] that an HTTP client would get. Objects
/// come without their managed fields, as from an informer.
pub struct Api<K> {
    client: Client,
    version: Arc<Version>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Api<K> {
    fn clone(&self) -> Self {
        Api { client: self.client.clone(), version: self.version.clone(), kind: PhantomData }
    }
}

impl Client {
    pub(crate) fn new(cluster: Cluster, actor: Actor) -> Self {
        Client { cluster, actor: Arc::new(actor) }
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// # Panics
    /// Where the kind is not in the registry: a defect of the wiring, seen at start.
    pub fn api<K: TypedKind>(&self) -> Api<K> {
        let gvr = K::info().gvr;
        let version =
            self.cluster.registry().by_gvr(&gvr).unwrap_or_else(|| panic!("kind {gvr:?} is not registered"));
        Api { client: self.clone(), version, kind: PhantomData }
    }
}

impl<K: TypedKind> Api<K> {
    /// From the store, not from a cache.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub fn get(&self, key: &ObjectKey) -> Result<K, Status> {
        let found = self.client.cluster.get(&self.client.actor, &self.target(key))?;
        typed(&found).map_err(Status::internal)
    }

    /// `None` where there is none.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn find(&self, key: &ObjectKey) -> Result<Option<K>, Status> {
        unless_gone(self.get(key))
    }

    /// # Errors
    /// `Forbidden`.
    pub fn list(&self, namespace: Option<&str>, labels: LabelSelector) -> Result<Vec<K>, Status> {
        let params = ListParams { labels, ..ListParams::default() };
        let list = self.client.cluster.list(&self.client.actor, &self.collection(namespace), &params)?;
        list.objects.iter().map(|object| typed(object).map_err(Status::internal)).collect()
    }

    /// The object's own metadata says the namespace, and the name or generateName.
    ///
    /// # Errors
    /// As an HTTP POST.
    pub async fn create(&self, object: K) -> Result<K, Status> {
        let target = self.collection(object.metadata().namespace.as_deref());
        let created = self
            .client
            .cluster
            .create(&self.client.actor, &target, Box::new(object), &WriteOptions::default())
            .await?;
        typed(&created).map_err(Status::internal)
    }

    /// With the object's resourceVersion as precondition, where it has one.
    ///
    /// # Errors
    /// As an HTTP PUT.
    pub async fn update(&self, object: K) -> Result<K, Status> {
        self.replace(object, None).await
    }

    /// # Errors
    /// As an HTTP PUT of `…/status`.
    pub async fn update_status(&self, object: K) -> Result<K, Status> {
        self.replace(object, Some(Subresource::Status)).await
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
    pub async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<(), Status> {
        self.client.cluster.delete(&self.client.actor, &self.target(key), &options).await.map(|_| ())
    }

    /// A part that the kind has: `binding`, `finalize`, …
    ///
    /// # Errors
    /// As an HTTP PUT of that part.
    pub async fn replace(&self, object: K, subresource: Option<Subresource>) -> Result<K, Status> {
        let key = key_of(&object)?;
        let target = self.of_subresource(&key, subresource);
        let object: Box<dyn Instance> = Box::new(object);
        let written = self
            .client
            .cluster
            .modify(&self.client.actor, &target, Verb::Update, &WriteOptions::default(), &|_| {
                Ok(object.clone_box())
            })
            .await?;
        typed(&written).map_err(Status::internal)
    }

    async fn modify_at(
        &self,
        key: &ObjectKey,
        subresource: Option<Subresource>,
        change: impl Fn(&mut K) -> Result<(), Status> + Send + Sync,
    ) -> Result<K, Status> {
        let target = self.of_subresource(key, subresource);
        let written = self
            .client
            .cluster
            .modify(&self.client.actor, &target, Verb::Patch, &WriteOptions::default(), &|current| {
                let mut object: K = typed(current).map_err(Status::internal)?;
                change(&mut object)?;
                object.metadata_mut().resource_version = None;
                Ok(Box::new(object))
            })
            .await?;
        typed(&written).map_err(Status::internal)
    }

    fn collection(&self, namespace: Option<&str>) -> Target {
        Target::collection(&self.version, namespace)
    }

    fn target(&self, key: &ObjectKey) -> Target {
        Target::object(&self.version, key.namespace.as_deref(), &key.name)
    }

    fn of_subresource(&self, key: &ObjectKey, subresource: Option<Subresource>) -> Target {
        Target { subresource, ..self.target(key) }
    }
}

fn key_of<K: TypedKind>(object: &K) -> Result<ObjectKey, Status> {
    let meta = object.metadata();
    let name = meta.name.as_deref().ok_or_else(|| Status::bad_request("name is required"))?;
    Ok(ObjectKey::new(meta.namespace.as_deref(), name))
}
