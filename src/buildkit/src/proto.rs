//! The messages, field by field as BuildKit 0.29's clients send and read them. Fields that nothing here looks at are left
//! out: what is unknown is skipped. Nothing is generated, so no build needs a protobuf compiler.

pub(crate) mod control;
pub(crate) mod errors;
pub(crate) mod gateway;
pub(crate) mod history;
pub(crate) mod ops;
pub(crate) mod session;
pub(crate) mod worker;

/// `google.protobuf.Timestamp`
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(at: jiff::Timestamp) -> Self {
        let (seconds, nanos) = (at.as_second(), at.subsec_nanosecond());
        // before 1970 both are negative; protobuf wants the nanoseconds forward
        match nanos < 0 {
            true => Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 },
            false => Timestamp { seconds, nanos },
        }
    }
}

pub(crate) fn now() -> Option<Timestamp> {
    Some(jiff::Timestamp::now().into())
}
