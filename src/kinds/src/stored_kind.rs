//! What an informer must know of a type.

use crate::TypedKind;
use api::{GroupResource, Gvr};
use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type whose objects can be followed: every [`TypedKind`], and every [`CustomKind`].
pub trait StoredKind:
    k8s_openapi::Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned + Clone + Send + Sync + 'static
{
    /// Where its objects are stored.
    fn storage() -> GroupResource;
}

impl<K: TypedKind> StoredKind for K {
    fn storage() -> GroupResource {
        K::info().storage
    }
}

/// The type of a kind that a CustomResourceDefinition brings, and that a component acts upon: it says how objects are read,
/// the definition says all else, also whether there are any. It keeps fields that it does not know: what it writes back has
/// them still.
pub trait CustomKind: StoredKind + Serialize {
    /// The plural, as in the path.
    const PLURAL: &'static str;

    fn gvr() -> Gvr {
        Gvr::new(Self::GROUP, Self::VERSION, Self::PLURAL)
    }
}
