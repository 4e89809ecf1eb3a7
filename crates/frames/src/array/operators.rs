//! The operators `+ - * /` and unary `-` on arrays, array first or scalar first.
//!
//! Operators cannot return an error, so a mismatch of shapes stays in the array they return
//! and is reported by the next method that can.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::element::{Element, Float, Numeric};
use super::lazy::Array;
use super::ops::Operand;

impl<T: Numeric> Neg for &Array<T> {
    type Output = Array<T>;
    fn neg(self) -> Array<T> {
        self.each(T::negated)
    }
}

impl<T: Numeric> Neg for Array<T> {
    type Output = Array<T>;
    fn neg(self) -> Array<T> {
        self.each(T::negated)
    }
}

/// The operator form: a mismatch is kept in the result.
fn operate<T: Element>(
    operation: &'static str,
    a: &Array<T>,
    b: impl Into<Operand<T>>,
    f: impl Fn(T, T) -> T + Copy + Send + Sync + 'static,
) -> Array<T> {
    a.with(operation, b, f).unwrap_or_else(|error| Array::failed(&a.engine, a.grid().clone(), error))
}

macro_rules! operator {
    ($trait:ident, $method:ident, $name:literal, $bound:ident, $f:ident) => {
        impl<T: $bound, R: Into<Operand<T>>> $trait<R> for &Array<T> {
            type Output = Array<T>;
            fn $method(self, other: R) -> Array<T> {
                operate($name, self, other, T::$f)
            }
        }
        impl<T: $bound, R: Into<Operand<T>>> $trait<R> for Array<T> {
            type Output = Array<T>;
            fn $method(self, other: R) -> Array<T> {
                operate($name, &self, other, T::$f)
            }
        }
    };
}

operator!(Add, add, "add", Numeric, plus);
operator!(Sub, sub, "subtract", Numeric, minus);
operator!(Mul, mul, "multiply", Numeric, times);
operator!(Div, div, "divide", Float, quotient);

macro_rules! scalar_first {
    ($type:ty: $($trait:ident $method:ident $f:ident),*) => {$(
        impl $trait<Array<$type>> for $type {
            type Output = Array<$type>;
            fn $method(self, other: Array<$type>) -> Array<$type> {
                other.each(move |value| self.$f(value))
            }
        }
        impl $trait<&Array<$type>> for $type {
            type Output = Array<$type>;
            fn $method(self, other: &Array<$type>) -> Array<$type> {
                other.each(move |value| self.$f(value))
            }
        }
    )*};
}

scalar_first!(f64: Add add plus, Sub sub minus, Mul mul times, Div div quotient);
scalar_first!(f32: Add add plus, Sub sub minus, Mul mul times, Div div quotient);
scalar_first!(i64: Add add plus, Sub sub minus, Mul mul times);
scalar_first!(i32: Add add plus, Sub sub minus, Mul mul times);
