//! How many bytes the volumes of one pod may be filled with: a value of a ConfigMap may stand under very many paths, in very many
//! volumes, and labels or annotations in as many files.

use std::cell::Cell;

/// In bytes: far more than ConfigMaps and Secrets of 1 MiB each come to in a pod that somebody means.
const MOST: usize = 64 << 20;
/// A small file takes a block of the disk as well.
const OF_A_FILE: usize = 4 << 10;
/// In bytes, of what is made for this pod alone, and held until it is written.
const MOST_MADE: usize = 8 << 20;
/// Tokens are small, and take their time.
const OF_WHAT_IS_MADE: usize = 16 << 10;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many or too large files: the pod's ConfigMap, Secret, downward API and projected volumes may have 64 MiB together, each \
     file counted as 4 KiB at least, and 8 MiB of what is no value of a ConfigMap or Secret, each file counted as 16 KiB at least"
)]
pub struct OverBudget;

/// What is left of it, for one look at all of a pod's volumes.
#[derive(Debug)]
pub struct Budget {
    files: Cell<usize>,
    made: Cell<usize>,
    /// Where there was too little once, no more is tried.
    is_full: Cell<bool>,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { files: Cell::new(MOST), made: Cell::new(MOST_MADE), is_full: Cell::new(false) }
    }
}

impl Budget {
    /// # Errors
    /// Something did not fit before.
    pub fn check(&self) -> Result<(), OverBudget> {
        if self.is_full.get() { Err(OverBudget) } else { Ok(()) }
    }

    /// For a file of that many bytes.
    ///
    /// # Errors
    /// There is not as much.
    pub fn take(&self, bytes: usize) -> Result<(), OverBudget> {
        self.take_of(&self.files, bytes.max(OF_A_FILE))
    }

    /// For the bytes of a file that are nobody else's.
    ///
    /// # Errors
    /// There is not as much.
    pub fn make(&self, bytes: usize) -> Result<(), OverBudget> {
        self.take_of(&self.made, bytes.max(OF_WHAT_IS_MADE))
    }

    fn take_of(&self, left: &Cell<usize>, bytes: usize) -> Result<(), OverBudget> {
        match left.get().checked_sub(bytes) {
            Some(rest) => {
                left.set(rest);
                Ok(())
            }
            None => {
                self.is_full.set(true);
                Err(OverBudget)
            }
        }
    }
}
