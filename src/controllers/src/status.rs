use api::{ObjectKey, Status};
use cluster::{Api, unless_gone};
use kinds::TypedKind;

/// Writes a status that is another than the one that was seen; to an object that is gone, nothing. `of` is where the kind has it.
pub(crate) async fn write_status<K: TypedKind, S: Clone + PartialEq + Send + Sync>(
    objects: &Api<K>,
    key: &ObjectKey,
    seen: Option<&S>,
    wanted: S,
    of: fn(&mut K) -> &mut Option<S>,
) -> Result<(), Status> {
    if seen == Some(&wanted) {
        return Ok(());
    }
    let written = objects.modify_status(key, |object| {
        *of(object) = Some(wanted.clone());
        Ok(())
    });
    unless_gone(written.await).map(drop)
}
