//! What `docker rm` leaves alone unless it is forced, in Docker's words. Pure.

use crate::record::{Record, State};

/// Why it is not removed: something of it runs, or is about to again.
pub(crate) fn refusal(record: &Record) -> Option<String> {
    let how = match record.running() {
        Some(running) if running.paused => "paused and must be unpaused first",
        Some(_) => "running: stop the container before removing or force remove",
        None if matches!(record.state, State::Restarting(_)) => {
            "restarting: stop the container before removing or force remove"
        }
        None => return None,
    };
    Some(format!("cannot remove container \"{}\": container is {how}", record.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{end, record, run};

    #[test]
    fn what_runs_or_will_run_again_stays() {
        let said = |record: &Record| refusal(record).unwrap_or_default();
        let mut web = record("web");
        assert_eq!(said(&web), "", "created");
        run(&mut web, None);
        let stop = "stop the container before removing or force remove";
        assert_eq!(said(&web), format!("cannot remove container \"web\": container is running: {stop}"));
        if let State::Running(running) = &mut web.state {
            running.paused = true;
        }
        assert_eq!(
            said(&web),
            "cannot remove container \"web\": container is paused and must be unpaused first"
        );
        end(&mut web, 1);
        assert_eq!(said(&web), "", "ended");
        web.state = State::Restarting(web.ended().unwrap().clone());
        assert_eq!(said(&web), format!("cannot remove container \"web\": container is restarting: {stop}"));
    }
}
