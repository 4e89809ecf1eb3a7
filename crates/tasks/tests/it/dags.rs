//! Random graphs of tasks against a sequential evaluation of the same graph.

use proptest::prelude::*;
use trefoil_tasks::{Arg, Call, Engine, IntoArg, Ref, task};

/// Small arithmetic that wraps, with every tenth operation failing.
#[derive(Clone, Debug)]
enum Op {
    Constant(i64),
    Add(usize, usize),
    Twice(usize),
    SumOf(usize, usize, usize),
    Checked(usize),
}

/// How a node's result is given to those that use it.
#[derive(Clone, Copy, Debug)]
enum Form {
    Call,
    Ref,
    Stored,
}

#[task]
fn plus(a: i64, b: &i64) -> i64 {
    a.wrapping_add(*b)
}

#[task]
async fn twice(a: i64) -> i64 {
    tokio::task::yield_now().await;
    a.wrapping_mul(2)
}

#[task]
fn sum_of(a: i64, b: i64, c: &i64) -> i64 {
    a.wrapping_add(b).wrapping_add(*c)
}

#[task]
fn checked(a: i64) -> Result<i64, String> {
    if a % 3 == 0 { Err(format!("{a} is a multiple of three")) } else { Ok(a) }
}

enum Node {
    Call(Call<i64>),
    Ref(Ref<i64>),
}

impl IntoArg<i64> for &Node {
    fn into_arg(self) -> Arg<i64> {
        match self {
            Node::Call(call) => call.into_arg(),
            Node::Ref(reference) => reference.into_arg(),
        }
    }
}

fn model(ops: &[Op]) -> Vec<Result<i64, String>> {
    let mut values: Vec<Result<i64, String>> = Vec::new();
    for op in ops {
        let get = |at: usize| values[at % values.len()].clone();
        let value = match *op {
            Op::Constant(value) => Ok(value),
            _ if values.is_empty() => Ok(0),
            Op::Add(a, b) => get(a).and_then(|a| Ok(plus::run(a, &get(b)?))),
            Op::Twice(a) => get(a).map(|a| a.wrapping_mul(2)),
            Op::SumOf(a, b, c) => get(a).and_then(|a| Ok(sum_of::run(a, get(b)?, &get(c)?))),
            Op::Checked(a) => get(a).and_then(checked::run),
        };
        values.push(value);
    }
    values
}

fn build(engine: &Engine, ops: &[(Op, Form)]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for (op, form) in ops {
        let get = |at: usize| &nodes[at % nodes.len()];
        let call = match *op {
            Op::Constant(value) => Call::value(value),
            _ if nodes.is_empty() => Call::value(0),
            Op::Add(a, b) => plus(get(a), get(b)),
            Op::Twice(a) => twice(get(a)),
            Op::SumOf(a, b, c) => sum_of(get(a), get(b), get(c)),
            Op::Checked(a) => checked(get(a)),
        };
        nodes.push(match (form, op) {
            (Form::Call, _) => Node::Call(call),
            (Form::Stored, Op::Constant(value)) => Node::Ref(engine.put(*value).unwrap()),
            _ => Node::Ref(engine.spawn(call)),
        });
    }
    nodes
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0_usize..1000;
    prop_oneof![
        2 => any::<i32>().prop_map(|n| Op::Constant(n.into())),
        4 => (at.clone(), at.clone()).prop_map(|(a, b)| Op::Add(a, b)),
        2 => at.clone().prop_map(Op::Twice),
        2 => (at.clone(), at.clone(), at.clone()).prop_map(|(a, b, c)| Op::SumOf(a, b, c)),
        1 => at.prop_map(Op::Checked),
    ]
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Call), Just(Form::Ref), Just(Form::Stored)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_give_what_sequential_evaluation_gives(
        ops in prop::collection::vec((op(), form()), 1..60),
    ) {
        thread_local! { static ENGINE: Engine = crate::engine(); }
        let engine = ENGINE.with(Engine::clone);
        let plain: Vec<Op> = ops.iter().map(|(op, _)| op.clone()).collect();
        let expected = model(&plain);
        for (at, node) in build(&engine, &ops).into_iter().enumerate() {
            let result = match node {
                Node::Call(call) => engine.spawn(call).get(),
                Node::Ref(reference) => reference.get(),
            };
            match (&result, &expected[at]) {
                (Ok(got), Ok(want)) => prop_assert_eq!(got, want, "node {}", at),
                // With two failed arguments either error may be the one that is passed on.
                (Err(got), Err(_)) => prop_assert!(got.message().contains("multiple of three")),
                _ => prop_assert!(false, "node {}: {:?} against {:?}", at, result, expected[at]),
            }
        }
    }
}
