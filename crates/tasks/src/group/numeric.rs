//! Numbers that can be reduced, and the four ways to reduce them.

use half::f16;

mod sealed {
    pub trait Sealed {}
}

/// How the values of the ranks become one.
///
/// Whole numbers wrap around on overflow. Of floating-point numbers, a NaN on any rank gives NaN, for
/// minimum and maximum too. Values are combined in the order of ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reduce {
    /// The sum.
    Sum,
    /// The product.
    Product,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

impl Reduce {
    pub(super) fn name(self) -> &'static str {
        match self {
            Reduce::Sum => "sum",
            Reduce::Product => "product",
            Reduce::Min => "min",
            Reduce::Max => "max",
        }
    }

    /// Combines `values` into `into`, element by element.
    pub(super) fn fold<T: Numeric>(self, into: &mut [T], values: &[T]) {
        match self {
            Reduce::Sum => each(into, values, T::sum),
            Reduce::Product => each(into, values, T::product),
            Reduce::Min => each(into, values, T::least),
            Reduce::Max => each(into, values, T::greatest),
        }
    }
}

/// Generic in the function, so that the loop is compiled for each of them and can be vectorised.
fn each<T: Numeric>(into: &mut [T], values: &[T], combine: impl Fn(T, T) -> T) {
    for (into, value) in into.iter_mut().zip(values) {
        *into = combine(*into, *value);
    }
}

/// A number that ranks can reduce: whole numbers of 8 to 64 bits, `f16`, `f32`, `f64`.
pub trait Numeric: sealed::Sealed + Copy + PartialOrd + Send + Sync + 'static {
    /// The type's name in messages.
    const NAME: &'static str;

    #[doc(hidden)]
    fn sum(self, other: Self) -> Self;
    #[doc(hidden)]
    fn product(self, other: Self) -> Self;
    #[doc(hidden)]
    fn least(self, other: Self) -> Self;
    #[doc(hidden)]
    fn greatest(self, other: Self) -> Self;
}

macro_rules! whole {
    ($($type:ident)*) => {$(
        impl sealed::Sealed for $type {}

        impl Numeric for $type {
            const NAME: &'static str = stringify!($type);

            fn sum(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn product(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }

            fn least(self, other: Self) -> Self {
                self.min(other)
            }

            fn greatest(self, other: Self) -> Self {
                self.max(other)
            }
        }
    )*};
}

macro_rules! floating {
    ($($type:ident)*) => {$(
        impl sealed::Sealed for $type {}

        impl Numeric for $type {
            const NAME: &'static str = stringify!($type);

            fn sum(self, other: Self) -> Self {
                self + other
            }

            fn product(self, other: Self) -> Self {
                self * other
            }

            fn least(self, other: Self) -> Self {
                if self.is_nan() || self < other { self } else { other }
            }

            fn greatest(self, other: Self) -> Self {
                if self.is_nan() || self > other { self } else { other }
            }
        }
    )*};
}

whole!(u8 u16 u32 u64 i8 i16 i32 i64);
floating!(f16 f32 f64);
