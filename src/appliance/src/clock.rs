//! When the time of day jumps: somebody sets the clock, or the machine has slept. Timers count what the process has lived through, and
//! would let what waits for a time of day wait for as long as was left before. The kernel tells of it, so nothing is looked at meanwhile.

use cluster::Cluster;
use nix::errno::Errno;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;

/// Seconds since 1970, in the 23rd century: the timer is there to be cancelled.
const FAR_AWAY: i64 = 1 << 33;

/// Tells the cluster of it, until `stop`.
pub(crate) async fn follow(cluster: Cluster, stop: CancellationToken) {
    let tell = || {
        tracing::info!(
            "the clock was set, or the machine has slept: what waits for a time is looked at anew"
        );
        cluster.clock_was_set();
    };
    if let Some(Err(error)) = stop.run_until_cancelled(each_jump(tell)).await {
        tracing::warn!(%error, "when the clock is set, it is noticed late");
    }
}

/// Ends with an error only.
async fn each_jump(mut tell: impl FnMut()) -> io::Result<()> {
    let timer = TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
    timer.set(Expiration::OneShot(TimeSpec::seconds(FAR_AWAY)), flags)?;
    #[allow(
        deprecated,
        reason = "its successor is unsafe, for types whose descriptor changes; an OwnedFd's does not"
    )]
    let timer = AsyncFd::with_interest(OwnedFd::from(timer), Interest::READABLE)?;
    loop {
        let mut ready = timer.readable().await?;
        let read = |timer: &AsyncFd<OwnedFd>| {
            nix::unistd::read(timer.get_ref(), &mut [0; 8]).map_err(io::Error::from)
        };
        match ready.try_io(read) {
            Ok(Err(error)) if error.raw_os_error() == Some(Errno::ECANCELED as i32) => tell(),
            Ok(Err(error)) => return Err(error),
            // woken for nothing, or in the 23rd century
            Ok(Ok(_)) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Setting the machine's clock is not a test's to do: that the kernel takes the timer, and that nobody is woken for nothing, is.
    #[tokio::test]
    async fn a_clock_that_nobody_sets_wakes_nobody() {
        let mut times = 0;
        let followed = tokio::time::timeout(Duration::from_millis(100), each_jump(|| times += 1)).await;
        assert!(followed.is_err(), "it ended: {followed:?}");
        assert_eq!(times, 0);
    }
}
