//! What a task may ask for besides its arguments: the options of [`TaskSpec`] and [`Call`](super::Call).
//!
//! A task without options carries one empty pointer and goes straight to a worker; options are what the
//! scheduler (`schedule`) looks at.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use crate::error::{Error, Result, TaskInfo};
use crate::refs::{Managed, Origin, current_scope};
use crate::runtime::PoolShared;
use crate::schedule::{Ask, Backoff};

/// Decides which errors are worth another attempt.
pub(crate) type RetryIf = Arc<dyn Fn(&Error) -> bool + Send + Sync>;

/// Everything a task asks for; the defaults ask for nothing.
#[derive(Clone, Default)]
pub(crate) struct TaskOptions {
    pub(crate) cpus: f64,
    pub(crate) memory: usize,
    /// Named resources, each name once.
    pub(crate) resources: Vec<(Cow<'static, str>, f64)>,
    pub(crate) priority: i32,
    pub(crate) deadline: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) retry_if: Option<RetryIf>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) detached: bool,
}

impl TaskOptions {
    /// Whether the task may go straight to a worker: it neither waits for anything nor runs twice.
    pub(crate) fn is_plain(&self) -> bool {
        self.cpus == 0.0
            && self.memory == 0
            && self.resources.is_empty()
            && self.priority == 0
            && self.deadline.is_none()
            && self.retries == 0
    }
}

impl fmt::Debug for TaskOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskOptions")
            .field("cpus", &self.cpus)
            .field("memory", &self.memory)
            .field("resources", &self.resources)
            .field("priority", &self.priority)
            .field("deadline", &self.deadline)
            .field("retries", &self.retries)
            .field("retry_if", &self.retry_if.is_some())
            .field("backoff", &self.backoff)
            .field("detached", &self.detached)
            .finish()
    }
}

/// What is known of a task besides its arguments and its work.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use trefoil_core::{Backoff, TaskSpec};
///
/// let spec = TaskSpec::new("train")
///     .cpus(0.5)
///     .memory(64 << 20)
///     .resource("gpu", 1.0)
///     .priority(5)
///     .deadline(Duration::from_secs(60))
///     .retries(3)
///     .backoff(Backoff::new(Duration::from_millis(100)));
/// assert_eq!(spec.name, "train");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskSpec {
    /// The name in errors, drawings and reports.
    pub name: Cow<'static, str>,
    /// Where the call was written.
    pub location: &'static Location<'static>,
    options: Option<Arc<TaskOptions>>,
}

