//! What webhooks are asked, and what their answers do.

mod bindings;
mod connections;
mod lab;
mod objects;
mod subresources;
