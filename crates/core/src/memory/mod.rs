//! One byte budget for queries, stored objects and tasks.
//!
//! Whoever needs memory asks [`Budget::try_grow`] and gives it back with [`Budget::shrink`] (or holds a
//! [`Reservation`], which does so on drop). When a request does not fit, the budget first asks its
//! reliever, the object store, to spill cold objects; only then is the request refused, with the largest
//! consumers named. The budget never blocks on another task: relief writes files, nothing else.

mod budget;
mod size;

// What `budget`, which models compile again, takes from elsewhere: by `super`, see `sync`.
use crate::error::{Error, ErrorKind, Result};
use crate::events::{EventKind, Hub};
use crate::sync;
pub(crate) use budget::Relief;
pub use budget::{Budget, Reservation};
pub(crate) use size::{default_limit, known_heap_bytes};
pub use size::{format_bytes, parse_bytes};
