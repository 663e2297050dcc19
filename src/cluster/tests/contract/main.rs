//! What every caller may rely on, whichever way it comes: by HTTP, or by a call in the process.

mod lists;
mod objects;
mod pods;
mod rights;
mod services;
mod writes;
