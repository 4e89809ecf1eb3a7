//! Handles inside values: by number, within the process.
//!
//! Arguments of tasks are serialisable so that they could be sent to another process. These handles cannot
//! be; encoded all the same, they are a number that only this process can read back. The table is weak.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

type Shared = dyn Any + Send + Sync;

static HANDLES: LazyLock<Mutex<HashMap<u64, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// A number that no other handle of this process has.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(super) fn list(id: u64, shared: &Arc<Shared>) {
    let mut handles = HANDLES.lock();
    if handles.len() % 256 == 255 {
        handles.retain(|_, weak| weak.strong_count() > 0);
    }
    handles.insert(id, Arc::downgrade(shared));
}

pub(super) fn find<T: Any + Send + Sync>(id: u64) -> Result<Arc<T>, &'static str> {
    let shared = HANDLES.lock().get(&id).and_then(Weak::upgrade).ok_or("it does not live in this process")?;
    shared.downcast().map_err(|_| "it is of another type")
}

/// `Serialize` and `Deserialize` for a handle `struct H(Arc<Inner>)` whose inner part has an `id`.
macro_rules! travels {
    ($handle:ident $(<$t:ident>)?, $inner:ty) => {
        impl $(<$t: Send + Sync + 'static>)? serde::Serialize for $handle $(<$t>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let shared: std::sync::Arc<dyn std::any::Any + Send + Sync> =
                    std::sync::Arc::<$inner>::clone(&self.0);
                crate::sync::handles::list(self.0.id, &shared);
                serializer.serialize_u64(self.0.id)
            }
        }

        impl<'de $(, $t: Send + Sync + 'static)?> serde::Deserialize<'de> for $handle $(<$t>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let id = <u64 as serde::Deserialize>::deserialize(deserializer)?;
                crate::sync::handles::find::<$inner>(id).map(Self).map_err(|why| {
                    <D::Error as serde::de::Error>::custom(format_args!("a {}: {why}", stringify!($handle)))
                })
            }
        }
    };
}

pub(super) use travels;
