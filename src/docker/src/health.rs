//! `--health-cmd`: a probe now and then while the container runs.

use crate::engine::Engine;
use crate::record::{Container, Health, Probe};
use cri::{ContainerId, CriError};
use image::Healthcheck;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

// Docker's defaults, for what is zero
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: i64 = 3;
const START_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes of a probe's output that are kept.
const OUTPUT: usize = 4096;
/// As many results as inspect shows.
const REMEMBERED: usize = 5;

/// Probes this run of the container to its end.
pub(crate) fn watch(engine: &Arc<Engine>, container: &Arc<Container>) {
    let Some(check) = container.see(|r| r.config.healthcheck.clone()) else { return };
    let Some(command) = command(&check) else { return };
    let Some(run) = container.see(|r| r.running().map(|running| running.container.clone())) else { return };
    note(container, &run, |health| *health = Health { status: "starting", ..Health::default() });
    let (engine, container) = (engine.clone(), container.clone());
    tokio::spawn(async move {
        let mut records = container.watch();
        let is_over = |r: &crate::record::Record| r.running().is_none_or(|running| running.container != run);
        let over = records.wait_for(is_over);
        tokio::select! {
            _ = over => {}
            () = probe_on_and_on(&engine, &container, &run, &check, &command) => {}
            () = engine.stop.cancelled() => {}
        }
    });
}

fn command(check: &Healthcheck) -> Option<Vec<String>> {
    match check.test.split_first() {
        Some((kind, command)) if kind == "CMD" => Some(command.to_vec()),
        Some((kind, command)) if kind == "CMD-SHELL" => {
            Some(["/bin/sh".to_owned(), "-c".to_owned()].into_iter().chain(command.iter().cloned()).collect())
        }
        _ => None,
    }
}

fn or(nanos: i64, default: Duration) -> Duration {
    if nanos > 0 { Duration::from_nanos(nanos.unsigned_abs()) } else { default }
}

async fn probe_on_and_on(
    engine: &Engine,
    container: &Container,
    run: &ContainerId,
    check: &Healthcheck,
    command: &[String],
) {
    let began = tokio::time::Instant::now();
    loop {
        let is_young = || began.elapsed() < or(check.start_period, Duration::ZERO);
        let is_starting = container.see(|r| r.health.as_ref().is_some_and(|h| h.status == "starting"));
        let pause = if is_starting && is_young() {
            or(check.start_interval, START_INTERVAL)
        } else {
            or(check.interval, INTERVAL)
        };
        tokio::time::sleep(pause).await;
        // a frozen container answers nothing
        let _ = container.watch().wait_for(|r| r.running().is_none_or(|running| !running.paused)).await;
        let probe = probe(engine, run, command, or(check.timeout, TIMEOUT)).await;
        let is_starting = is_young();
        let before = container.see(|r| r.health.as_ref().map(|h| h.status));
        note(container, run, |health| judge(health, probe, is_starting, check.retries));
        let after = container.see(|r| r.health.as_ref().map(|h| h.status));
        if let Some(status) = after.filter(|_| before != after) {
            engine.events.container(&format!("health_status: {status}"), &container.record(), &[]);
        }
    }
}

async fn probe(engine: &Engine, run: &ContainerId, command: &[String], timeout: Duration) -> Probe {
    let start = Timestamp::now();
    let (exit_code, output) = match engine.runtime.exec_sync(run, command.to_vec(), Some(timeout)).await {
        Ok(done) => (done.exit_code, [done.stdout, done.stderr].concat()),
        Err(CriError::CommandTimedOut { output, .. }) => (-1, exceeded(timeout, &output)),
        Err(error) => (-1, error.to_string().into_bytes()),
    };
    let output = &output[..output.len().min(OUTPUT)];
    Probe { start, end: Timestamp::now(), exit_code, output: String::from_utf8_lossy(output).into_owned() }
}

fn exceeded(timeout: Duration, output: &[u8]) -> Vec<u8> {
    let mut text = format!("Health check exceeded timeout ({timeout:?})").into_bytes();
    if !output.is_empty() {
        text.extend_from_slice(b": ");
        text.extend_from_slice(output);
    }
    text
}

fn judge(health: &mut Health, probe: Probe, is_starting: bool, retries: i64) {
    if probe.exit_code == 0 {
        (health.status, health.failing_streak) = ("healthy", 0);
    } else if !is_starting || health.status != "starting" {
        health.failing_streak += 1;
        let most = if retries > 0 { retries } else { RETRIES };
        if health.failing_streak >= most.unsigned_abs() {
            health.status = "unhealthy";
        }
    }
    health.log.push(probe);
    let surplus = health.log.len().saturating_sub(REMEMBERED);
    health.log.drain(..surplus);
}

fn note(container: &Container, run: &ContainerId, change: impl FnOnce(&mut Health)) {
    container.change(|r| {
        if r.running().is_none_or(|running| running.container != *run) {
            return false;
        }
        change(r.health.get_or_insert_default());
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements() {
        let probe = |exit_code| Probe {
            start: Timestamp::UNIX_EPOCH,
            end: Timestamp::UNIX_EPOCH,
            exit_code,
            output: String::new(),
        };
        let mut health = Health { status: "starting", ..Default::default() };
        for (name, code, is_starting, want) in [
            ("a failure at the start", 1, true, "starting"),
            ("success", 0, true, "healthy"),
            ("one failure", 1, false, "healthy"),
            ("two", 1, false, "unhealthy"),
            ("well again", 0, false, "healthy"),
        ] {
            judge(&mut health, probe(code), is_starting, 2);
            assert_eq!(health.status, want, "{name}");
        }
        for _ in 0..9 {
            judge(&mut health, probe(1), false, 0);
        }
        assert_eq!((health.log.len(), health.failing_streak), (REMEMBERED, 9));
        assert_eq!(exceeded(Duration::from_millis(50), b""), b"Health check exceeded timeout (50ms)");
        let said = exceeded(Duration::from_secs(2), b"trying\n");
        assert_eq!(said, b"Health check exceeded timeout (2s): trying\n");
        let shell = Healthcheck { test: vec!["CMD-SHELL".into(), "true".into()], ..Default::default() };
        assert_eq!(command(&shell).unwrap(), ["/bin/sh", "-c", "true"]);
        assert_eq!(command(&Healthcheck { test: vec!["NONE".into()], ..Default::default() }), None);
    }
}
