//! Everything a program usually needs: `use trefoil::prelude::*;`.
//!
//! [`Result`](crate::Result) is not here, so that it does not shadow the standard one: write
//! `trefoil::Result`.

pub use crate::{Call, Dataset, Engine, ErrorKind, Partition, Ref};

#[cfg(any(feature = "sql", feature = "frames"))]
pub use crate::{CsvOptions, DataFrame, Session};

#[cfg(feature = "sql")]
pub use crate::SqlSession;

#[cfg(feature = "tasks")]
pub use crate::{ActorHandle, ActorSession, actor, task};

#[cfg(feature = "arrays")]
pub use crate::array::{Array, ArraySession, auto, chunks};
#[cfg(feature = "arrays")]
pub use crate::bag::{Bag, BagSession};
#[cfg(feature = "arrays")]
pub use crate::delayed::DelayedSession;
#[cfg(feature = "frames")]
pub use crate::frame::{
    AsOf, BagFrame, Cut, Ewm, ExprMethods, FrameMethods, FrameReports, FrameSession, Join, JoinKind,
    OrderedExpr, RankMethod, asc, col, desc, lit, when,
};
#[cfg(feature = "arrays")]
pub use crate::seed;
