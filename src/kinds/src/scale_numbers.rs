//! What becomes a `scale`.

/// What a kind that can be scaled says of itself.
#[derive(Debug, Default)]
pub struct ScaleNumbers {
    pub wanted: Option<i32>,
    pub current: Option<i32>,
    /// Of its pods, as a query has it: `app=web`.
    pub selector: Option<String>,
}
