//! Bags: lazy, partitioned collections of any values, for data that is not a table yet.
//!
//! A [`Bag<T>`] is a list of partitions; each is opened as an iterator and pulled through the whole chain of
//! `map`, `filter`, `flat_map` by one task, so a chain holds one item at a time however large its source is.
//! Reductions ([`fold`](Bag::fold), [`sum`](Bag::sum), [`top_k`](Bag::top_k), ...) give a
//! [`Call`](trefoil_core::Call): a lazy single value that joins delayed graphs. Shuffles
//! ([`group_by`](Bag::group_by), [`fold_by`](Bag::fold_by), [`join`](Bag::join), [`distinct`](Bag::distinct))
//! split every partition by a hash of the key. What must be held whole (the groups of a shuffle, a persisted
//! bag) is charged to the engine's budget: the size of the items, and the heap of `String` and `Vec<u8>`
//! items; the heap of other types is not known.
//!
//! Items come in the order of the partitions and, within one, of the source. Shuffles give the same order
//! every time for the same number of partitions, but it means nothing.
//!
//! ```
//! use trefoil_core::Engine;
//! use trefoil_frames::bag::BagSession;
//!
//! let engine = Engine::new()?;
//! let words = engine
//!     .bag()
//!     .of(["a rose is", "a rose", "is a rose"], 2)?
//!     .flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
//! let top = words.frequencies().top_k_by(2, |(word, count)| (*count, word.clone()));
//! let found = engine.block_on(engine.compute(top))?;
//! assert_eq!(found, [("rose".to_owned(), 3), ("a".to_owned(), 3)]);
//! # Ok::<(), trefoil_core::Error>(())
//! ```
//!
//! | Dask | here |
//! |---|---|
//! | `db.from_sequence(xs, npartitions=4)`, `db.range(n, 4)` | `engine.bag().of(xs, 4)`, `.range(n, 4)` |
//! | `db.read_text("*.log", blocksize="8MB")` | `engine.bag().read_text_with("*.log", TextOptions::new().block_bytes(8 << 20))` |
//! | `db.read_text(..).map(json.loads)` | `engine.bag().read_json::<T>("*.jsonl")` |
//! | `b.map(f)`, `b.starmap(f)`, `b.filter(f)`, `b.remove(f)` | `map(f)`, `map(\|(a, b)\| ..)`, `filter(f)`, `filter(\|x\| !f(x))` |
//! | `b.flatten()`, `b.pluck("k")`, `b.str.upper()` | `flatten()`, `pluck("k")`, `map(\|s\| s.to_uppercase())` |
//! | `b.fold(f, g, initial=0)`, `b.reduction(f, g)` | `fold(0, f, g)`, `reduction(f, g)` |
//! | `b.foldby(key, f, 0, g, 0)`, `b.groupby(key)` | `fold_by(key, 0, f, g)`, `group_by(key)` |
//! | `b.accumulate(f, initial=0)` | `accumulate(0, f)` |
//! | `b.to_delayed()`, `db.from_delayed(calls)` | `to_calls()`, `engine.bag().from_calls(calls)` |
//! | `b.to_textfiles("dir/*.txt")` | `write_text("dir").await` |

mod build;
mod chain;
mod number;
mod part;
mod reduce;
mod run;
mod shuffle;
mod text;

use std::fmt;

use trefoil_core::Engine;

pub use build::{BagBuilder, BagSession};
pub use number::BagNumber;
pub use part::Items;
pub use text::TextOptions;

use part::Part;

/// A lazy, partitioned collection of values; see the [module](self).
///
/// Cheap to clone; nothing runs before [`compute`](Bag::compute), [`persist`](Bag::persist),
/// [`iter`](Bag::iter), a write, or computing a [`Call`](trefoil_core::Call) that a reduction gave.
#[must_use = "a bag is lazy: it does nothing until it is computed"]
pub struct Bag<T> {
    engine: Engine,
    /// Never empty.
    parts: Vec<Part<T>>,
}

impl<T> Clone for Bag<T> {
    fn clone(&self) -> Self {
        Bag { engine: self.engine.clone(), parts: self.parts.clone() }
    }
}

impl<T> Bag<T> {
    fn new(engine: Engine, parts: Vec<Part<T>>) -> Self {
        Bag { engine, parts }
    }

    /// The engine that will run it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The number of partitions, at least one. Dask: `b.npartitions`.
    pub fn partition_count(&self) -> usize {
        self.parts.len()
    }
}

impl<T> fmt::Debug for Bag<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bag<{}>({} partitions)", std::any::type_name::<T>(), self.parts.len())
    }
}
