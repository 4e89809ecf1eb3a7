//! The tables of tasks and actors in this program, filled at link time by the macros.
//!
//! A worker that is another process of the same binary finds the same names in
//! its own tables: a name and encoded arguments are all that has to travel.
//! Crates whose tasks are only called by name must still be linked
//! (`use my_tasks as _;`).

use std::any::Any;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::LazyLock;

use futures::future::BoxFuture;
use linkme::distributed_slice;
use trefoil_core::{Call, Engine, Error, ErrorKind, Ref, Result, TaskSpec, suggest};

use crate::{Actor, ActorHandle};

/// Every `#[task]` of the program, in no particular order.
#[distributed_slice]
pub static TASKS: [TaskEntry];

/// Every `#[actor]` of the program, in no particular order.
#[distributed_slice]
pub static ACTORS: [ActorEntry];

/// How a task runs on encoded arguments.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Runner {
    Blocking(fn(&[u8]) -> Result<Vec<u8>>),
    Async(fn(Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>>>),
}

/// A registered task.
pub struct TaskEntry {
    name: &'static str,
    signature: &'static str,
    spec: fn() -> TaskSpec,
    runner: Runner,
}

impl TaskEntry {
    #[doc(hidden)]
    pub const fn new(
        name: &'static str,
        signature: &'static str,
        spec: fn() -> TaskSpec,
        runner: Runner,
    ) -> Self {
        Self { name, signature, spec, runner }
    }

    /// The name: `module::path::function`, or the one in `#[task(name = "..")]`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The function's signature as text.
    pub fn signature(&self) -> &'static str {
        self.signature
    }

    /// The call of this task on a postcard tuple of its arguments; it gives the encoded result, for a
    /// streaming task the encoded list of its items.
    #[track_caller]
    pub fn call(&self, arguments: Vec<u8>) -> Call<Vec<u8>> {
        let mut spec = (self.spec)();
        spec.name = self.name.into();
        spec.location = Location::caller();
        match self.runner {
            Runner::Blocking(run) => Call::new(spec, (), move |()| run(&arguments)),
            Runner::Async(run) => Call::new_async(spec, (), move |()| run(arguments.clone())),
        }
    }
}

/// A registered actor type.
pub struct ActorEntry {
    name: &'static str,
    methods: &'static [MethodEntry],
}

impl ActorEntry {
    #[doc(hidden)]
    pub const fn new(name: &'static str, methods: &'static [MethodEntry]) -> Self {
        Self { name, methods }
    }

    /// The name: `module::path::Type`, or the one in `#[actor(name = "..")]`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The remote methods, in the order of the `impl` block.
    pub fn methods(&self) -> &'static [MethodEntry] {
        self.methods
    }

    /// A method by its name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], with the nearest name.
    pub fn method(&self, name: &str) -> Result<&'static MethodEntry> {
        self.methods
            .iter()
            .find(|method| method.name == name)
            .ok_or_else(|| unknown("method", name, self.methods.iter().map(|method| method.name)))
    }
}

type MethodCall = fn(&(dyn Any + Send + Sync), &[u8]) -> Result<BoxFuture<'static, Result<Vec<u8>>>>;

/// A remote method of a registered actor type.
pub struct MethodEntry {
    name: &'static str,
    signature: &'static str,
    call: MethodCall,
}

impl MethodEntry {
    #[doc(hidden)]
    pub const fn new(name: &'static str, signature: &'static str, call: MethodCall) -> Self {
        Self { name, signature, call }
    }

    /// The method's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The method's signature as text.
    pub fn signature(&self) -> &'static str {
        self.signature
    }

    /// Queues a call of this method on a postcard tuple of its arguments; the future gives the encoded result.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TypeMismatch`] if the handle is of another actor type, [`ErrorKind::MalformedData`] for
    /// arguments that cannot be decoded.
    pub fn call<A: Actor>(
        &self,
        handle: &ActorHandle<A>,
        arguments: &[u8],
    ) -> Result<BoxFuture<'static, Result<Vec<u8>>>> {
        (self.call)(handle, arguments)
    }
}

/// The methods behind a handle of unknown type.
#[doc(hidden)]
pub fn methods<A: Actor>(handle: &(dyn Any + Send + Sync)) -> Result<&A::Methods> {
    handle.downcast_ref::<ActorHandle<A>>().map(ActorHandle::methods).ok_or_else(|| {
        let message = format!("the handle does not belong to an actor of type {}", A::NAME);
        Error::new(ErrorKind::TypeMismatch, "registry", message)
    })
}

