//! Refs inside values: a structure that holds refs is a value like any other, and can be serialised.
//!
//! Within the process nothing is serialised, the ref is shared. When a value is encoded all the same, a ref
//! travels as its id, and the process that holds the value can read it back. The table of ids is weak: being
//! listed keeps no value alive.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cell::Outcome;
use super::reference::Ref;

/// A weak handle of some type, and how many handles its value has.
struct Listed {
    handle: Box<dyn Any + Send + Sync>,
    is_alive: fn(&(dyn Any + Send + Sync)) -> bool,
}

/// By process and number, of the refs that were serialised.
static REFS: LazyLock<Mutex<HashMap<(u64, u64), Listed>>> = LazyLock::new(Mutex::default);

fn is_alive<T: 'static>(handle: &(dyn Any + Send + Sync)) -> bool {
    handle.downcast_ref::<Weak<dyn Outcome<T>>>().is_some_and(|weak| weak.strong_count() > 0)
}

impl<T: Send + Sync + 'static> Serialize for Ref<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let weak: Weak<dyn Outcome<T>> = Arc::downgrade(self.shared());
        let id = self.id().parts();
        let mut refs = REFS.lock();
        if refs.len() % 256 == 255 {
            refs.retain(|_, listed| (listed.is_alive)(&*listed.handle));
        }
        refs.insert(id, Listed { handle: Box::new(weak), is_alive: is_alive::<T> });
        id.serialize(serializer)
    }
}

impl<'de, T: Send + Sync + 'static> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = <(u64, u64)>::deserialize(deserializer)?;
        let refs = REFS.lock();
        let found =
            refs.get(&id).ok_or_else(|| D::Error::custom("the value of this ref is not in this process"))?;
        let weak = found
            .handle
            .downcast_ref::<Weak<dyn Outcome<T>>>()
            .ok_or_else(|| D::Error::custom("the ref is of a value of another type"))?;
        weak.upgrade().map(Ref::from_cell).ok_or_else(|| D::Error::custom("the value of this ref is gone"))
    }
}
