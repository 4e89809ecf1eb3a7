//! Extremes, mean, variance: reductions whose partial results are more than one number.

use ndarray::{ArrayD, Axis, IxDyn, Zip};
use trefoil_core::{Error, ErrorKind, Result};

use super::element::{Float, Numeric};
use super::lazy::Array;
use super::reduce::{Axes, finish, fold_block, tree};

/// An extreme and where it is: in global positions along the reduced axis, or in C order.
#[derive(Clone)]
struct Extreme<T> {
    value: ArrayD<T>,
    at: ArrayD<i64>,
}

/// Count, mean and sum of squared differences from it, for each lane.
#[derive(Clone)]
struct Moments<T> {
    count: usize,
    mean: ArrayD<T>,
    m2: ArrayD<T>,
}

impl<T: Numeric> Array<T> {
    fn reject_empty(&self, operation: &'static str, axes: &Axes) -> Result<()> {
        self.check()?;
        let (list, _) = axes.resolve(operation, self.ndim())?;
        if list.iter().any(|&axis| self.shape()[axis] == 0) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                operation,
                format!("shape {:?} has no elements to choose from along the reduced axes", self.shape()),
            )
            .with_help("check is_empty() first"));
        }
        Ok(())
    }

    /// The smallest element along `axes`; NaN if there is one.
    ///
    /// # Errors
    /// An axis out of range, named twice or of length 0.
    pub fn min(&self, axes: impl Into<Axes>) -> Result<Array<T>> {
        let axes = axes.into();
        self.reject_empty("min", &axes)?;
        self.fold("min", axes, T::from_f64(f64::INFINITY), T::smaller)
    }

    /// The largest element along `axes`; NaN if there is one.
    ///
    /// # Errors
    /// As [`min`](Array::min).
    pub fn max(&self, axes: impl Into<Axes>) -> Result<Array<T>> {
        let axes = axes.into();
        self.reject_empty("max", &axes)?;
        self.fold("max", axes, T::from_f64(f64::NEG_INFINITY), T::larger)
    }

    /// Where the largest element is: along one axis, or, for all axes, in C order. The first
    /// of equals; the first NaN if there is one.
    ///
    /// # Errors
    /// As [`min`](Array::min), and several but not all axes.
    pub fn argmax(&self, axes: impl Into<Axes>) -> Result<Array<i64>> {
        self.position("argmax", axes.into(), |new, old| new > old)
    }

    /// Where the smallest element is; see [`argmax`](Array::argmax).
    ///
    /// # Errors
    /// As [`argmax`](Array::argmax).
    pub fn argmin(&self, axes: impl Into<Axes>) -> Result<Array<i64>> {
        self.position("argmin", axes.into(), |new, old| new < old)
    }

    fn position(&self, name: &'static str, axes: Axes, before: fn(T, T) -> bool) -> Result<Array<i64>> {
        self.reject_empty(name, &axes)?;
        let (list, keep) = axes.resolve(name, self.ndim())?;
        let all = list.len() == self.ndim();
        if list.len() > 1 && !all {
            return Err(Error::new(
                ErrorKind::Unsupported,
                name,
                format!("axes {list:?} of shape {:?}: a position is along one axis or all", self.shape()),
            )
            .with_help("give one axis, or `..` for all"));
        }
        let full = self.shape().to_vec();
        let reduced = list.clone();
        let better = move |value: T, at: i64, best: T, best_at: i64| match (value.is_nan(), best.is_nan()) {
            (true, false) => true,
            (false, true) => false,
            (true, true) => at < best_at,
            (false, false) => before(value, best) || (value == best && at < best_at),
        };
        let partials = self.partials(name, move |block, start| {
            Ok(match reduced.as_slice() {
                [axis] if !all => along(block, *axis, start[*axis], better),
                _ => anywhere(block, start, &full, better),
            })
        })?;
        let calls = tree(name, self.grid(), &list, &partials, move |parts| {
            let mut best = parts[0].clone();
            for part in &parts[1..] {
                Zip::from(&mut best.value).and(&mut best.at).and(&part.value).and(&part.at).for_each(
                    |best, best_at, &value, &at| {
                        if better(value, at, *best, *best_at) {
                            (*best, *best_at) = (value, at);
                        }
                    },
                );
            }
            Ok(best)
        });
        Ok(finish(name, &self.engine, self.grid(), &list, keep, calls, |best: &Extreme<T>| best.at.clone()))
    }
}

/// The best of each lane along `axis`, whose first element is number `first` of its axis.
fn along<T: Numeric>(
    block: &ArrayD<T>,
    axis: usize,
    first: usize,
    better: impl Fn(T, i64, T, i64) -> bool,
) -> Extreme<T> {
    let mut slices = block.axis_chunks_iter(Axis(axis), 1);
    let mut shape = block.shape().to_vec();
    shape[axis] = 1;
    let value = slices.next().map_or_else(|| ArrayD::from_elem(IxDyn(&shape), T::ZERO), |v| v.to_owned());
    let mut best = Extreme { value, at: ArrayD::from_elem(IxDyn(&shape), first as i64) };
    for (step, slice) in slices.enumerate() {
        let at = (first + step + 1) as i64;
        Zip::from(&mut best.value).and(&mut best.at).and(&slice).for_each(|best, best_at, &value| {
            if better(value, at, *best, *best_at) {
                (*best, *best_at) = (value, at);
            }
        });
    }
    best
}

