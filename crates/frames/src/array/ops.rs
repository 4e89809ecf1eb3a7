//! Element-wise operations with broadcasting: functions, comparisons, selection.

use std::sync::Arc;

use trefoil_core::{Engine, Error, ErrorKind, Result};

use super::element::{Element, Float, Function, Numeric};
use super::expr::{self, Expr};
use super::grid::{Axis, Grid};
use super::lazy::{Array, Kind};

/// The other side of an element-wise operation: an array or a single value.
pub enum Operand<T: Element> {
    /// An array, broadcast to the common shape.
    Array(Array<T>),
    /// A value, used for every element.
    Value(T),
}

impl<T: Element> From<Array<T>> for Operand<T> {
    fn from(array: Array<T>) -> Self {
        Operand::Array(array)
    }
}

impl<T: Element> From<&Array<T>> for Operand<T> {
    fn from(array: &Array<T>) -> Self {
        Operand::Array(array.clone())
    }
}

impl<T: Element> From<T> for Operand<T> {
    fn from(value: T) -> Self {
        Operand::Value(value)
    }
}

impl<T: Element> Operand<T> {
    fn expr(&self) -> Arc<Expr<T>> {
        match self {
            Operand::Array(array) => array.expr(),
            Operand::Value(value) => expr::constant(*value),
        }
    }

    fn grid(&self) -> Option<&Grid> {
        match self {
            Operand::Array(array) => Some(array.grid()),
            Operand::Value(_) => None,
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Operand::Array(array) => array.check(),
            Operand::Value(_) => Ok(()),
        }
    }
}

/// The grid two operands are brought to: shapes aligned at their last axes, length 1
/// stretched, chunks cut wherever either is cut.
pub(crate) fn broadcast(operation: &'static str, a: &Grid, b: &Grid) -> Result<Grid> {
    if a == b {
        return Ok(a.clone());
    }
    let ndim = a.ndim().max(b.ndim());
    let mut axes = Vec::with_capacity(ndim);
    for axis in 0..ndim {
        let left = (axis + a.ndim()).checked_sub(ndim).map(|i| &a.axes[i]);
        let right = (axis + b.ndim()).checked_sub(ndim).map(|i| &b.axes[i]);
        axes.push(match (left, right) {
            (Some(left), Some(right)) if left.len() == right.len() => left.refine(right),
            (Some(left), Some(right)) if left.len() == 1 => right.clone(),
            (Some(left), Some(right)) if right.len() == 1 => left.clone(),
            (Some(axis), None) | (None, Some(axis)) => axis.clone(),
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    ErrorKind::ShapeMismatch,
                    operation,
                    format!("shapes {:?} and {:?} do not broadcast together", a.shape, b.shape),
                )
                .with_help("aligned from the last axis, lengths must be equal or one of them 1"));
            }
            (None, None) => Axis::whole(1),
        });
    }
    Ok(Grid::new(axes))
}

fn scalar_grid() -> Grid {
    Grid::new(Vec::new())
}

fn combine<S: Element, T: Element>(
    operation: &'static str,
    engine: &Engine,
    a: &Operand<S>,
    b: &Operand<S>,
    f: impl Fn(S, S) -> T + Copy + Send + Sync + 'static,
) -> Result<Array<T>> {
    a.check()?;
    b.check()?;
    let grid = match (a.grid(), b.grid()) {
        (Some(a), Some(b)) => broadcast(operation, a, b)?,
        (Some(grid), None) | (None, Some(grid)) => grid.clone(),
        (None, None) => scalar_grid(),
    };
    super::grid::check_size(operation, &grid.shape, size_of::<T>())?;
    Ok(Array::with_kind(engine, grid, Kind::Expr(expr::binary(a.expr(), b.expr(), f))))
}

impl<T: Element> Array<T> {
    pub(crate) fn with<U: Element>(
        &self,
        operation: &'static str,
        other: impl Into<Operand<T>>,
        f: impl Fn(T, T) -> U + Copy + Send + Sync + 'static,
    ) -> Result<Array<U>> {
        combine(operation, &self.engine, &Operand::Array(self.clone()), &other.into(), f)
    }

