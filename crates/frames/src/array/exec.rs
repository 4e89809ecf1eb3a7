//! Starting many blocks at once, so that what they share runs once.

use ndarray::ArrayD;
use trefoil_core::{Call, Engine, Input, Ref, TaskSpec};

use super::element::Element;
use super::lazy::Block;

/// Starts every block; sub-graphs that blocks share run once.
pub(crate) fn spawn_all<T: Element>(engine: &Engine, blocks: Vec<Block<T>>) -> Vec<Ref<ArrayD<T>>> {
    let calls = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Call(call) => Some(call.clone()),
            Block::Ref(_) => None,
        })
        .collect();
    let mut started = engine.spawn_all::<ArrayD<T>>(calls).into_iter();
    blocks
        .into_iter()
        .filter_map(|block| match block {
            Block::Call(_) => started.next(),
            Block::Ref(value) => Some(value),
        })
        .collect()
}

/// A block as a call; of a held block, a call that hands its value on.
pub(crate) fn as_call<T: Element>(block: &Block<T>) -> Call<ArrayD<T>> {
    match block {
        Block::Call(call) => call.clone(),
        Block::Ref(_) => Call::new(TaskSpec::new("block"), (block.arg(),), |(block,): (Input<ArrayD<T>>,)| {
            Ok(block.into_owned())
        }),
    }
}
