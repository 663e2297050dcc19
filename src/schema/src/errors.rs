//! What is wrong with an object, collected.

use api::Cause;
use serde_json::Value;
use std::fmt::Display;
use std::io;

/// Collects what is wrong with an object, in upstream's words (`field.ErrorList`).
#[derive(Debug, Default)]
pub struct ErrorList {
    causes: Vec<Cause>,
    /// Bytes of the causes.
    size: usize,
    /// How many more there are.
    left_out: usize,
}

/// In bytes, what is said of one object. A name that a client makes up stands in the path of all that is below it, and a body holds
/// a hundred thousand values of which each may be wrong: what is said of them would be a thousand times what they are.
const MOST_SAID: usize = 256 << 10;

/// Of a value that is too large to be shown in a message, so many characters are.
const LONGEST_SHOWN: usize = 1024;

impl ErrorList {
    pub fn required(&mut self, field: impl Display, why: &str) {
        self.tell("FieldValueRequired", field, || match why {
            "" => "Required value".to_owned(),
            why => format!("Required value: {why}"),
        });
    }

    pub fn invalid(&mut self, field: impl Display, value: impl Into<Value>, why: impl Display) {
        let message = || format!("Invalid value: {}: {why}", shown(&value.into()));
        self.tell("FieldValueInvalid", field, message);
    }

    /// A value of the wrong type: `Invalid value: "string": …`, as upstream's schema validation words it.
    pub fn wrong_type(&mut self, field: impl Display, found: &str, why: impl Display) {
        self.tell("FieldValueTypeInvalid", field, || format!("Invalid value: {found:?}: {why}"));
    }

    pub fn duplicate(&mut self, field: impl Display, value: impl Into<Value>) {
        self.tell("FieldValueDuplicate", field, || format!("Duplicate value: {}", shown(&value.into())));
    }

    /// A duplicate that needs a word more.
    pub fn duplicate_because(&mut self, field: impl Display, value: impl Into<Value>, why: impl Display) {
        let message = || format!("Duplicate value: {}: {why}", shown(&value.into()));
        self.tell("FieldValueDuplicate", field, message);
    }

    pub fn not_supported<S>(&mut self, field: impl Display, value: impl Into<Value>, supported: &[S])
    where
        S: Clone + Into<Value>,
    {
        self.tell("FieldValueNotSupported", field, || {
            let each: Vec<String> = supported.iter().map(|one| shown(&one.clone().into())).collect();
            let value = shown(&value.into());
            format!("Unsupported value: {value}: supported values: {}", each.join(", "))
        });
    }

    pub fn forbidden(&mut self, field: impl Display, why: impl Display) {
        self.tell("FieldValueForbidden", field, || format!("Forbidden: {why}"));
    }

    pub fn not_found(&mut self, field: impl Display, value: impl Into<Value>) {
        self.tell("FieldValueNotFound", field, || format!("Not found: {}", shown(&value.into())));
    }

    pub fn not_found_because(&mut self, field: impl Display, value: impl Into<Value>, why: impl Display) {
        self.tell("FieldValueNotFound", field, || format!("Not found: {}: {why}", shown(&value.into())));
    }

    pub fn too_long(&mut self, field: impl Display, most: impl Display) {
        self.tell("FieldValueTooLong", field, || format!("Too long: may not be more than {most} bytes"));
    }

    pub fn too_many(&mut self, field: impl Display, count: usize, most: impl Display) {
        let most = most.to_string();
        let items = if most == "1" { "item" } else { "items" };
        let message = || format!("Too many: {count}: must have at most {most} {items}");
        self.tell("FieldValueTooMany", field, message);
    }

    /// Takes back what was wrong before too: an object that was stored under laxer rules can still be changed, and
    /// deleted.
    pub fn forgive(&mut self, before: &ErrorList) {
        self.causes.retain(|cause| !before.causes.contains(cause));
        self.left_out = self.left_out.saturating_sub(before.left_out);
        self.size = self.causes.iter().map(size).sum();
    }

    pub fn extend(&mut self, causes: impl IntoIterator<Item = Cause>) {
        causes.into_iter().for_each(|cause| self.add(cause));
    }

    pub fn append(&mut self, other: ErrorList) {
        self.left_out += other.left_out;
        self.extend(other.causes);
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        self.causes.len() + self.left_out
    }

    /// The last says how many more there are, where they were too many to be told.
    pub fn into_causes(mut self) -> Vec<Cause> {
        if self.left_out > 0 {
            let message = format!("Invalid value: \"\": and {} more", self.left_out);
            let (reason, field) = ("FieldValueInvalid".to_owned(), "<nil>".to_owned());
            self.causes.push(Cause { reason, message, field });
        }
        self.causes
    }

