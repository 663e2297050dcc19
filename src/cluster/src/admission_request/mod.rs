//! A write, as plug-ins, policies and webhooks look at it: what it is ([`attributes`]), who wants to be asked about it ([`matching`]),
//! and what they are asked ([`question`]). Upstream's `admission.Attributes` and `AdmissionRequest`. Nothing here decides.

pub(crate) mod attributes;
pub(crate) mod matching;
pub(crate) mod question;
