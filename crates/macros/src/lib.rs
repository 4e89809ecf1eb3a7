//! The attribute macros of trefoil: [`macro@task`] and [`macro@actor`].
//!
//! What they generate names only `::trefoil::__private`, so a program needs the
//! `trefoil` crate and nothing else in its manifest. The crate `trefoil-tasks`
//! re-exports both macros and holds the traits and functions they call.

mod actor;
mod options;
mod signature;
mod task;
mod task_options;

use proc_macro::TokenStream;

/// Makes a function a task: calling it gives a `Call` that runs later, on an engine.
///
/// For `#[task] fn sum(xs: &[i64]) -> i64 { .. }` the macro generates
///
/// * a function `sum(xs: impl IntoArg<Vec<i64>>) -> Call<i64>`: each argument
///   may be a value, a `Ref` or another `Call`;
/// * `sum::run(&[1, 2])`, the function as it was written, and `sum::NAME`;
/// * an entry in the table of tasks of the program, under the name
///   `module::path::sum`.
///
/// # Parameters and results
///
/// A parameter `T` takes the value (a copy of it when others hold it too);
/// `&T`, `&[T]` and `&str` borrow it where it is stored, and stand for a value
/// of type `T`, `Vec<T>` and `String`. A result type named `Result<T, E>` makes
/// a `Call<T>` that fails with the error `E` (anything that becomes a
/// `Box<dyn Error + Send + Sync>`). All arguments and results are
/// `Serialize + DeserializeOwned + Clone + Send + Sync`, checked at compile
/// time, so that the task can run in another process later.
///
/// Generic functions are refused: a task's name must mean one function.
///
/// # Streams
///
/// `#[task(stream)]` is for functions that return `impl Iterator<Item = T>` or
/// `impl Stream<Item = T>`. Calling one gives a `StreamCall<T>`, and
/// `engine.spawn_stream` a `RefStream<T>`: items become refs as they are
/// produced, at most `look_ahead` of them before they are read. When `T` is a
/// `Result`, the first error is one failed ref and the end. Arguments may be
/// borrowed, and the iterator may borrow from them.
///
/// # Options
///
/// The call's own setting wins over these: `fetch(url).retries(0)`.
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name = "text"` | name in errors, drawings and the table of tasks | the function's name; its path in the table |
/// | `cpus = 0.5` | processors that the scheduler counts for it | not declared |
/// | `memory = "64MiB"` | bytes of the budget reserved while it runs | 0 |
/// | `resources(gpu = 1)` | named resources it holds while it runs | none |
/// | `priority = 5` | runs before (below 0: after) others that are ready | 0 |
/// | `deadline = "30s"` | the longest it may take from when it is spawned | none |
/// | `retries = 3` | run again up to so many times after an `Err` or a panic | 0 |
/// | `retry_if = is_transient` | run again only after errors for which `fn(&Error) -> bool` is true | all |
/// | `backoff = "100ms"` | pause before the first retry, doubling; or a `Backoff` | no pause |
/// | `detached` | goes on when the task that spawned it is cancelled | cancelled with it |
/// | `stream` | many results, one after another | one result |
/// | `look_ahead = 16` | items a stream produces before they are read | 64 |
/// | `fallible` | the result is a `Result` under another name | `Result` as the last path segment |
#[proc_macro_attribute]
pub fn task(options: TokenStream, item: TokenStream) -> TokenStream {
    task::expand(options.into(), item.into()).into()
}

/// Makes the methods of an `impl` block callable through an actor handle.
///
/// For `#[actor] impl Counter { .. }` the block stays as it is. Each `pub`
/// method with `&self` or `&mut self` gets a twin on the generated struct
/// `CounterMethods`, to which `ActorHandle<Counter>` dereferences. The twin
/// takes `impl IntoArg<T>` for each argument (a value, a `Ref` or a `Call`) and
/// gives a `Ref` of the result; the rules for parameters and results are those
/// of [`macro@task`].
///
/// Methods without a receiver, methods that take `self`, private methods and
/// methods marked `#[actor(skip)]` stay local.
///
/// # Marks of methods
///
/// | mark | meaning |
/// |---|---|
/// | `#[actor(skip)]` | stays local |
/// | `#[actor(fallible)]` | the result is a `Result` under another name |
/// | `#[actor(group = "io")]` | a `&self` method that shares the limit of that group |
/// | `#[actor(blocking)]` | may block its thread for long; not for `async` methods |
/// | `#[actor(stream)]` | returns `impl Iterator<Item = T>` or `impl Stream<Item = T>`; its twin gives a `RefStream<T>` |
/// | `#[actor(stream, look_ahead = 16)]` | the same, with so many items produced before they are read (64) |
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `name = "text"` | name in errors and in the table of actors | the type's name; its path in the table |
#[proc_macro_attribute]
pub fn actor(options: TokenStream, item: TokenStream) -> TokenStream {
    actor::expand(options.into(), item.into()).into()
}