    pub fn push(&mut self, reason: &str, field: impl Display, message: String) {
        self.tell(reason, field, || message);
    }

    /// The words are made only while there is room for them: of a list with a hundred thousand faults of which each shows the whole
    /// list they would take hours.
    fn tell(&mut self, reason: &str, field: impl Display, message: impl FnOnce() -> String) {
        if self.is_full() {
            self.left_out += 1;
            return;
        }
        let message = message();
        let field = match field.to_string() {
            root if root.is_empty() => "<nil>".to_owned(),
            field => field,
        };
        self.add(Cause { reason: reason.to_owned(), message, field });
    }

    fn is_full(&self) -> bool {
        self.size >= MOST_SAID
    }

    fn add(&mut self, cause: Cause) {
        if self.is_full() {
            self.left_out += 1;
            return;
        }
        self.size += size(&cause);
        self.causes.push(cause);
    }
}

fn size(cause: &Cause) -> usize {
    cause.reason.len() + cause.message.len() + cause.field.len()
}

/// As JSON, of which no more is written than is shown.
fn shown(value: &Value) -> String {
    let mut written = Beginning(Vec::new());
    // ends with an error where there is enough of it
    let _ = serde_json::to_writer(&mut written, value);
    let text = String::from_utf8_lossy(&written.0);
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.into_owned(),
    }
}

/// What is written first.
struct Beginning(Vec<u8>);

impl Beginning {
    /// More than [`LONGEST_SHOWN`] characters, also where the last of them is cut in two.
    const MOST: usize = 4 * (LONGEST_SHOWN + 2);
}

impl io::Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(Self::MOST - self.0.len());
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A hundred thousand of a long path.
    fn many() -> ErrorList {
        let (mut errors, field) = (ErrorList::default(), "x".repeat(1000));
        (0..100_000).for_each(|_| errors.invalid(&field, "!", "must be a name"));
        errors
    }

    #[test]
    fn what_is_said_of_one_object_is_bounded() {
        let errors = many();
        assert_eq!((errors.len(), errors.is_empty()), (100_000, false));
        let causes = errors.into_causes();
        let size: usize = causes.iter().map(|cause| cause.field.len() + cause.message.len()).sum();
        assert!(size < MOST_SAID + 2000, "{size}");
        let told = causes.len() - 1;
        let last = format!("Invalid value: \"\": and {} more", 100_000 - told);
        assert_eq!(causes.last().map(|cause| cause.message.as_str()), Some(last.as_str()));
    }

    #[test]
    fn what_was_wrong_before_is_forgiven_however_much_it_is() {
        let mut errors = many();
        errors.forgive(&many());
        assert!(errors.is_empty());
        let mut more = many();
        more.required("spec", "");
        more.forgive(&many());
        assert_eq!(more.len(), 1);
        let mut together = many();
        together.append(many());
        assert_eq!(together.len(), 200_000);
    }

    #[test]
    fn of_a_large_value_the_beginning_is_shown() {
        let cases = [
            ("short", Value::from("a\"b"), "\"a\\\"b\"".to_owned()),
            ("as long as may be", "x".repeat(1022).into(), format!("\"{}\"", "x".repeat(1022))),
            ("longer", "x".repeat(1023).into(), format!("\"{}...", "x".repeat(1023))),
            ("characters of four bytes", "𝄞".repeat(5000).into(), format!("\"{}...", "𝄞".repeat(1023))),
            // 113 items of nine characters behind the bracket, and six of the next
            ("a list", vec!["abcdef"; 1000].into(), format!("[{}\"abcde...", "\"abcdef\",".repeat(113))),
        ];
        for (name, value, want) in cases {
            assert_eq!(shown(&value), want, "{name}");
        }
    }

    /// A value that counts how often it is made.
    struct Made<'v>(&'v [&'v str], &'v Cell<usize>);

    impl From<Made<'_>> for Value {
        fn from(Made(value, count): Made<'_>) -> Value {
            count.set(count.get() + 1);
            value.into()
        }
    }

    /// Written out each time, it would be some gigabytes.
    #[test]
    fn nothing_is_written_for_what_is_not_told() {
        let (mut errors, count) = (ErrorList::default(), Cell::new(0));
        let all = vec!["value"; 10_000];
        for _ in 0..100_000 {
            errors.invalid("spec", Made(&all, &count), "all of it is wrong");
        }
        assert_eq!(errors.len(), 100_000);
        assert!(count.get() < 400, "{} were written", count.get());
    }
}
