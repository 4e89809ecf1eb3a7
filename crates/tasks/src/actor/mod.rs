//! Actors: a value of its own, and calls to its methods that run one after another.
//!
//! ```text
//!   handle.add(5) ── message ──> mailbox (a queue) ── loop on the control runtime ──> state
//!        │                                                  │
//!        └──────────── Ref <── promise <── result ──────────┘
//! ```
//!
//! The loop owns the state. It takes one message at a time, waits for the
//! message's arguments (so a call keeps its place in the queue), and runs it:
//! `&mut self` methods alone, `&self` methods on a shared handle; asynchronous
//! `&self` methods go on beside the loop, up to a limit, and an `&mut self`
//! method waits until they are done.
//!
//! Whatever ends the loop (see [`ActorEnd`]), the mailbox is emptied and each
//! call left in it fails with an error that names the end. Handles hold the
//! mailbox, never the engine, and the loop holds neither handles nor engine.

mod builder;
mod envelope;
mod handle;
mod life;
mod mailbox;
mod names;
mod port;
mod run;

pub use builder::{ActorBuilder, ActorSession, FromFn, FromValue};
pub use handle::ActorHandle;
pub use life::{ActorEnd, ActorId};
pub use port::Port;

/// A type whose methods can be called through an [`ActorHandle`]; written by
/// [`#[actor]`](macro@crate::actor).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an actor",
    label = "not an actor",
    note = "put `#[actor]` on an `impl {Self} {{ .. }}` block; an actor is `Send + Sync + 'static`"
)]
pub trait Actor: Send + Sync + Sized + 'static {
    /// The remote methods: what an [`ActorHandle`] dereferences to.
    type Methods: Send + Sync + 'static;

    /// The name of the type in errors and listings.
    const NAME: &'static str;

    /// The remote methods, sending through `port`.
    #[doc(hidden)]
    fn methods(port: Port<Self>) -> Self::Methods;
}