    /// The function of every element; keeps an error an operator left behind.
    pub(crate) fn each<U: Element>(&self, f: impl Fn(T) -> U + Copy + Send + Sync + 'static) -> Array<U> {
        let kind = match self.error() {
            Some(error) => Kind::Failed(error.clone()),
            None => Kind::Expr(expr::unary(self.expr(), f)),
        };
        Array::with_kind(&self.engine, self.grid().clone(), kind)
    }

    /// Every element converted as by `as`: towards zero and saturating from floats to
    /// integers, `true` is 1, anything but 0 is `true`.
    pub fn cast<U: Element>(&self) -> Array<U> {
        let kind = match self.error() {
            Some(error) => Kind::Failed(error.clone()),
            None => Kind::Expr(expr::cast(self.expr())),
        };
        Array::with_kind(&self.engine, self.grid().clone(), kind)
    }

    /// Where the elements are equal.
    ///
    /// # Errors
    /// Shapes that do not broadcast together (so for every comparison).
    pub fn equal(&self, other: impl Into<Operand<T>>) -> Result<Array<bool>> {
        self.with("equal", other, |a, b| a == b)
    }

    /// Where the elements differ.
    ///
    /// # Errors
    /// As [`equal`](Array::equal).
    pub fn not_equal(&self, other: impl Into<Operand<T>>) -> Result<Array<bool>> {
        self.with("not_equal", other, |a, b| a != b)
    }

    /// Where this is less than `other`.
    ///
    /// # Errors
    /// As [`equal`](Array::equal).
    pub fn less(&self, other: impl Into<Operand<T>>) -> Result<Array<bool>> {
        self.with("less", other, |a, b| a < b)
    }

    /// Where this is at most `other`.
    ///
    /// # Errors
    /// As [`equal`](Array::equal).
    pub fn less_equal(&self, other: impl Into<Operand<T>>) -> Result<Array<bool>> {
        self.with("less_equal", other, |a, b| a <= b)
    }

    /// Where this is greater than `other`.
    ///
    /// # Errors
    /// As [`equal`](Array::equal).
    pub fn greater(&self, other: impl Into<Operand<T>>) -> Result<Array<bool>> {
        self.with("greater", other, |a, b| a > b)
    }

    /// Where this is at least `other`.
    ///
    /// # Errors
    /// As [`equal`](Array::equal).
    pub fn greater_equal(&self, other: impl Into<Operand<T>>) -> Result<Array<bool>> {
        self.with("greater_equal", other, |a, b| a >= b)
    }
}

impl Array<bool> {
    /// Elements of `yes` where this is true, of `no` where it is not, all broadcast.
    ///
    /// # Errors
    /// Shapes that do not broadcast together.
    ///
    /// ```
    /// use trefoil_core::Engine;
    /// use trefoil_frames::array::{ArraySession, auto};
    /// let engine = Engine::new()?;
    /// let x = engine.array().arange(0, 4, 1, auto())?;
    /// let y = x.greater(1)?.where_(&x, 0)?;
    /// assert_eq!(engine.block_on(y.compute())?.into_raw_vec_and_offset().0, [0, 0, 2, 3]);
    /// # Ok::<(), trefoil_core::Error>(())
    /// ```
    pub fn where_<T: Element>(
        &self,
        yes: impl Into<Operand<T>>,
        no: impl Into<Operand<T>>,
    ) -> Result<Array<T>> {
        self.check()?;
        let (yes, no) = (yes.into(), no.into());
        yes.check()?;
        no.check()?;
        let mut grid = self.grid().clone();
        for other in [yes.grid(), no.grid()].into_iter().flatten() {
            grid = broadcast("where_", &grid, other)?;
        }
        let kind = Kind::Expr(expr::select(self.expr(), yes.expr(), no.expr()));
        Ok(Array::with_kind(&self.engine, grid, kind))
    }

