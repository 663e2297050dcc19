//! What overlayfs is told beside its layers, by all who mount it. A kernel has defaults of its own, and what a container sees, what `cp`
//! shows of it and what is committed of it must be the same on all of them.

/// Options and their values.
///
/// Without redirects a directory that is renamed is copied. With them its new place says only where the rest of it lies below, which
/// no layer's archive has a word for; and one that an image brings would show it files of another place, so none is followed.
/// Without metacopy a file whose mode or owner changes is copied with what it holds, for the same reason. Without an index a
/// container's directory can be mounted twice: while it is started, and by a `cp`.
pub const OPTIONS: [(&str, &str); 3] = [("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off")];

/// As mount(2) takes them.
pub fn options() -> String {
    OPTIONS.map(|(name, value)| format!("{name}={value}")).join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_one_text() {
        assert_eq!(options(), "redirect_dir=nofollow,metacopy=off,index=off");
    }
}
