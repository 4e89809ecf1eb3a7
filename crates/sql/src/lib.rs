//! The SQL leaf of trefoil: query text to lazy frames.
//!
//! [`SqlSession::sql`] takes one statement. A query gives a lazy [`DataFrame`]; `CREATE VIEW`, `CREATE
//! EXTERNAL TABLE`, `INSERT`, `COPY`, `SET` and the like are carried out at once; `SHOW TABLES`,
//! `DESCRIBE t`, `EXPLAIN [ANALYZE]` give their answer as a frame.
//!
//! Files are tables: ``SELECT * FROM parquet.`data/flights` `` reads a file, a directory or a pattern, with
//! `parquet`, `csv`, `json` and `arrow` as formats.
//!
//! # What the text means today
//!
//! Syntax and meaning are those of Spark 4 in ANSI mode: back-ticks around names, single or double quotes
//! around strings, `7 / 2` is 3.5, `1.5` is a decimal, overflow and bad casts are errors with Spark's
//! condition and SQLSTATE (`try_add`, `try_cast` and their kin give null instead), nulls are the least
//! values, names are found in upper or lower case. `Session::builder().dialect(Dialect::DataFusion)` gives
//! DataFusion's own SQL.
//!
//! A clause is honoured or refused with an error that names it, never parsed and ignored. Refused are
//! `VERSION AS OF` and `TIMESTAMP AS OF` of tables that are not Delta's, most optimizer hints, `FOR UPDATE`, and whatever
//! else DataFusion would pass over.
//!
//! ```
//! use trefoil_plan::Session;
//! use trefoil_sql::SqlSession;
//!
//! let session = Session::local()?;
//! session.block_on(async {
//!     let query = "SELECT cut, count(*) AS n FROM csv.`../../examples/data/diamonds.csv`
//!                  GROUP BY cut ORDER BY n DESC";
//!     let cuts = session.sql(query).await?;
//!     assert_eq!(cuts.columns(), ["cut", "n"]);
//!     assert_eq!(cuts.count().await?, 5);
//!
//!     let slip = session.sql("SELECT prise FROM csv.`../../examples/data/diamonds.csv`").await;
//!     assert!(slip.is_err_and(|error| error.to_string().contains("did you mean `price`?")));
//!     Ok::<(), trefoil_plan::Error>(())
//! })?;
//! # Ok::<(), trefoil_plan::Error>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod aggregates;
mod alter;
mod clauses;
mod condition;
mod databases;
mod describe;
mod dialect;
mod extend;
mod functions;
mod generate;
mod group_all;
mod group_sets;
mod hints;
mod inline;
mod install;
mod interval;
mod lateral;
mod lengths;
mod map_keys;
mod membership;
mod named_windows;
mod names;
mod native;
mod outside;
mod parameters;
mod place;
mod planner;
mod reference;
mod refuse;
mod repair;
mod rewrite;
mod sample;
mod session;
mod sets;
mod settings;
pub mod spark_format;
mod split;
mod stars;
mod statements;
mod tables;
mod tokens;
mod travel;
mod using;
mod value;
mod variables;
mod zone;

pub use extend::{Aggregate, AsyncScalarFn, ScalarFn, SqlArgument, SqlReturn, SqlValue, WindowFn};
pub use parameters::{Parameter, Parameters};
pub use reference::function_reference;
pub use session::SqlSession;
pub use split::{is_complete, split_statements};
pub use trefoil_plan::{DataFrame, Dialect};

/// The name that SQL has for a type of Arrow: `bigint`, `array<string>`.
///
/// ```
/// use trefoil_plan::arrow::datatypes::DataType;
///
/// assert_eq!(trefoil_sql::sql_type_name(&DataType::Int64), "bigint");
/// ```
pub fn sql_type_name(data_type: &trefoil_plan::arrow::datatypes::DataType) -> String {
    value::types::name(data_type)
}
