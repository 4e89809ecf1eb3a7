//! Running sums along an axis: each chunk by itself, plus the total of those before it.

use ndarray::{ArrayD, Axis as NdAxis};
use trefoil_core::{Arg, Call, Input, Result, TaskSpec};

use super::element::Numeric;
use super::lazy::Array;
use super::reduce::fold_block;
use super::shape::axis_index;

impl<T: Numeric> Array<T> {
    /// The running sum along `axis` (negative: from the end). Integers wrap.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn cumsum(&self, axis: isize) -> Result<Array<T>> {
        self.check()?;
        let axis = axis_index("cumsum", axis, self.ndim())?;
        let grid = self.grid();
        let blocks = self.block_list()?;
        let mut calls: Vec<Option<Call<ArrayD<T>>>> = vec![None; blocks.len()];
        for index in grid.indices().filter(|index| index[axis] == 0) {
            let mut before: Option<Call<ArrayD<T>>> = None;
            for chunk in 0..grid.axes[axis].count() {
                let mut position = index.clone();
                position[axis] = chunk;
                let flat = grid.flat(&position);
                let mut args = vec![blocks[flat].arg()];
                args.extend(before.clone().map(Arg::Call));
                calls[flat] =
                    Some(Call::new(TaskSpec::new("cumsum"), args, move |inputs: Vec<Input<ArrayD<T>>>| {
                        Ok(running(inputs, axis))
                    }));
                let mut args = vec![blocks[flat].arg()];
                args.extend(before.take().map(Arg::Call));
                before =
                    Some(Call::new(TaskSpec::new("total"), args, move |inputs: Vec<Input<ArrayD<T>>>| {
                        let mut sum = fold_block(&inputs[0], &[axis], T::ZERO, T::plus);
                        if let Some(before) = inputs.get(1) {
                            sum.zip_mut_with(before, |sum, &value| *sum = value.plus(*sum));
                        }
                        Ok(sum)
                    }));
            }
        }
        Ok(Array::from_calls(&self.engine, grid.clone(), calls.into_iter().flatten().collect()))
    }
}

fn running<T: Numeric>(inputs: Vec<Input<ArrayD<T>>>, axis: usize) -> ArrayD<T> {
    let mut inputs = inputs.into_iter();
    let Some(block) = inputs.next() else { return ArrayD::from_elem(ndarray::IxDyn(&[0]), T::ZERO) };
    let mut out = block.into_owned();
    let mut sum = inputs.next().map(|before| before.into_owned());
    for mut lane in out.axis_chunks_iter_mut(NdAxis(axis), 1) {
        if let Some(sum) = &sum {
            lane.zip_mut_with(sum, |value, &before| *value = before.plus(*value));
        }
        sum = Some(lane.to_owned());
    }
    out
}
