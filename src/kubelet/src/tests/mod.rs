//! A whole kubelet on an in-memory cluster, with a scripted runtime and a clock that stands still.

mod certificates;
mod drivers;
mod eviction;
mod fake;
mod logs;
mod node;
mod paused;
mod pods;
mod replacement;
mod resize;
mod rig;
mod sidecars;
mod survival;
mod trouble;
mod volumes;
