//! Which actors can be found: by name on one engine, by id in this process.
//!
//! The tables hold weak handles, so being listed keeps no actor alive.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use trefoil_core::{Error, ErrorKind, Result, suggest};

use super::life::{ActorId, Life};

type AnyPort = Weak<dyn Any + Send + Sync>;

struct Listed {
    life: Weak<Life>,
    port: AnyPort,
}

impl Listed {
    /// Whether calls can still reach it.
    fn is_alive(&self) -> bool {
        self.port.strong_count() > 0 && self.life.upgrade().is_some_and(|life| life.end().is_none())
    }
}

/// By engine and name.
static NAMES: LazyLock<Mutex<HashMap<(u64, String), Listed>>> = LazyLock::new(Mutex::default);

/// By id, of the actors whose handles were serialised.
static IDS: LazyLock<Mutex<HashMap<ActorId, AnyPort>>> = LazyLock::new(Mutex::default);

/// Takes the actor's name, if it has one.
pub(crate) fn claim(life: &Arc<Life>, port: AnyPort) -> Result<()> {
    let Some(name) = &life.name else { return Ok(()) };
    let mut names = NAMES.lock();
    let key = (life.engine, name.clone());
    if let Some(listed) = names.get(&key)
        && listed.is_alive()
    {
        let kind = listed.life.upgrade().map_or("another type", |life| life.kind);
        let message = format!("the name `{name}` belongs to a living actor ({kind})");
        return Err(Error::new(ErrorKind::AlreadyExists, "actor", message)
            .with_help("`engine.actor_named` finds it; names are free again when their actor has ended"));
    }
    names.insert(key, Listed { life: Arc::downgrade(life), port });
    Ok(())
}

/// Gives the name back, unless it belongs to a newer actor already.
pub(crate) fn release(life: &Arc<Life>) {
    let Some(name) = &life.name else { return };
    let mut names = NAMES.lock();
    let key = (life.engine, name.clone());
    if names.get(&key).is_some_and(|listed| std::ptr::eq(listed.life.as_ptr(), Arc::as_ptr(life))) {
        names.remove(&key);
    }
}

/// The port of a living actor of that name, and the name of its type.
pub(crate) fn find(engine: u64, name: &str) -> Result<(Arc<dyn Any + Send + Sync>, &'static str)> {
    let names = NAMES.lock();
    let found = names.get(&(engine, name.to_owned())).filter(|listed| listed.is_alive());
    if let Some(listed) = found
        && let (Some(port), Some(life)) = (listed.port.upgrade(), listed.life.upgrade())
    {
        return Ok((port, life.kind));
    }
    let mut living: Vec<&str> = names
        .iter()
        .filter(|((other, _), listed)| *other == engine && listed.is_alive())
        .map(|((_, name), _)| name.as_str())
        .collect();
    living.sort_unstable();
    let error = Error::new(ErrorKind::NotFound, "actor_named", format!("no living actor is named `{name}`"));
    Err(match (suggest(name, &living), living.is_empty()) {
        (Some(near), _) => error.with_help(format!("did you mean `{near}`? (actors: {})", living.join(", "))),
        (None, false) => error.with_help(format!("actors: {}", living.join(", "))),
        (None, true) => error.with_help("no actor of this engine has a name"),
    })
}

/// Lists an actor by id.
pub(crate) fn list(id: ActorId, port: AnyPort) {
    let mut ids = IDS.lock();
    if ids.len() % 256 == 255 {
        ids.retain(|_, port| port.strong_count() > 0);
    }
    ids.insert(id, port);
}

/// The port of an actor whose handle was serialised in this process.
pub(crate) fn by_id(id: ActorId) -> Option<Arc<dyn Any + Send + Sync>> {
    IDS.lock().get(&id).and_then(Weak::upgrade)
}
