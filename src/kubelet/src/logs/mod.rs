//! Container logs, whose form is `cri::logs`: what of a line is shown (`line`), reading and following (`reader`), keeping them
//! small (`rotate`, `keeper`).

pub mod keeper;
pub mod line;
pub mod reader;
pub mod rotate;