/// The best of a whole block that starts at `start` of an array of shape `full`.
fn anywhere<T: Numeric>(
    block: &ArrayD<T>,
    start: &[usize],
    full: &[usize],
    better: impl Fn(T, i64, T, i64) -> bool,
) -> Extreme<T> {
    let ones = vec![1; block.ndim()];
    let row = block.shape().last().copied().unwrap_or(1);
    let mut best: Option<(T, i64)> = None;
    let mut values = block.iter();
    let mut index = vec![0; block.ndim()];
    for _ in 0..block.len() / row.max(1) {
        let first = start.iter().zip(&index).zip(full).fold(0, |at, ((s, i), len)| at * len + s + i);
        for (step, &value) in values.by_ref().take(row).enumerate() {
            let at = (first + step) as i64;
            if best.is_none_or(|(old, old_at)| better(value, at, old, old_at)) {
                best = Some((value, at));
            }
        }
        for axis in (0..block.ndim().saturating_sub(1)).rev() {
            index[axis] += 1;
            if index[axis] < block.shape()[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    let (value, at) = best.unwrap_or((T::ZERO, 0));
    Extreme { value: ArrayD::from_elem(IxDyn(&ones), value), at: ArrayD::from_elem(IxDyn(&ones), at) }
}

impl<T: Float> Array<T> {
    /// The mean along `axes`; of nothing, NaN.
    ///
    /// # Errors
    /// An axis out of range or named twice.
    pub fn mean(&self, axes: impl Into<Axes>) -> Result<Array<T>> {
        let axes = axes.into();
        self.check()?;
        let (list, _) = axes.resolve("mean", self.ndim())?;
        let count: usize = list.iter().map(|&axis| self.shape()[axis]).product();
        let count = T::from_i64(count as i64);
        Ok(self.fold("mean", axes, T::ZERO, T::plus)?.each(move |sum| sum.quotient(count)))
    }

    /// The variance along `axes`: the mean squared difference from the mean.
    ///
    /// # Errors
    /// As [`mean`](Array::mean).
    pub fn var(&self, axes: impl Into<Axes>) -> Result<Array<T>> {
        self.var_with(axes, 0)
    }

    /// The standard deviation along `axes`: the square root of [`var`](Array::var).
    ///
    /// # Errors
    /// As [`mean`](Array::mean).
    pub fn std(&self, axes: impl Into<Axes>) -> Result<Array<T>> {
        self.std_with(axes, 0)
    }

    /// The standard deviation with divisor `n - ddof`; 1 gives the sample's.
    ///
    /// # Errors
    /// As [`mean`](Array::mean).
    pub fn std_with(&self, axes: impl Into<Axes>, ddof: usize) -> Result<Array<T>> {
        Ok(self.var_with(axes, ddof)?.sqrt())
    }

    /// The variance with divisor `n - ddof`; NaN if that is not positive.
    ///
    /// Chunks are combined as in Chan, Golub, LeVeque, "Updating formulae and a pairwise
    /// algorithm for computing sample variances", 1979.
    ///
    /// # Errors
    /// As [`mean`](Array::mean).
    pub fn var_with(&self, axes: impl Into<Axes>, ddof: usize) -> Result<Array<T>> {
        self.check()?;
        let (list, keep) = axes.into().resolve("var", self.ndim())?;
        let reduced = list.clone();
        let partials = self.partials("var", move |block, _| {
            let count: usize = reduced.iter().map(|&axis| block.shape()[axis]).product();
            let n = T::from_i64(count.max(1) as i64);
            let mean = fold_block(block, &reduced, T::ZERO, T::plus).mapv_into(|sum| sum.quotient(n));
            let mut squares = block.clone();
            if let Some(mean) = mean.broadcast(block.raw_dim()) {
                squares.zip_mut_with(&mean, |value, &mean| {
                    let difference = value.minus(mean);
                    *value = difference.times(difference);
                });
            }
            let m2 = fold_block(&squares, &reduced, T::ZERO, T::plus);
            Ok(Moments { count, mean, m2 })
        })?;
        let calls = tree("var", self.grid(), &list, &partials, |parts| {
            Ok(parts[1..].iter().fold(parts[0].clone(), |sum, part| merge(sum, part)))
        });
        Ok(finish("var", &self.engine, self.grid(), &list, keep, calls, move |moments: &Moments<T>| {
            let divisor = moments.count as f64 - ddof as f64;
            let divisor = T::from_f64(if divisor > 0.0 { divisor } else { f64::NAN });
            moments.m2.mapv(|m2| m2.quotient(divisor))
        }))
    }

    /// The Euclidean (Frobenius) norm of all elements, as an array without axes.
    ///
    /// # Errors
    /// An error an operator left behind.
    pub fn norm(&self) -> Result<Array<T>> {
        self.check()?;
        Ok(self.each(|value| value.times(value)).sum(..)?.sqrt())
    }
}

fn merge<T: Float>(mut a: Moments<T>, b: &Moments<T>) -> Moments<T> {
    if b.count == 0 {
        return a;
    }
    if a.count == 0 {
        return b.clone();
    }
    let total = a.count + b.count;
    let share = T::from_f64(b.count as f64 / total as f64);
    let weight = T::from_f64(a.count as f64 * (b.count as f64 / total as f64));
    Zip::from(&mut a.mean).and(&mut a.m2).and(&b.mean).and(&b.m2).for_each(
        |mean, m2, &other_mean, &other_m2| {
            let difference = other_mean.minus(*mean);
            *mean = mean.plus(difference.times(share));
            *m2 = m2.plus(other_m2).plus(difference.times(difference).times(weight));
        },
    );
    a.count = total;
    a
}
