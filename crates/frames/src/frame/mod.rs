//! Data frames: the verbs of pandas over lazy plans that the optimiser of SQL sees through.
//!
//! A [`trefoil_plan::DataFrame`] comes from a session (`read_csv`, `sql`, `table`, ...);
//! [`FrameMethods`] and [`FrameReports`] give it its verbs, [`col`] and [`ExprMethods`] make expressions.
//! Verbs take the frame by reference and give a new one. Each checks names and types when it is called.
//!
//! ```
//! use trefoil_frames::{frame::*, seed};
//!
//! # let session = trefoil_plan::Session::local()?;
//! # session.block_on(async {
//! let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?;
//! diamonds.group_by([col("carat").ceil().alias("carats")]).mean(["price"])?.sort(["carats"])?.show().await?;
//! let features = diamonds.rename([("price", "label")])?.categorize().await?.get_dummies()?;
//! let (train, valid) = features.train_test_split(0.2, seed(7))?;
//! assert_eq!((train.count().await?, valid.count().await?), (43_152, 10_788));
//! # Ok::<(), trefoil_plan::Error>(()) })?;
//! # Ok::<(), trefoil_plan::Error>(())
//! ```
//!
//! Verbs that look at neighbouring rows (`shift`, `cumsum`, `rolling`, ...) need an order: that of the last
//! `sort`, see [`OrderedExpr`].
//!
//! Where frames differ from pandas:
//!
//! | here | pandas | to get theirs |
//! |---|---|---|
//! | rows have no index and no order but that of `sort` | index, order of the file | a column to sort by |
//! | null and `NaN` are two things: `is_null`, `is_nan` | one | `col.fill_nan(lit(ScalarValue::Null))` |
//! | null is a group key and is counted by `value_counts` | dropped | `dropna_of` first |
//! | null keys do not match in `join` | they do | `fillna_of` first |
//! | `sum` of no values is null | 0 | `fill_null(lit(0))` |
//! | comparisons with null are null, `filter` drops them | false | the same rows |
//! | `round` sends halves away from zero | to even | |

mod aggregates;
mod apply;
mod arrays;
mod asof;
mod beside;
mod build;
mod cat;
mod categories;
mod check;
mod columns;
mod cut;
mod dates;
mod decode;
mod describe;
mod ewm;
mod expr;
mod finite;
mod floor_div;
mod graph;
mod group;
mod interpolate;
mod join;
mod layout;
mod methods;
mod moments;
mod namespaces;
mod order;
mod partitions;
mod pivot;
mod reports;
mod resample;
mod reshape;
mod rows;
mod sample;
mod span;
mod summary;
mod text;
mod together;
mod top;
mod types;
mod windows;

pub use aggregates::agg_with;
pub use arrays::{ColumnValue, column_view};
pub use asof::{AsOf, Nearest};
pub use build::{BagFrame, FrameSession, IntoColumn};
pub use cat::CatExpr;
pub use categories::{CATEGORIES, Dummies};
pub use cut::Cut;
pub use ewm::{Ewm, EwmExpr};
pub use expr::{
    DtExpr, Expr, ExprMethods, IntoExpr, ListExpr, SortKey, StrExpr, StructExpr, When, asc, col, desc, lit,
    source_file, when,
};
pub use group::{Aggregation, GroupBy};
pub use join::{Join, JoinKind};
pub use layout::{Overlap, Partitions};
pub use methods::FrameMethods;
pub use pivot::Pivot;
pub use reports::FrameReports;
pub use resample::Resample;
pub use sample::Draw;
pub use span::Span;
pub use together::{compute_all, share_all};
pub use trefoil_plan::Interpolation;
pub use windows::{OrderedExpr, RankMethod, Rolling};

use trefoil_plan::{DataFrame, Result};

/// Stacks frames: columns are matched by name, in the order they are first seen; a column that a frame
/// lacks is null there. Numbers of different types meet in the wider one. pandas: `pd.concat(frames)`.
///
/// # Errors
/// No frames, or columns of one name with types that never mix (numbers and text).
pub fn concat<'a>(frames: impl IntoIterator<Item = &'a DataFrame>) -> Result<DataFrame> {
    let frames: Vec<&DataFrame> = frames.into_iter().collect();
    join::concat("concat", &frames)
}

mod sealed {
    use trefoil_plan::{DataFrame, Session};

    /// Keeps the expression traits to the types of this crate.
    pub trait Sealed {}

    /// Keeps the frame traits to [`DataFrame`].
    pub trait AsFrame: Sync {
        #[doc(hidden)]
        fn as_frame(&self) -> &DataFrame;
    }

    /// Keeps the constructors to [`Session`].
    pub trait AsSession {
        #[doc(hidden)]
        fn as_session(&self) -> &Session;
    }

    impl AsSession for Session {
        fn as_session(&self) -> &Session {
            self
        }
    }

    impl AsFrame for DataFrame {
        fn as_frame(&self) -> &DataFrame {
            self
        }
    }
}
