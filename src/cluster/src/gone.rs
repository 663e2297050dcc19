//! What is refused because the object has gone meanwhile: whoever wanted something of it has nothing left to do.

use ::api::{Reason, Status};

/// `None` where no object has the name any more.
///
/// # Errors
/// Every other refusal.
pub fn unless_gone<T>(outcome: Result<T, Status>) -> Result<Option<T>, Status> {
    match outcome {
        Err(status) if status.is(Reason::NotFound) => Ok(None),
        other => other.map(Some),
    }
}

/// The same for what was asked of one uid only, as in [`DeleteOptions`](crate::DeleteOptions): `None` also where another object
/// has the name by now.
///
/// # Errors
/// Every other refusal.
pub fn unless_replaced<T>(outcome: Result<T, Status>) -> Result<Option<T>, Status> {
    match outcome {
        Err(status) if status.is(Reason::Conflict) => Ok(None),
        other => unless_gone(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_no_failure() {
        let cases = [
            ("done", Ok(1), Ok(Some(1)), Ok(Some(1))),
            ("gone", Err(Reason::NotFound), Ok(None), Ok(None)),
            ("another has its name", Err(Reason::Conflict), Err(Reason::Conflict), Ok(None)),
            ("refused", Err(Reason::Forbidden), Err(Reason::Forbidden), Err(Reason::Forbidden)),
        ];
        for (name, outcome, gone, replaced) in cases {
            let outcome = || outcome.map_err(|reason| Status::new(reason, name));
            let reason = |status: Status| status.reason;
            assert_eq!(unless_gone(outcome()).map_err(reason), gone, "{name}");
            assert_eq!(unless_replaced(outcome()).map_err(reason), replaced, "{name}");
        }
    }
}
