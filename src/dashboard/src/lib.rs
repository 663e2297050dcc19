//! The dashboard's way into a browser: its pages inside the program, and the sessions of those who may use them.
//!
//! The API's own port is no place for a browser: it would warn of a certificate that only we have signed, and ask for one of
//! the user's. So the pages and the API are served without TLS as well, on loopback only, and [`Dashboard::answer`] stands
//! in front: it turns away other hosts and other sites, redeems a one-time link for a session where its own user asks, hands
//! out pages, and lets the rest go on to the API as the cluster's administrator. It does not serve by itself and knows no
//! connection; a page talks to the API and to nothing else here. Read [`Dashboard::answer`] first.

#![forbid(unsafe_code)]

mod answers;
mod pages;
mod session_gate;
mod sessions;

pub use session_gate::Dashboard;
