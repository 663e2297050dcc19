//! What the allocator keeps.

/// Gives back to the kernel what was freed. glibc keeps it for the next burst, by its arenas, for as long as one object
/// above it lives: after ten thousand pods came and went that was two thirds of the daemon's memory.
pub fn give_back_memory() {
    // SAFETY: takes a number, and the allocator's own locks; nobody's memory moves.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
