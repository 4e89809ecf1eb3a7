//! The library's `sync` module, over shuttle: see `schedules`. Deques are lists under a lock here, of which a
//! thief takes several at once as from the real ones: for a moment they are in nobody's deque.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use crossbeam_deque::Steal;
pub(crate) use shuttle::hint::spin_loop;
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
pub(crate) use shuttle::thread::yield_now;

/// Models have no clock: it stands still.
pub(crate) fn now() -> Instant {
    static BEGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    *BEGIN
}

/// Models have no clock.
pub(crate) fn sleep(_: Duration) {
    yield_now();
}

/// `parking_lot`'s mutex, as far as the models need it.
#[derive(Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        // A model that fails is not to fail again in a destructor.
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Empty only while a condition variable has it.
pub(crate) struct MutexGuard<'a, T>(Option<shuttle::sync::MutexGuard<'a, T>>);

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().unwrap()
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().unwrap()
    }
}

/// `parking_lot`'s condition variable, as far as the models need it.
#[derive(Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let inner = guard.0.take().unwrap();
        guard.0 = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
    }

    /// Models have no clock: the time never comes.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> Woken {
        self.wait(guard);
        Woken
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// How a wait with a deadline ended.
pub(crate) struct Woken;

impl Woken {
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

/// `parking_lot`'s lock for readers and writers, as far as the models need it.
#[derive(Default)]
pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn read(&self) -> shuttle::sync::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> shuttle::sync::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts threads of the model.
pub(crate) struct ThreadBuilder;

impl ThreadBuilder {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn name(self, _: String) -> Self {
        self
    }

    pub(crate) fn stack_size(self, _: usize) -> Self {
        self
    }

    pub(crate) fn spawn(self, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        drop(shuttle::thread::spawn(work));
        Ok(())
    }
}

/// What each thread of the model has of its own.
pub(crate) struct Key<T: 'static>(pub(crate) &'static shuttle::thread::LocalKey<T>);

impl<T: 'static> Key<T> {
    pub(crate) fn try_with<R>(&self, look: impl FnOnce(&T) -> R) -> Result<R, shuttle::thread::AccessError> {
        self.0.try_with(look)
    }
}

impl<T: 'static> Key<RefCell<T>> {
    pub(crate) fn with_borrow<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        self.0.with(|cell| look(&cell.borrow()))
    }

    pub(crate) fn with_borrow_mut<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        self.0.with(|cell| change(&mut cell.borrow_mut()))
    }

    pub(crate) fn set(&self, value: T) {
        self.0.with(|cell| drop(cell.replace(value)));
    }

    pub(crate) fn take(&self) -> T
    where
        T: Default,
    {
        self.0.with(RefCell::take)
    }
}

impl<T: Copy + 'static> Key<Cell<T>> {
    pub(crate) fn get(&self) -> T {
        self.0.with(Cell::get)
    }

    pub(crate) fn set(&self, value: T) {
        self.0.with(|cell| cell.set(value));
    }
}

macro_rules! per_thread {
    ($(static $name:ident: $type:ty = const $init:block;)*) => {
        $(static $name: $crate::schedules::sync::Key<$type> = {
            shuttle::thread_local! { static INNER: $type = const { $init } }
            $crate::schedules::sync::Key(&INNER)
        };)*
    };
}
pub(crate) use per_thread as thread_local;

type List<T> = Mutex<VecDeque<T>>;

fn steal<T>(list: &List<T>) -> Steal<T> {
    list.lock().pop_front().map_or(Steal::Empty, Steal::Success)
}

/// Takes half of what there is, the oldest for the caller.
fn steal_batch<T>(list: &List<T>, to: &Worker<T>) -> Steal<T> {
    let mut guard = list.lock();
    let half = guard.len().div_ceil(2);
    let mut batch: VecDeque<T> = guard.drain(..half).collect();
    drop(guard);
    let first = batch.pop_front();
    if !batch.is_empty() {
        to.0.lock().extend(batch);
    }
    first.map_or(Steal::Empty, Steal::Success)
}

/// The deque of a thread; pops are of the newest, or of the oldest.
pub(crate) struct Worker<T>(Arc<List<T>>, bool);

impl<T> Worker<T> {
    pub(crate) fn new_fifo() -> Self {
        Self(Arc::new(Mutex::new(VecDeque::new())), false)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(crate) fn new_lifo() -> Self {
        Self(Arc::new(Mutex::new(VecDeque::new())), true)
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(Arc::clone(&self.0))
    }

    pub(crate) fn push(&self, task: T) {
        self.0.lock().push_back(task);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(crate) fn pop(&self) -> Option<T> {
        let mut tasks = self.0.lock();
        if self.1 { tasks.pop_back() } else { tasks.pop_front() }
    }
}

/// Others' hold on a thread's deque.
pub(crate) struct Stealer<T>(Arc<List<T>>);

impl<T> Clone for Stealer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Stealer<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        steal(&self.0)
    }

    pub(crate) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
        // A thread's own deque is among those it looks at.
        if Arc::ptr_eq(&self.0, &to.0) {
            to.pop().map_or(Steal::Empty, Steal::Success)
        } else {
            steal_batch(&self.0, to)
        }
    }
}

/// The list of all threads.
pub(crate) struct Injector<T>(List<T>);

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    pub(crate) fn push(&self, task: T) {
        self.0.lock().push_back(task);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        steal(&self.0)
    }

    pub(crate) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
        steal_batch(&self.0, to)
    }
}
