//! Tests of the tasks leaf through its public interface.

// What the macros write must pass where users forbid this.
#![forbid(unsafe_code)]
#![deny(unused, nonstandard_style, private_interfaces)]
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate trefoil_tasks as trefoil;

mod actor_ends;
mod actor_groups;
mod actor_order;
mod actor_space;
mod actor_streams;
mod actor_supervision;
mod actors;
mod dags;
mod groups;
mod hygiene;
mod options;
mod placement;
mod ray;
mod registry;
mod shared;
mod streams;
mod tasks;
mod ui;

use trefoil_tasks::Engine;

fn engine() -> Engine {
    Engine::builder().workers(2).memory("64MiB").build().unwrap()
}
