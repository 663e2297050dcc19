//! Work that blocks, off the threads that must not.

use tokio::task::JoinError;

/// Does what blocks on a disk or on the kernel where it may block. A panic in it is an error of whoever waits, so that it
/// ends one request and not the connection that others share.
///
/// # Errors
/// Those of the work, and what becomes of a panic.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<JoinError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[tokio::test]
    async fn what_becomes_of_work_is_told_to_who_waits() {
        let own = std::thread::current().id();
        let other = blocking(|| Ok::<_, io::Error>(std::thread::current().id())).await.unwrap();
        assert_ne!(other, own, "in the way of others");

        let refused = blocking(|| Err::<(), _>(io::Error::from(io::ErrorKind::NotFound))).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotFound);

        let broken = blocking(|| -> io::Result<()> { panic!("a bug") }).await;
        assert!(broken.unwrap_err().to_string().contains("panicked"));
    }
}
