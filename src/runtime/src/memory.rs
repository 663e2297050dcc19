//! What the process holds and does not need: freed memory that the allocator keeps, and pages of the program's own code.

use std::ffi::{c_int, c_void};

/// Gives back to the kernel what was freed. glibc keeps it for the next burst, by its arenas, for as long as one object
/// above it lives: after ten thousand pods came and went that was two thirds of the daemon's memory.
pub fn give_back_memory() {
    // SAFETY: takes a number, and the allocator's own locks; nobody's memory moves.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Unmaps the pages of the program's code and constants. What is used still is there again at the next touch, from the page cache; what
/// only a start or a burst needed is not: of some 35 MB that were mapped after a start, idling touches a third. Until they are
/// unmapped the kernel counts them as in use, and frees others first.
pub fn let_go_of_code() {
    // SAFETY: `unmap_code` reads what it is given, and takes no pointer from here.
    unsafe {
        libc::dl_iterate_phdr(Some(unmap_code), std::ptr::null_mut());
    }
}

/// Of the first object, which is the program itself.
///
/// # Safety
/// `info` is what `dl_iterate_phdr` hands out.
unsafe extern "C" fn unmap_code(info: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    // SAFETY: the caller's `info` and the headers that it counts live as long as the object is loaded.
    let (info, headers) = unsafe {
        let info = &*info;
        (info, std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    let page = rustix::param::page_size() as u64;
    for header in headers {
        // a segment that can be written, if only until the start was done, has changes that are nowhere else
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let begin = info.dlpi_addr + header.p_vaddr;
        // a page at an edge may be a neighbour's too
        let (first, end) = (begin.next_multiple_of(page), (begin + header.p_memsz) / page * page);
        if first < end {
            // SAFETY: these pages are as they stand in the file, privately mapped and never written: a touch brings the same bytes.
            unsafe {
                libc::madvise(first as *mut c_void, (end - first) as usize, libc::MADV_DONTNEED);
            }
        }
    }
    1 // no other object
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kilobytes of this process that are mapped from files.
    fn of_files() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn code_that_was_let_go_runs_and_its_constants_are_as_they_were() {
        static CONSTANTS: [u8; 1 << 20] = [7; 1 << 20];
        let sum = || CONSTANTS.iter().map(|byte| u64::from(std::hint::black_box(*byte))).sum::<u64>();
        let told = sum();
        let before = of_files();
        let_go_of_code();
        let after = of_files();
        assert!(after + 1000 < before, "{before} kB before, {after} kB after");
        assert_eq!(sum(), told);
    }
}