impl TaskSpec {
    /// A spec with this name, the caller's location and defaults for the rest.
    #[track_caller]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), location: Location::caller(), options: None }
    }

    pub(crate) fn info(&self, attempt: u32) -> TaskInfo {
        TaskInfo { name: self.name.clone(), location: self.location, attempt }
    }

    /// The options, if any of them needs the scheduler.
    pub(crate) fn managed(&self) -> Option<&Arc<TaskOptions>> {
        self.options.as_ref().filter(|options| !options.is_plain())
    }

    /// Where a task of these options that is spawned here comes from, and what it asks the scheduler for.
    ///
    /// # Errors
    ///
    /// As [`Capacity::demand`](crate::schedule::Capacity::demand): what can never be met.
    pub(crate) fn origin(&self, pool: &PoolShared) -> Result<Origin> {
        let Some(options) = &self.options else { return Ok(Origin::here()) };
        let parent = if options.detached { None } else { current_scope() };
        let managed = match self.managed() {
            None => None,
            Some(options) => {
                let TaskOptions { cpus, memory, resources, priority, deadline, retries, .. } = &**options;
                let demand = pool.capacity().demand(*cpus, *memory, resources);
                let ask = Ask {
                    demand: demand.map_err(|error| error.in_task(self.info(1)))?,
                    priority: *priority,
                    deadline: *deadline,
                    retries: *retries,
                    backoff: options.backoff,
                };
                Some(Arc::new(Managed { ask: Arc::new(ask), retry_if: options.retry_if.clone() }))
            }
        };
        Ok(Origin { parent, managed })
    }

    fn edit(mut self, change: impl FnOnce(&mut TaskOptions)) -> Self {
        change(Arc::make_mut(self.options.get_or_insert_default()));
        self
    }

    /// Cpus the task uses, a fraction (in steps of 1/10,000) or more: it starts when so many of the engine's
    /// are free, and while it runs other tasks that declare cpus get only the rest. While it blocks on a ref
    /// it lends them to others, and goes on when they are free again. 0, the default, declares nothing: the
    /// number of workers is the only limit.
    ///
    /// More than the engine has, or no finite number from 0 up, is an error when the task is spawned.
    #[must_use]
    pub fn cpus(self, cpus: f64) -> Self {
        if cpus == 0.0 && self.options.is_none() {
            return self;
        }
        self.edit(|options| options.cpus = cpus)
    }

    /// Bytes of the engine's memory budget that are reserved while the task runs; it starts when they are
    /// free. Default 0. More than the budget is an error when the task is spawned.
    #[must_use]
    pub fn memory(self, bytes: usize) -> Self {
        self.edit(|options| options.memory = bytes)
    }

    /// An amount (in steps of 1/10,000) of a resource declared with
    /// [`EngineBuilder::resource`](crate::EngineBuilder::resource) that the task holds while it runs. Given
    /// twice for one name, the last amount counts. It keeps it while it blocks. An unknown name or more than
    /// there is is an error when the task is spawned.
    #[must_use]
    pub fn resource(self, name: impl Into<Cow<'static, str>>, amount: f64) -> Self {
        let name = name.into();
        self.edit(|options| {
            options.resources.retain(|(known, _)| *known != name);
            options.resources.push((name, amount));
        })
    }

    /// Higher runs first among tasks that wait for a worker or for resources; equal ones in the order they
    /// became ready. Default 0; negative values come after tasks without a priority. A step of priority
    /// outweighs a thousand later arrivals, not more, so that nothing waits for ever.
    #[must_use]
    pub fn priority(self, priority: i32) -> Self {
        self.edit(|options| options.priority = priority)
    }

    /// The longest the task may take from when it is spawned, waits, attempts and pauses included. When it
    /// has passed, the task fails with [`ErrorKind::DeadlineExceeded`](crate::ErrorKind::DeadlineExceeded):
    /// a task that has not started never does, asynchronous work stops at its next await, synchronous work
    /// sees [`task_is_cancelled`](crate::task_is_cancelled), and the tasks it spawned are cancelled.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        self.edit(|options| options.deadline = Some(deadline))
    }

    /// How often the task is run again after it returned an error or panicked. Default 0. Its resources are
    /// free between the attempts.
    #[must_use]
    pub fn retries(self, count: u32) -> Self {
        if count == 0 && self.options.is_none() {
            return self;
        }
        self.edit(|options| options.retries = count)
    }

    /// Runs the task again only after errors for which `predicate` is true; by default after all. A panic
    /// arrives as [`ErrorKind::Panicked`](crate::ErrorKind::Panicked). Needs [`TaskSpec::retries`].
    #[must_use]
    pub fn retry_if(self, predicate: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.edit(|options| options.retry_if = Some(Arc::new(predicate)))
    }

    /// How long to wait before each further attempt; by default not at all. Needs [`TaskSpec::retries`].
    #[must_use]
    pub fn backoff(self, backoff: Backoff) -> Self {
        self.edit(|options| options.backoff = Some(backoff))
    }

    /// Lets the task go on when the task that spawned it is cancelled; otherwise it is cancelled with it.
    #[must_use]
    pub fn detached(self) -> Self {
        self.edit(|options| options.detached = true)
    }
}

impl<T> Call<T> {
    /// Names the task in errors and drawings; by default it is named after its function.
    pub fn name(self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        self.change_spec(|mut spec| {
            spec.name = name.clone();
            spec
        })
    }

    /// Declares the cpus the task uses, a fraction or more; see [`TaskSpec::cpus`].
    pub fn cpus(self, cpus: f64) -> Self {
        self.change_spec(|spec| spec.cpus(cpus))
    }

    /// Declares the memory the task uses, in bytes; see [`TaskSpec::memory`].
    pub fn memory(self, bytes: usize) -> Self {
        self.change_spec(|spec| spec.memory(bytes))
    }

    /// Declares an amount of a named resource the task uses; see [`TaskSpec::resource`].
    pub fn resource(self, name: impl Into<Cow<'static, str>>, amount: f64) -> Self {
        let name = name.into();
        self.change_spec(|spec| spec.resource(name.clone(), amount))
    }

    /// Runs the task before (or, below 0, after) others that are ready; see [`TaskSpec::priority`].
    pub fn priority(self, priority: i32) -> Self {
        self.change_spec(|spec| spec.priority(priority))
    }

    /// The longest the task may take from when it is spawned; see [`TaskSpec::deadline`].
    pub fn deadline(self, deadline: Duration) -> Self {
        self.change_spec(|spec| spec.deadline(deadline))
    }

    /// Runs the task again, up to `count` times, if it returns an error or panics. Default 0.
    /// A failed argument is not retried here: its own task was.
    pub fn retries(self, count: u32) -> Self {
        self.change_spec(|spec| spec.retries(count))
    }

    /// Runs the task again only after errors for which `predicate` is true; see [`TaskSpec::retry_if`].
    pub fn retry_if(self, predicate: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        let predicate = Arc::new(predicate);
        self.change_spec(|spec| {
            let predicate = Arc::clone(&predicate);
            spec.retry_if(move |error| predicate(error))
        })
    }

    /// How long to wait before each further attempt; see [`TaskSpec::backoff`].
    pub fn backoff(self, backoff: Backoff) -> Self {
        self.change_spec(|spec| spec.backoff(backoff))
    }

    /// Lets the task go on when the task that spawned it is cancelled; see [`TaskSpec::detached`].
    pub fn detached(self) -> Self {
        self.change_spec(TaskSpec::detached)
    }
}
