//! Async closures as scalar functions: each row's value is a future, and some of them run at a time.
//!
//! A task is such a function: `session.register_async_fn("price", move |id: i64| engine.spawn(price(id)))`, for a
//! `Ref` is a future.

use super::{Closure, Later, SqlArgument, SqlReturn, SqlValue, failed};
use async_trait::async_trait;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use trefoil_core::Error;

/// How many rows' futures run at a time.
const AT_ONCE: usize = 64;

/// The value of a row, while it is made.
type Row<V> = BoxFuture<'static, Result<Option<V>, Box<dyn StdError + Send + Sync>>>;

/// An async closure that can be a scalar function; `Marker` is its signature and is always inferred.
///
/// It takes up to three owned values (`i64`, `String`, `Option<f64>` and so on), and gives a future of what a
/// [`ScalarFn`](super::ScalarFn) gives.
pub trait AsyncScalarFn<Marker>: Send + Sync + 'static {
    /// The value of the result.
    type Value: SqlValue;

    /// The types of the arguments.
    fn arguments() -> Vec<DataType>;

    /// The value of a row.
    fn row(&self, columns: &[ArrayRef], row: usize) -> Row<Self::Value>;
}

macro_rules! closures {
    ($($argument:ident $index:tt),*) => {
        impl<F, Made, R, $($argument),*> AsyncScalarFn<fn($($argument),*) -> (Made, R)> for F
        where
            $($argument: for<'a> SqlArgument<Item<'a> = $argument> + 'static,)*
            R: SqlReturn + 'static,
            Made: Future<Output = R> + Send + 'static,
            F: Fn($($argument),*) -> Made + Send + Sync + 'static,
        {
            type Value = R::Value;

            fn arguments() -> Vec<DataType> {
                vec![$($argument::data_type()),*]
            }

            #[allow(non_snake_case)]
            fn row(&self, columns: &[ArrayRef], row: usize) -> Row<R::Value> {
                $(let Some($argument) = $argument::get(&columns[$index], row) else {
                    return futures::future::ready(Ok(None)).boxed();
                };)*
                self($($argument),*).map(SqlReturn::outcome).boxed()
            }
        }
    };
}

closures!(A 0);
closures!(A 0, B 1);
closures!(A 0, B 1, C 2);

impl<M: 'static, F: AsyncScalarFn<M>> ScalarUDFImpl for Closure<F, Later, M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(F::Value::data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        Err(DataFusionError::NotImplemented(format!("the async function `{}` in this place", self.name)))
    }
}

#[async_trait]
impl<M: 'static, F: AsyncScalarFn<M>> AsyncScalarUDFImpl for Closure<F, Later, M> {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.iter().map(|a| a.to_array(rows)).collect::<PlanResult<Vec<_>>>()?;
        let made = futures::stream::iter(0..rows)
            .map(|row| {
                let made = std::panic::catch_unwind(AssertUnwindSafe(|| self.f.row(&columns, row)));
                let name = self.name.clone();
                async move {
                    let panicked = |payload: Box<dyn std::any::Any + Send>| {
                        let error = Error::panicked(format!("function `{name}`"), payload.as_ref());
                        DataFusionError::External(Box::new(error))
                    };
                    let made = AssertUnwindSafe(made.map_err(panicked)?).catch_unwind().await;
                    made.map_err(panicked)?.map_err(|error| failed(&name, error))
                }
            })
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(ColumnarValue::Array(F::Value::column(made)))
    }
}

/// A scalar function of an async closure.
pub(crate) fn later<M: 'static, F: AsyncScalarFn<M>>(name: &str, f: F) -> ScalarUDF {
    // DataFusion does not ask an async function for casts of its own.
    let signature = Signature::exact(F::arguments(), Volatility::Volatile);
    AsyncScalarUDF::new(Arc::new(Closure::<F, Later, M>::new(name, f, signature))).into_scalar_udf()
}
