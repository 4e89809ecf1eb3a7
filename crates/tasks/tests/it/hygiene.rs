//! The macros' output among names that could get in its way.

#![deny(missing_docs)]

use trefoil_tasks::ActorSession;

use crate::engine;

/// Names of the standard library that mean something else here.
#[allow(dead_code)]
mod shadowed {
    struct Vec;
    struct String;
    struct Result;
    struct Box;
    struct Option;
    struct Ok;
    struct Error;
    struct Call;
    struct Ref;
    mod core {}
    mod std {}
    mod trefoil {}

    /// Counts.
    #[::trefoil::task]
    pub(crate) fn count(xs: &[u8], text: &str) -> usize {
        xs.len() + text.len()
    }

    /// Counts later.
    #[::trefoil::task]
    pub(crate) async fn count_later(xs: &[u8], text: &str) -> usize {
        xs.len() + text.len()
    }

    /// Adds.
    pub(crate) struct Adder(pub(crate) usize);

    #[::trefoil::actor]
    impl Adder {
        /// Adds a slice's length.
        pub(crate) fn add(&mut self, xs: &[u8]) -> usize {
            self.0 += xs.len();
            self.0
        }

        /// Adds later.
        pub(crate) async fn add_later(&mut self, text: &str) -> usize {
            self.0 += text.len();
            self.0
        }
    }
}

/// Parameters named like the names the macros use.
#[trefoil_tasks::task]
fn named(bytes: i64, engine: i64, call: i64, run: i64, named: i64, spec: i64) -> i64 {
    bytes + engine + call + run + named + spec
}

/// A keyword for a name.
#[trefoil_tasks::task]
fn r#type(r#fn: i64, _: bool, (_, _): (i64, i64)) -> i64 {
    r#fn
}

/// Twelve parameters, the most there can be.
#[trefoil_tasks::task]
#[allow(clippy::too_many_arguments)]
fn twelve(a: i8, b: i8, c: i8, d: i8, e: i8, f: i8, g: i8, h: i8, i: i8, j: i8, k: i8, l: i8) -> i64 {
    [a, b, c, d, e, f, g, h, i, j, k, l].into_iter().map(i64::from).sum()
}

#[trefoil_tasks::task]
#[cfg(any())]
fn absent(value: ThereIsNoSuchType) -> i64 {
    0
}

/// An actor with odd names.
pub struct Odd {
    /// A number.
    pub n: i64,
}

#[trefoil_tasks::actor]
impl Odd {
    /// Parameters named like the names the macros use.
    pub fn named(&mut self, actor: i64, args: i64, handle: i64, port: i64, bytes: i64) -> i64 {
        self.n += actor + args + handle + port + bytes;
        self.n
    }

    /// A keyword for a name.
    pub fn r#match(&self, r#in: &i64) -> bool {
        self.n == *r#in
    }

    /// Not there.
    #[cfg(any())]
    pub fn absent(&self, value: ThereIsNoSuchType) {}

    /// There.
    #[cfg(test)]
    #[must_use]
    #[inline]
    pub fn present(&self) -> Self {
        Self { n: self.n }
    }

    /// A pattern, and nothing to give.
    pub fn set(&mut self, (n, _): (i64, bool)) {
        self.n = n;
    }
}

impl Clone for Odd {
    fn clone(&self) -> Self {
        Self { n: self.n }
    }
}

impl serde::Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.n.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Odd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(|n| Self { n })
    }
}

#[test]
fn names_do_not_clash() {
    let engine = engine();
    assert_eq!(engine.spawn(shadowed::count([1, 2], "abc")).get().unwrap(), 5);
    assert_eq!(engine.spawn(shadowed::count_later([1, 2], "abc")).get().unwrap(), 5);
    let adder = engine.actor(shadowed::Adder(0)).spawn().unwrap();
    assert_eq!(adder.add([1_u8, 2]).get().unwrap(), 2);
    assert_eq!(adder.add_later("abc").get().unwrap(), 5);

    assert_eq!(engine.spawn(named(1, 2, 3, 4, 5, 6)).get().unwrap(), 21);
    assert_eq!(engine.spawn(r#type(7, true, (1, 2))).get().unwrap(), 7);
    assert_eq!(r#type::NAME, "it::hygiene::type");
    assert_eq!(engine.spawn(twelve(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)).get().unwrap(), 12);

    let odd = engine.actor(Odd { n: 0 }).spawn().unwrap();
    assert_eq!(odd.named(1, 2, 3, 4, 5).get().unwrap(), 15);
    assert!(odd.r#match(15).get().unwrap());
    assert_eq!(odd.present().get().unwrap().n, 15);
    odd.set((3, true)).get().unwrap();
    assert!(odd.r#match(3).get().unwrap());
}
