use crate::Places;
use std::path::Path;

/// Removes what the profile has on disk; what could not be removed, and why.
pub fn purge(places: &Places) -> Vec<String> {
    [&places.run, &places.state].into_iter().filter_map(|place| remove(place).err()).collect()
}

fn remove(place: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(place) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {e}", place.display())),
        _ => Ok(()),
    }
}