    /// Where both are true.
    ///
    /// # Errors
    /// Shapes that do not broadcast together.
    pub fn and(&self, other: impl Into<Operand<bool>>) -> Result<Array<bool>> {
        self.with("and", other, |a, b| a & b)
    }

    /// Where either is true.
    ///
    /// # Errors
    /// Shapes that do not broadcast together.
    pub fn or(&self, other: impl Into<Operand<bool>>) -> Result<Array<bool>> {
        self.with("or", other, |a, b| a | b)
    }

    /// Where this is false.
    pub fn negate(&self) -> Array<bool> {
        self.each(|a| !a)
    }
}

impl<T: Numeric> Array<T> {
    /// The sum, element by element.
    ///
    /// # Errors
    /// Shapes that do not broadcast together (so for every `try_` method).
    pub fn try_add(&self, other: impl Into<Operand<T>>) -> Result<Array<T>> {
        self.with("add", other, T::plus)
    }

    /// The difference, element by element.
    ///
    /// # Errors
    /// As [`try_add`](Array::try_add).
    pub fn try_sub(&self, other: impl Into<Operand<T>>) -> Result<Array<T>> {
        self.with("subtract", other, T::minus)
    }

    /// The product, element by element.
    ///
    /// # Errors
    /// As [`try_add`](Array::try_add).
    pub fn try_mul(&self, other: impl Into<Operand<T>>) -> Result<Array<T>> {
        self.with("multiply", other, T::times)
    }

    /// The larger of the two elements; NaN if either is.
    ///
    /// # Errors
    /// As [`try_add`](Array::try_add).
    pub fn maximum(&self, other: impl Into<Operand<T>>) -> Result<Array<T>> {
        self.with("maximum", other, T::larger)
    }

    /// The smaller of the two elements; NaN if either is.
    ///
    /// # Errors
    /// As [`try_add`](Array::try_add).
    pub fn minimum(&self, other: impl Into<Operand<T>>) -> Result<Array<T>> {
        self.with("minimum", other, T::smaller)
    }

    /// The absolute value (the smallest integer stays as it is).
    pub fn abs(&self) -> Array<T> {
        self.each(T::magnitude)
    }

    /// Every element to an integer power; integers with a negative exponent give 0 but for
    /// 1 and -1.
    pub fn powi(&self, exponent: i32) -> Array<T> {
        self.each(move |value| value.power(exponent))
    }

    /// Every element brought into `low..=high`.
    pub fn clip(&self, low: T, high: T) -> Array<T> {
        self.each(move |value| value.larger(low).smaller(high))
    }
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident => $function:ident;)*) => {
        impl<T: Float> Array<T> {
            $($(#[$doc])* pub fn $name(&self) -> Array<T> {
                self.each(|value| value.unary(Function::$function))
            })*
        }
    };
}

functions! {
    /// The square root; NaN for negative elements.
    sqrt => Sqrt;
    /// e to the power of every element.
    exp => Exp;
    /// The natural logarithm; NaN for negative elements.
    ln => Ln;
    /// The sine (of radians).
    sin => Sin;
    /// The cosine (of radians).
    cos => Cos;
    /// The hyperbolic tangent.
    tanh => Tanh;
    /// The largest integer not above.
    floor => Floor;
    /// The smallest integer not below.
    ceil => Ceil;
}

impl<T: Float> Array<T> {
    /// The quotient, element by element.
    ///
    /// # Errors
    /// As [`try_add`](Array::try_add).
    pub fn try_div(&self, other: impl Into<Operand<T>>) -> Result<Array<T>> {
        self.with("divide", other, T::quotient)
    }

    /// Every element to the power of the other's.
    ///
    /// # Errors
    /// As [`try_add`](Array::try_add).
    pub fn powf(&self, exponent: impl Into<Operand<T>>) -> Result<Array<T>> {
        self.with("powf", exponent, T::powf_)
    }

    /// Where the elements are NaN.
    pub fn is_nan(&self) -> Array<bool> {
        self.each(|value| Element::is_nan(value))
    }
}
