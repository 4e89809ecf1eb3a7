//! Who may run, and when: pure parts, driven by the pool (`runtime/managed.rs`), which has the lock and the
//! clock. Nothing here does IO, reads a clock or takes a lock.
//!
//! ```text
//!   options of a task ──resources──> demand in fixed point, or an error that names what is missing
//!                          │
//!   events ──> machine: dependencies, resources, attempts, deadlines ──> actions
//!                 │ lineup: priorities with ageing    backoff: pauses between attempts
//!   waits  ──> stuck: who can never go on             order: graphs depth first
//! ```
//!
//! Tasks without options never come here: they count their dependencies in their own cells and go straight
//! to a worker. `machine` has the states of those that do.

mod backoff;
mod demand;
mod lineup;
mod machine;
#[cfg(test)]
mod model;
mod order;
mod resources;
mod stuck;

pub use backoff::Backoff;
pub use backoff::mix;
pub(crate) use lineup::Lineup;
pub(crate) use machine::{Action, Ask, Doom, Event, Machine, TaskId, Time};
pub(crate) use order::{Below, depth_first};
pub(crate) use resources::Capacity;
pub(crate) use stuck::{Needs, find_cycle};
