//! What admission policies allow, refuse and change.

mod lab;
mod mutating;
mod validating;
