//! Actors: a value of its own, and calls to its methods that run one after another.
//!
//! ```text
//!   handle.add(5) ── call ──> queue ── loop on the control runtime ──> state
//!        │                                         │
//!        └──────────────── Ref <──── answer ───────┘
//! ```
//!
//! A call is one allocation: arguments, method and the cell of the answer (`call`). The queue is shared by
//! handles and loop (`mailbox`). The loop owns the state (`run`): it takes what is queued and runs it, `&mut
//! self` methods alone, asynchronous `&self` methods beside each other up to a limit per group; a call whose
//! arguments are late waits in a lane of its caller (`work`). A panic brings a fresh state (`origin`) or the
//! end (`life`).
//!
//! Whatever ends the loop (see [`ActorEnd`]), each call that is left fails with an error that names the end.
//! Handles and the loop share a core and hold no engine.

mod builder;
mod call;
mod context;
mod handle;
mod life;
mod mailbox;
mod names;
mod origin;
mod pool;
mod port;
mod reserve;
mod run;
mod timer;
mod work;

pub use builder::{ActorBuilder, ActorSession, Checkpoint, FromFn, FromValue};
pub use context::ActorContext;
pub use handle::{ActorHandle, WeakHandle};
pub use life::{ActorEnd, ActorId};
pub use mailbox::Overflow;
pub use origin::{Restart, Restarts};
pub use pool::{ActorPool, PoolIter, PoolResults};
pub use port::{MethodInfo, Port};
pub use reserve::Reserved;
pub use timer::Timer;

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

    /// The groups that its methods name, in order of appearance.
    const GROUPS: &'static [&'static str];

    /// The remote methods, sending through `port`.
    #[doc(hidden)]
    fn methods(port: Port<Self>) -> Self::Methods;

    /// The port inside the methods.
    #[doc(hidden)]
    fn port(methods: &Self::Methods) -> &Port<Self>;
}
