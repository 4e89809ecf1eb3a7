//! What an array may hold: `f64`, `f32`, `i64`, `i32`, `bool`.
//!
//! Three sealed traits, each a promise: [`Element`] can be stored, moved and compared,
//! [`Numeric`] can be added and multiplied, [`Float`] has a square root. Integer arithmetic
//! wraps on overflow, as NumPy's does, so that no input can make a task panic.

use std::fmt::{Debug, Display};

use super::interp::{File, Frame};

mod sealed {
    pub trait Sealed {}
}

/// Any scalar, to convert between element types with the meaning of `as`.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Scalar {
    F64(f64),
    F32(f32),
    I64(i64),
    I32(i32),
    Bool(bool),
}

/// A type that arrays can hold. Sealed: `f64`, `f32`, `i64`, `i32`, `bool`.
pub trait Element:
    sealed::Sealed + Copy + Default + PartialEq + PartialOrd + Debug + Display + Send + Sync + 'static
{
    /// The name of the type, as error messages print it.
    const NAME: &'static str;
    #[doc(hidden)]
    const INDEX: usize;
    #[doc(hidden)]
    fn to_scalar(self) -> Scalar;
    #[doc(hidden)]
    fn from_scalar(scalar: Scalar) -> Self;
    #[doc(hidden)]
    fn file<'f, 'a>(frame: &'f Frame<'a>) -> &'f File<'a, Self>;
    #[doc(hidden)]
    fn file_mut<'f, 'a>(frame: &'f mut Frame<'a>) -> &'f mut File<'a, Self>;
    /// Whether the value is not a number; `false` for types that have no such value.
    #[inline]
    fn is_nan(self) -> bool {
        false
    }
}

/// An element with arithmetic: `f64`, `f32`, `i64`, `i32`. Integers wrap on overflow.
pub trait Numeric: Element {
    /// The sum of nothing.
    const ZERO: Self;
    /// The product of nothing.
    const ONE: Self;
    #[doc(hidden)]
    fn plus(self, other: Self) -> Self;
    #[doc(hidden)]
    fn minus(self, other: Self) -> Self;
    #[doc(hidden)]
    fn times(self, other: Self) -> Self;
    #[doc(hidden)]
    fn negated(self) -> Self;
    #[doc(hidden)]
    fn magnitude(self) -> Self;
    #[doc(hidden)]
    fn power(self, exponent: i32) -> Self;
    #[doc(hidden)]
    fn matmul_add(a: Matrix<'_, Self>, b: Matrix<'_, Self>, out: &mut [Self]);
    /// The larger of two; not a number wins, so that it is never hidden.
    #[inline]
    fn larger(self, other: Self) -> Self {
        if self.is_nan() || self >= other { self } else { other }
    }
    /// The smaller of two; not a number wins, so that it is never hidden.
    #[inline]
    fn smaller(self, other: Self) -> Self {
        if self.is_nan() || self <= other { self } else { other }
    }
    #[doc(hidden)]
    #[inline]
    fn from_f64(value: f64) -> Self {
        Self::from_scalar(Scalar::F64(value))
    }
    #[doc(hidden)]
    #[inline]
    fn from_i64(value: i64) -> Self {
        Self::from_scalar(Scalar::I64(value))
    }
    #[doc(hidden)]
    #[inline]
    fn as_f64(self) -> f64 {
        f64::from_scalar(self.to_scalar())
    }
}

/// A real floating-point element: `f64`, `f32`.
pub trait Float: Numeric + faer::traits::RealField {
    #[doc(hidden)]
    fn quotient(self, other: Self) -> Self;
    #[doc(hidden)]
    fn unary(self, function: Function) -> Self;
    #[doc(hidden)]
    fn powf_(self, exponent: Self) -> Self;
    #[doc(hidden)]
    fn finite(self) -> bool;
}

/// The unary functions of floats that arrays offer.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Sqrt,
    Exp,
    Ln,
    Sin,
    Cos,
    Tanh,
    Floor,
    Ceil,
}

/// A borrowed matrix: `rows x cols`, in row order if `row_major`, else in column order.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    pub data: &'a [T],
    pub rows: usize,
    pub cols: usize,
    pub row_major: bool,
}

impl<T: Copy> Matrix<'_, T> {
    #[inline]
    fn at(&self, row: usize, col: usize) -> T {
        self.data[if self.row_major { row * self.cols + col } else { col * self.rows + row }]
    }
}

