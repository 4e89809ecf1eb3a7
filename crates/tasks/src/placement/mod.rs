//! Placement: gangs of resources on virtual nodes, reserved whole or not at all.
//!
//! A [`Nodes`] is a ledger: named nodes, each with amounts of resources. [`Nodes::reserve`] asks for a gang of
//! [`Bundle`]s; it waits, first come, first served, until all of them fit at once, and holds them until it is
//! removed. Tasks and actors then take seats inside a bundle. The ledger is an account, not a fence: it
//! decides who starts when, and every task runs in this process, on the engine's threads.
//!
//! ```text
//!   reserve ──fits──> placed ──remove / last handle dropped──> amounts back, the next gang may fit
//!      └──does not──> pending ──remove──> forgotten
//! ```
//!
//! `ledger` is the state machine, without locks and promises; `nodes` and `gang` are what users hold.

mod bundle;
mod gang;
mod ledger;
mod nodes;

pub use bundle::Bundle;
pub use gang::{PlacementGroup, Seat, Slot};
pub use ledger::{Strategy, Where};
pub use nodes::{Demand, NodeStatus, Nodes};
