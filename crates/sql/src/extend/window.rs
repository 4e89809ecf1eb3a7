//! Closures as window functions: a closure sees all rows of a partition of the window, in its order, and gives
//! a value for each.

use super::{Closure, SqlArgument, SqlReturn, SqlValue, Windowed, casts, guarded};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, WindowUDF, WindowUDFImpl};
use std::error::Error as StdError;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind};

/// A closure that can be a window function; `Marker` is its signature and is always inferred.
///
/// It takes up to three columns as slices of `Option`s and gives a `Vec` of as many values as there are rows.
pub trait WindowFn<Marker>: Send + Sync + 'static {
    /// The types of the arguments.
    fn arguments() -> Vec<DataType>;

    /// The type of the result.
    fn result() -> DataType;

    /// The results for the rows of a partition.
    ///
    /// # Errors
    /// The first error of the closure, or one that says how many values it gave.
    fn call(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, Box<dyn StdError + Send + Sync>>;
}

macro_rules! closures {
    ($($argument:ident $index:tt),*) => {
        impl<F, R, $($argument),*> WindowFn<fn($($argument),*) -> R> for F
        where
            $($argument: for<'a> SqlArgument<Item<'a> = $argument> + 'static,)*
            R: SqlReturn + 'static,
            F: Fn($(&[Option<$argument>]),*) -> Vec<R> + Send + Sync + 'static,
        {
            fn arguments() -> Vec<DataType> {
                vec![$($argument::data_type()),*]
            }

            fn result() -> DataType {
                R::Value::data_type()
            }

            #[allow(non_snake_case)]
            fn call(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, Box<dyn StdError + Send + Sync>> {
                $(let $argument: Vec<Option<$argument>> =
                    (0..rows).map(|row| $argument::get(&columns[$index], row)).collect();)*
                let made = self($(&$argument),*);
                if made.len() != rows {
                    let message = format!("the function gave {} values for {rows} rows", made.len());
                    return Err(Box::new(Error::new(ErrorKind::InvalidArgument, "window function", message)));
                }
                let values = made.into_iter().map(SqlReturn::outcome).collect::<Result<Vec<_>, _>>()?;
                Ok(R::Value::column(values))
            }
        }
    };
}

closures!(A 0);
closures!(A 0, B 1);
closures!(A 0, B 1, C 2);

impl<M: 'static, F: WindowFn<M>> WindowUDFImpl for Closure<F, Windowed, M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> PlanResult<Vec<DataType>> {
        casts(&self.name, given, F::arguments())
    }

    fn field(&self, args: WindowUDFFieldArgs) -> PlanResult<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), F::result(), true)))
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> PlanResult<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(self.clone()))
    }
}

impl<M: 'static, F: WindowFn<M>> PartitionEvaluator for Closure<F, Windowed, M> {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> PlanResult<ArrayRef> {
        guarded(&self.name, || self.f.call(values, num_rows))
    }
}

/// A window function of a closure.
pub(crate) fn window<M: 'static, F: WindowFn<M>>(name: &str, f: F) -> WindowUDF {
    let signature = Closure::<F, Windowed, M>::own_casts();
    WindowUDF::new_from_impl(Closure::<F, Windowed, M>::new(name, f, signature))
}
