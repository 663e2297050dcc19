//! What every caller may rely on, whichever door it comes through.

mod lists;
mod objects;
mod pods;
mod rights;
mod services;
mod writes;
