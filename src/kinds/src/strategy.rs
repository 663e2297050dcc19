//! What the cluster asks of a kind, whether it is built in or comes with a definition.

use crate::{ErrorList, FieldValidation, Instance};
use api::{Object, Status};
use bytes::Bytes;
use serde_json::Value;

/// What a version of a kind does, where [`crate::Version`] says what it is: how its objects are read, and what is asked of
/// them beside what each object checks of itself.
pub trait Strategy: Send + Sync + 'static {
    /// # Errors
    /// Why it is no good name, in upstream's words.
    fn validate_name(&self, name: &str) -> Result<(), String>;

    /// What this version of the kind asks beside what every version asks; `old` on an update.
    fn validate_version(&self, _new: &dyn Instance, _old: Option<&dyn Instance>, _errors: &mut ErrorList) {}

    /// A client's JSON.
    ///
    /// # Errors
    /// `BadRequest`, as [`FieldValidation`] says.
    fn decode(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status>;

    /// # Errors
    /// `InternalError` where what is stored does not fit the type.
    fn decode_stored(&self, object: &Object) -> Result<Box<dyn Instance>, Status>;

    /// The stored bytes as this version shows them; the same bytes where it is the only one.
    fn present(&self, bytes: &Bytes) -> Bytes {
        bytes.clone()
    }

    /// Where an object has the number that its scale shows: `["spec", "replicas"]`.
    fn replicas_path(&self) -> Option<Vec<&str>> {
        None
    }

    /// Gives what is stored, in whichever version, what the kind says by now of such objects.
    fn complete_stored(&self, _object: &mut Value) {}
}

pub struct Decoded {
    pub instance: Box<dyn Instance>,
    /// One text for each unknown field.
    pub warnings: Vec<String>,
}
