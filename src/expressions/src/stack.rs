//! Stack for what goes down with an expression. Whoever asks may have little: a thread of the runtime, a test.

/// Bytes: more than one step down needs, also where nothing is optimised.
const LEFT: usize = 64 << 10;
/// Bytes: what is taken at once where that is no more there.
const MORE: usize = 1 << 20;

/// Works on the stack that is there, or on more of it.
pub(crate) fn enough<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(LEFT, MORE, work)
}
