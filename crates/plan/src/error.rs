//! How an error of DataFusion becomes an error of trefoil.

use crate::stem::{Error, ErrorKind};
use datafusion::error::DataFusionError;

/// Turns an error of DataFusion into one of trefoil, with `operation` as the operation that failed.
pub fn plan_error(error: DataFusionError, operation: &'static str) -> Error {
    Error::new(ErrorKind::Internal, operation, error.strip_backtrace())
}
