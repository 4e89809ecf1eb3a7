//! Which actors there are: all that live, by number; by name and namespace on one engine.
//!
//! The tables hold weak handles, so being listed keeps no actor alive. A detached actor is kept by its line
//! in the table of names until it has ended.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use trefoil_core::{Error, ErrorKind, Result, suggest};

use super::life::{ActorId, Life};
use super::mailbox::AnyCore;

type Key = (u64, String, String);

struct Listed {
    core: Weak<dyn AnyCore>,
    /// The handle of a detached actor.
    keep: Option<Box<dyn Any + Send + Sync>>,
}

/// By engine, namespace and name.
static NAMES: LazyLock<Mutex<HashMap<Key, Listed>>> = LazyLock::new(Mutex::default);

/// All that have not ended, by number.
static LIVING: LazyLock<Mutex<HashMap<u64, Weak<dyn AnyCore>>>> = LazyLock::new(Mutex::default);

fn living(listed: &Listed) -> Option<Arc<dyn AnyCore>> {
    listed.core.upgrade().filter(|core| core.life().end().is_none() && core.is_reachable())
}

fn key(life: &Life) -> Option<Key> {
    life.name.as_ref().map(|name| (life.engine, name.namespace.clone(), name.name.clone()))
}

/// Lists a new actor; takes its name, if it has one.
pub(crate) fn claim(core: &Arc<dyn AnyCore>) -> Result<()> {
    let life = core.life();
    if let Some(key) = key(life) {
        let mut names = NAMES.lock();
        if let Some(other) = names.get(&key).and_then(living) {
            let message = format!("the name `{}` belongs to a living actor ({})", key.2, other.life().kind);
            return Err(Error::new(ErrorKind::AlreadyExists, "actor", message).with_help(
                "`engine.actor_named` finds it; names are free again when their actor has ended",
            ));
        }
        let replaced = names.insert(key, Listed { core: Arc::downgrade(core), keep: None });
        drop(names);
        drop(replaced);
    }
    LIVING.lock().insert(life.id.number(), Arc::downgrade(core));
    Ok(())
}

/// Keeps an actor alive until it has ended.
pub(crate) fn keep(core: &Arc<dyn AnyCore>, handle: Box<dyn Any + Send + Sync>) {
    let Some(key) = key(core.life()) else { return };
    if let Some(listed) = NAMES.lock().get_mut(&key)
        && is_same(listed, core.life())
    {
        listed.keep = Some(handle);
    }
}

fn is_same(listed: &Listed, life: &Life) -> bool {
    listed.core.upgrade().is_some_and(|core| std::ptr::eq(core.life(), life))
}

/// Forgets an actor that has ended, unless its name belongs to a newer one already.
pub(crate) fn release(life: &Life) {
    LIVING.lock().remove(&life.id.number());
    let Some(key) = key(life) else { return };
    let released = {
        let mut names = NAMES.lock();
        if names.get(&key).is_some_and(|listed| is_same(listed, life)) { names.remove(&key) } else { None }
    };
    // The handle of a detached actor goes outside of the lock.
    drop(released);
}

/// The living actor of that name.
pub(crate) fn find(engine: u64, namespace: &str, name: &str) -> Result<Arc<dyn AnyCore>> {
    let names = NAMES.lock();
    let found = names.get(&(engine, namespace.to_owned(), name.to_owned())).and_then(living);
    if let Some(core) = found {
        return Ok(core);
    }
    let mut known: Vec<&str> = names
        .iter()
        .filter(|((other, space, _), listed)| {
            *other == engine && space == namespace && living(listed).is_some()
        })
        .map(|((.., name), _)| name.as_str())
        .collect();
    known.sort_unstable();
    let place = if namespace.is_empty() { String::new() } else { format!(" in the namespace `{namespace}`") };
    let message = format!("no living actor is named `{name}`{place}");
    let error = Error::new(ErrorKind::NotFound, "actor_named", message);
    Err(match (suggest(name, &known), known.is_empty()) {
        (Some(near), _) => error.with_help(format!("did you mean `{near}`? (actors: {})", known.join(", "))),
        (None, false) => error.with_help(format!("actors: {}", known.join(", "))),
        (None, true) => error.with_help(format!("no actor of this engine has a name{place}")),
    })
}

/// The living actor of that id, if it belongs to this process.
pub(crate) fn by_id(id: ActorId) -> Option<Arc<dyn AnyCore>> {
    let core = LIVING.lock().get(&id.number())?.upgrade()?;
    (core.life().id == id).then_some(core)
}

/// Tells an actor that one of its calls was cancelled.
pub(crate) fn cancelled(actor: u64) {
    let core = LIVING.lock().get(&actor).and_then(Weak::upgrade);
    if let Some(core) = core {
        core.see_cancelled();
    }
}
