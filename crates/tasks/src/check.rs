//! The compile-time side of the macros: which types can be arguments and results.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that can be an argument or result of a task or of an actor's method.
///
/// Implemented for every type that is `Clone + Serialize + DeserializeOwned +
/// Send + Sync + 'static`. Values stay in memory as they are while they stay
/// in the process; the serde bounds let the same program run its tasks in
/// other processes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument or result of a task or actor",
    label = "arguments and results are `Clone + Serialize + DeserializeOwned + Send + Sync + 'static`",
    note = "derive `Clone`, `serde::Serialize` and `serde::Deserialize` on your own types"
)]
pub trait TaskValue: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> TaskValue for T {}

/// Fails to compile for a type that is no [`TaskValue`].
pub fn check_value<T: TaskValue>() {}

/// A `Result` under another name: what `#[task(fallible)]` functions return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result`",
    label = "`#[task(fallible)]` is for functions that return a `Result` under another name"
)]
pub trait Fallible {
    /// The type inside `Ok`.
    type Value;
}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;
}