/// The options of a task for a call from here.
#[doc(hidden)]
#[track_caller]
pub fn spec_from_here(options: &TaskSpec) -> TaskSpec {
    let mut spec = options.clone();
    spec.location = Location::caller();
    spec
}

/// Finds a task by its name.
///
/// # Errors
///
/// [`ErrorKind::NotFound`], with the nearest name; [`ErrorKind::AlreadyExists`] if two tasks have the name.
pub fn lookup(name: &str) -> Result<&'static TaskEntry> {
    static BY_NAME: LazyLock<HashMap<&str, Vec<&TaskEntry>>> =
        LazyLock::new(|| by_name(&TASKS, TaskEntry::name));
    pick("task", name, &BY_NAME)
}

/// Finds an actor type by its name.
///
/// # Errors
///
/// [`ErrorKind::NotFound`], with the nearest name; [`ErrorKind::AlreadyExists`] if two types have the name.
pub fn lookup_actor(name: &str) -> Result<&'static ActorEntry> {
    static BY_NAME: LazyLock<HashMap<&str, Vec<&ActorEntry>>> =
        LazyLock::new(|| by_name(&ACTORS, ActorEntry::name));
    pick("actor", name, &BY_NAME)
}

/// Checks that every name in the tables is unique; a worker does so when it starts.
///
/// # Errors
///
/// [`ErrorKind::AlreadyExists`], naming the first name in order that two tasks or two actor types have.
pub fn check() -> Result<()> {
    let mut tasks: Vec<&str> = TASKS.iter().map(TaskEntry::name).collect();
    let mut actors: Vec<&str> = ACTORS.iter().map(ActorEntry::name).collect();
    for (what, names) in [("task", &mut tasks), ("actor", &mut actors)] {
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(duplicate(what, pair[0]));
        }
    }
    Ok(())
}

/// Runs the task of this name on a postcard tuple of its arguments, and gives the encoded result.
///
/// # Examples
///
/// ```
/// # extern crate trefoil_tasks as trefoil;
/// use trefoil_tasks::{Engine, registry, task};
///
/// #[task(name = "double")]
/// fn double(n: i64) -> i64 {
///     2 * n
/// }
///
/// # fn main() -> trefoil_tasks::Result<()> {
/// let engine = Engine::new()?;
/// let arguments = registry::encode(&(21_i64,))?;
/// let result = registry::run_by_name(&engine, "double", arguments).get()?;
/// assert_eq!(registry::decode::<i64>(&result)?, 42);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn run_by_name(engine: &Engine, name: &str, arguments: Vec<u8>) -> Ref<Vec<u8>> {
    match lookup(name) {
        Ok(entry) => engine.spawn(entry.call(arguments)),
        Err(error) => Ref::failed(error),
    }
}

/// The bytes in which arguments (a tuple) and results travel.
///
/// # Errors
///
/// [`ErrorKind::MalformedData`] if the type's own `Serialize` fails.
pub fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    crate::codec::encode("encode", value)
}

/// The value in the bytes of a result.
///
/// # Errors
///
/// [`ErrorKind::MalformedData`] if the bytes are not, or not only, a `T`.
pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    crate::codec::decode("decode", bytes)
}

fn by_name<E>(entries: &'static [E], name: fn(&E) -> &'static str) -> HashMap<&'static str, Vec<&'static E>> {
    let mut map: HashMap<&str, Vec<&E>> = HashMap::new();
    for entry in entries {
        map.entry(name(entry)).or_default().push(entry);
    }
    map
}

fn pick<E>(what: &str, name: &str, known: &HashMap<&'static str, Vec<&'static E>>) -> Result<&'static E> {
    match known.get(name).map(Vec::as_slice) {
        Some([entry]) => Ok(entry),
        Some(_) => Err(duplicate(what, name)),
        None => Err(unknown(what, name, known.keys().copied())),
    }
}

fn duplicate(what: &str, name: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, "registry", format!("two {what}s are registered as `{name}`"))
        .with_help(format!("give one of them another name: #[{what}(name = \"..\")]"))
}

fn unknown(what: &str, name: &str, known: impl IntoIterator<Item = &'static str>) -> Error {
    let error = Error::new(ErrorKind::NotFound, "registry", format!("no {what} is registered as `{name}`"));
    match suggest(name, known) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None => error,
    }
}
