//! What an expression of an admission policy may name.

use crate::composition::Composition;

/// One name, with a dot.
pub(crate) const REQUEST_RESOURCE: &str = "authorizer.requestResource";

/// What `request` is.
#[derive(Debug, Clone, Copy, Default)]
pub enum About {
    /// Of admission.
    #[default]
    Request,
    AccessReview,
}

/// What an expression may name beside what every expression may.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment<'e> {
    pub about: About,
    pub variables: &'e [&'e str],
    /// `variables.NAME`.
    pub composed: Option<&'e Composition>,
    pub authorizer: bool,
    /// `Object{…}` and `JSONPatch{…}`.
    pub patches: bool,
}

impl Environment<'_> {
    /// Of the conditions of an authorisation webhook.
    pub fn of_access_review() -> Self {
        Environment { about: About::AccessReview, variables: &["request"], ..Self::default() }
    }
}
