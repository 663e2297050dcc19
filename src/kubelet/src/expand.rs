//! `$(NAME)` in commands, arguments, environment and sub-paths, as upstream's third_party/forked/golang/expansion; and how
//! much of it there may be, for values that name each other ten times grow tenfold with each of them.

/// In bytes, its NUL counted. The kernel begins no program with a longer one (MAX_ARG_STRLEN).
const LONGEST_STRING: usize = 128 << 10;
/// In bytes, pointers to the strings counted. The kernel takes no more where the stack has its usual size.
const MOST_TOGETHER: usize = 2 << 20;
const POINTER: usize = size_of::<usize>();

/// What no program could begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    #[error("longer than 128 KiB, and no program can be started with it")]
    String,
    #[error(
        "environment, command and arguments have more than 2 MiB together, and no program can be started with them"
    )]
    Together,
}

/// What is left of the budget for a program's environment, command and arguments.
#[derive(Debug)]
pub struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Budget(MOST_TOGETHER)
    }
}

impl Budget {
    /// Takes what one string needs, of that many bytes without its NUL.
    ///
    /// # Errors
    /// There is not as much.
    pub fn take(&mut self, length: usize) -> Result<(), TooLong> {
        if length >= LONGEST_STRING {
            return Err(TooLong::String);
        }
        self.0 = self.0.checked_sub(length + 1 + POINTER).ok_or(TooLong::Together)?;
        Ok(())
    }
}

/// `$$` is a dollar; what is unknown stays as it is written.
///
/// # Errors
/// It would be longer than any string that a program can begin with.
pub fn expand<'v>(input: &str, known: impl Fn(&str) -> Option<&'v str>) -> Result<String, TooLong> {
    // what is shorter than this has no `)`, and is not searched for one at each `$(`
    let closed = input.rfind(')').map_or(usize::MAX, |at| input.len() - at);
    let mut out = Bounded::default();
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at])?;
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push_str("$")?;
            rest = tail;
        } else if let Some((name, tail)) =
            after.strip_prefix('(').filter(|_| after.len() >= closed).and_then(|inner| inner.split_once(')'))
        {
            match known(name) {
                Some(value) => out.push_str(value)?,
                None => ["$(", name, ")"].into_iter().try_for_each(|part| out.push_str(part))?,
            }
            rest = tail;
        } else {
            out.push_str("$")?;
            rest = after;
        }
    }
    out.push_str(rest)?;
    Ok(out.0)
}

#[derive(Default)]
struct Bounded(String);

impl Bounded {
    fn push_str(&mut self, part: &str) -> Result<(), TooLong> {
        if self.0.len() + part.len() >= LONGEST_STRING {
            return Err(TooLong::String);
        }
        self.0.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let cases = [
            ("plain", "plain"),
            ("$(A)", "1"),
            ("x-$(A)-$(B)-y", "x-1-two-y"),
            ("$(UNKNOWN)", "$(UNKNOWN)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$(A", "$(A"),
            ("$A and $", "$A and $"),
        ];
        for (given, want) in cases {
            let known = |name: &str| match name {
                "A" => Some("1"),
                "B" => Some("two"),
                _ => None,
            };
            assert_eq!(expand(given, known).as_deref(), Ok(want), "{given}");
        }
    }

    #[test]
    fn what_no_program_can_begin_with_is_not_made() {
        let long = "x".repeat(LONGEST_STRING / 2);
        let known = |name: &str| (name == "A").then_some(long.as_str());
        assert_eq!(expand("$(A)", known).map(|text| text.len()), Ok(LONGEST_STRING / 2));
        let (dollars, open) = ("$$".repeat(LONGEST_STRING), "$(B".repeat(LONGEST_STRING));
        for given in ["$(A)$(A)", "$(A)$(A)$(A)$(A)", dollars.as_str(), open.as_str()] {
            assert_eq!(expand(given, known), Err(TooLong::String));
        }
        let mut budget = Budget::default();
        assert_eq!(budget.take(LONGEST_STRING), Err(TooLong::String));
        let fit = (0..).take_while(|_| budget.take(LONGEST_STRING - 1).is_ok()).count();
        assert_eq!(fit, 15, "and pointers");
        assert_eq!(budget.take(LONGEST_STRING - 1), Err(TooLong::Together));
    }
}
