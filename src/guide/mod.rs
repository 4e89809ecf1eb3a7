//! The pages of `docs/`, as modules: read here, tested as doctests.
//!
//! Every Rust block of a page is compiled and run by `cargo test --doc`, and a failure is reported at the line of the
//! page. A new page needs a line here; `tests/tidy.rs` says so when it is missing.

/// The front page of the repository.
#[doc = include_str!("../../README.md")]
pub mod readme {}

/// Learning by doing: `docs/tutorials/`.
pub mod tutorials {
    #[doc = include_str!("../../docs/tutorials/01-quick-tour.md")]
    pub mod quick_tour {}

    #[doc = include_str!("../../docs/tutorials/tasks.md")]
    pub mod tasks {}

    #[doc = include_str!("../../docs/tutorials/actors.md")]
    pub mod actors {}

    #[doc = include_str!("../../docs/tutorials/observe.md")]
    pub mod observe {}

    #[doc = include_str!("../../docs/tutorials/frames.md")]
    pub mod frames {}

    #[doc = include_str!("../../docs/tutorials/sql.md")]
    pub mod sql {}

    #[doc = include_str!("../../docs/tutorials/shell.md")]
    pub mod shell {}

    #[doc = include_str!("../../docs/tutorials/stores.md")]
    pub mod stores {}

    #[doc = include_str!("../../docs/tutorials/flight.md")]
    pub mod flight {}
}

/// Lists made from the code: `docs/reference/`.
pub mod reference {
    #[doc = include_str!("../../docs/reference/sql-functions.md")]
    pub mod sql_functions {}
}

/// Their line, our line: `docs/coming-from/`.
pub mod coming_from {
    #[doc = include_str!("../../docs/coming-from/pandas.md")]
    pub mod pandas {}

    #[doc = include_str!("../../docs/coming-from/dask.md")]
    pub mod dask {}

    #[doc = include_str!("../../docs/coming-from/polars.md")]
    pub mod polars {}

    #[doc = include_str!("../../docs/coming-from/spark.md")]
    pub mod spark {}

    #[doc = include_str!("../../docs/coming-from/ray.md")]
    pub mod ray {}
}

/// Every name of Dask's frames, bags and delayed, and ours.
#[doc = include_str!("../../docs/coverage-frames.md")]
pub mod coverage_frames {}

/// Figures beside peers, with the commands that made them.
#[doc = include_str!("../../docs/benchmarks.md")]
pub mod benchmarks {}

/// Why things are as they are: `docs/design/`.
pub mod design {
    #[doc = include_str!("../../docs/design/engine.md")]
    pub mod engine {}

    #[doc = include_str!("../../docs/design/decisions.md")]
    pub mod decisions {}
}