macro_rules! element {
    ($type:ty, $name:literal, $index:literal, $variant:ident, $field:ident, $from:expr, $nan:expr) => {
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const NAME: &'static str = $name;
            const INDEX: usize = $index;
            #[inline]
            fn to_scalar(self) -> Scalar {
                Scalar::$variant(self)
            }
            #[inline]
            fn from_scalar(scalar: Scalar) -> Self {
                $from(scalar)
            }
            #[inline]
            fn file<'f, 'a>(frame: &'f Frame<'a>) -> &'f File<'a, Self> {
                &frame.$field
            }
            #[inline]
            fn file_mut<'f, 'a>(frame: &'f mut Frame<'a>) -> &'f mut File<'a, Self> {
                &mut frame.$field
            }
            #[inline]
            fn is_nan(self) -> bool {
                $nan(self)
            }
        }
    };
}

macro_rules! convert {
    ($type:ty) => {
        |scalar| match scalar {
            Scalar::F64(v) => v as $type,
            Scalar::F32(v) => v as $type,
            Scalar::I64(v) => v as $type,
            Scalar::I32(v) => v as $type,
            Scalar::Bool(v) => u8::from(v) as $type,
        }
    };
}

element!(f64, "f64", 0, F64, f64, convert!(f64), |v: f64| v.is_nan());
element!(f32, "f32", 1, F32, f32, convert!(f32), |v: f32| v.is_nan());
element!(i64, "i64", 2, I64, i64, convert!(i64), |_| false);
element!(i32, "i32", 3, I32, i32, convert!(i32), |_| false);
element!(bool, "bool", 4, Bool, bool, truth, |_| false);

fn truth(scalar: Scalar) -> bool {
    match scalar {
        Scalar::F64(v) => v != 0.0,
        Scalar::F32(v) => v != 0.0,
        Scalar::I64(v) => v != 0,
        Scalar::I32(v) => v != 0,
        Scalar::Bool(v) => v,
    }
}

macro_rules! float {
    ($type:ident) => {
        impl Numeric for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline]
            fn plus(self, other: Self) -> Self {
                self + other
            }
            #[inline]
            fn minus(self, other: Self) -> Self {
                self - other
            }
            #[inline]
            fn times(self, other: Self) -> Self {
                self * other
            }
            #[inline]
            fn negated(self) -> Self {
                -self
            }
            #[inline]
            fn magnitude(self) -> Self {
                self.abs()
            }
            #[inline]
            fn power(self, exponent: i32) -> Self {
                self.powi(exponent)
            }
            fn matmul_add(a: Matrix<'_, Self>, b: Matrix<'_, Self>, out: &mut [Self]) {
                super::kernels::matmul_add(a, b, out);
            }
        }
        impl Float for $type {
            #[inline]
            fn quotient(self, other: Self) -> Self {
                self / other
            }
            #[inline]
            fn unary(self, function: Function) -> Self {
                match function {
                    Function::Sqrt => self.sqrt(),
                    Function::Exp => self.exp(),
                    Function::Ln => self.ln(),
                    Function::Sin => self.sin(),
                    Function::Cos => self.cos(),
                    Function::Tanh => self.tanh(),
                    Function::Floor => self.floor(),
                    Function::Ceil => self.ceil(),
                }
            }
            #[inline]
            fn powf_(self, exponent: Self) -> Self {
                self.powf(exponent)
            }
            #[inline]
            fn finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}

float!(f64);
float!(f32);

macro_rules! integer {
    ($type:ty) => {
        impl Numeric for $type {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            #[inline]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline]
            fn negated(self) -> Self {
                self.wrapping_neg()
            }
            #[inline]
            fn magnitude(self) -> Self {
                self.wrapping_abs()
            }
            #[inline]
            fn power(self, exponent: i32) -> Self {
                // A negative power of an integer is 0 but for 1 and -1, as integer division has it.
                match u32::try_from(exponent) {
                    Ok(exponent) => self.wrapping_pow(exponent),
                    Err(_) if self == 1 => 1,
                    Err(_) if self == -1 => {
                        if exponent % 2 == 0 {
                            1
                        } else {
                            -1
                        }
                    }
                    Err(_) => 0,
                }
            }
            fn matmul_add(a: Matrix<'_, Self>, b: Matrix<'_, Self>, out: &mut [Self]) {
                for i in 0..a.rows {
                    for k in 0..a.cols {
                        let left = a.at(i, k);
                        let row = &mut out[i * b.cols..(i + 1) * b.cols];
                        for (j, cell) in row.iter_mut().enumerate() {
                            *cell = cell.wrapping_add(left.wrapping_mul(b.at(k, j)));
                        }
                    }
                }
            }
        }
    };
}

integer!(i64);
integer!(i32);
