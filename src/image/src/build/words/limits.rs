//! What the expansion of one argument may cost.

/// Bytes that variables may bring into one argument. Linux hands no string of more than 128 KiB to a program
/// (`MAX_ARG_STRLEN`); what doubles with each line would fill the memory.
const MOST_BROUGHT: usize = 1 << 20;
/// Steps of patterns: one is a character at one place of a pattern. A pattern with many stars may be at all of its places
/// at once, over the whole of a value: that is for ever.
const MOST_STEPS: usize = 1 << 24;

/// What is left for an argument.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    bytes: usize,
    steps: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: MOST_BROUGHT, steps: MOST_STEPS }
    }
}

impl Limits {
    /// A variable's value has come in.
    pub(super) fn bring(&mut self, bytes: usize) -> Result<(), String> {
        self.fits(bytes)?;
        self.bytes -= bytes;
        Ok(())
    }

    /// Whether a value of this size may come in, for what is put together piece by piece.
    pub(super) fn fits(&self, bytes: usize) -> Result<(), String> {
        match bytes > self.bytes {
            true => Err(format!("its variables hold more than {MOST_BROUGHT} bytes")),
            false => Ok(()),
        }
    }

    pub(super) fn step(&mut self, steps: usize) -> Result<(), String> {
        let left = self.steps.checked_sub(steps);
        self.steps = left.ok_or_else(|| format!("its patterns take more than {MOST_STEPS} steps"))?;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn of_steps(steps: usize) -> Limits {
        Limits { steps, ..Limits::default() }
    }

    #[cfg(test)]
    pub(super) fn of_bytes(bytes: usize) -> Limits {
        Limits { bytes, ..Limits::default() }
    }
}
