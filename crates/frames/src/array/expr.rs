//! Element-wise expressions: built lazily, fused when lowered.
//!
//! An expression is a graph of typed nodes over leaves (arrays that are not element-wise).
//! The compiler walks it once, gives every distinct node a register (shared nodes are
//! evaluated once) and reuses registers whose value is no longer needed. The program runs
//! block-wise in [`super::interp`].

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use super::element::{Element, Scalar};
use super::interp::{Counts, Instr, Operand, Program, Src, apply1, apply2};
use super::lazy::Inner;
use super::lower::AnyLeaf;

/// Expressions of more nodes than this are cut: their operands become leaves.
pub(crate) const MAX_NODES: usize = 64;

/// A node and how many nodes hang below it (shared ones counted once per parent).
pub(crate) struct Expr<T> {
    node: Box<dyn Node<T>>,
    pub nodes: usize,
}

/// A kind of node: how it is compiled and which expressions it reads.
trait Node<T>: Send + Sync {
    fn compile(&self, compiler: &mut Compiler) -> Src<T>;
    fn count(&self, uses: &mut HashMap<usize, usize>);
}

fn key<T>(expr: &Arc<Expr<T>>) -> usize {
    Arc::as_ptr(expr).cast::<()>() as usize
}

fn count<T>(expr: &Arc<Expr<T>>, uses: &mut HashMap<usize, usize>) {
    let seen = uses.entry(key(expr)).or_insert(0);
    *seen += 1;
    if *seen == 1 {
        expr.node.count(uses);
    }
}

/// Turns expressions into straight-line programs.
#[derive(Default)]
pub(crate) struct Compiler {
    instrs: Vec<Instr>,
    done: HashMap<usize, Box<dyn Any>>,
    uses: HashMap<usize, usize>,
    regs: Counts,
    free: [Vec<usize>; 5],
    leaf_counts: Counts,
    leaf_slots: HashMap<(usize, TypeId), usize>,
    leaves: Vec<Arc<dyn AnyLeaf>>,
}

impl Compiler {
    /// The program of `expr` and its leaves in the order they must be bound.
    pub fn compile<T: Element>(expr: &Arc<Expr<T>>) -> (Program<T>, Vec<Arc<dyn AnyLeaf>>) {
        let mut compiler = Compiler::default();
        count(expr, &mut compiler.uses);
        let out = compiler.source(expr);
        (Program { instrs: compiler.instrs, out, regs: compiler.regs }, compiler.leaves)
    }

    fn source<T: Element>(&mut self, expr: &Arc<Expr<T>>) -> Src<T> {
        if let Some(src) = self.done.get(&key(expr)).and_then(|src| src.downcast_ref::<Src<T>>()) {
            return *src;
        }
        let src = expr.node.compile(self);
        self.done.insert(key(expr), Box::new(src));
        src
    }

    fn register<T: Element>(&mut self) -> usize {
        self.free[T::INDEX].pop().unwrap_or_else(|| {
            self.regs[T::INDEX] += 1;
            self.regs[T::INDEX] - 1
        })
    }

    /// Says that one reader of `expr` has read it.
    fn release<T: Element>(&mut self, expr: &Arc<Expr<T>>, src: Src<T>) {
        if let Some(left) = self.uses.get_mut(&key(expr)) {
            *left = left.saturating_sub(1);
            if let (0, Src::Reg(reg)) = (*left, src) {
                self.free[T::INDEX].push(reg);
            }
        }
    }

    fn leaf<T: Element>(&mut self, inner: &Arc<Inner<T>>) -> usize {
        let id = (Arc::as_ptr(inner).cast::<()>() as usize, TypeId::of::<T>());
        if let Some(&slot) = self.leaf_slots.get(&id) {
            return slot;
        }
        let slot = self.leaf_counts[T::INDEX];
        self.leaf_counts[T::INDEX] += 1;
        self.leaf_slots.insert(id, slot);
        self.leaves.push(Arc::new(inner.clone()));
        slot
    }
}

struct Leaf<T: Element>(Arc<Inner<T>>);

impl<T: Element> Node<T> for Leaf<T> {
    fn compile(&self, compiler: &mut Compiler) -> Src<T> {
        Src::Leaf(compiler.leaf(&self.0))
    }
    fn count(&self, _uses: &mut HashMap<usize, usize>) {}
}

struct Const<T>(T);

impl<T: Element> Node<T> for Const<T> {
    fn compile(&self, _compiler: &mut Compiler) -> Src<T> {
        Src::Const(self.0)
    }
    fn count(&self, _uses: &mut HashMap<usize, usize>) {}
}

struct Unary<S, F> {
    a: Arc<Expr<S>>,
    f: F,
}

impl<S: Element, T: Element, F> Node<T> for Unary<S, F>
where
    F: Fn(S) -> T + Copy + Send + Sync + 'static,
{
    fn compile(&self, compiler: &mut Compiler) -> Src<T> {
        let a = compiler.source(&self.a);
        let out = compiler.register::<T>();
        compiler.release(&self.a, a);
        let f = self.f;
        compiler.instrs.push(Box::new(move |frame, n| {
            let mut buffer = std::mem::take(&mut T::file_mut(frame).regs[out]);
            apply1(f, S::file(frame).get(a, n), &mut buffer[..n]);
            T::file_mut(frame).regs[out] = buffer;
        }));
        Src::Reg(out)
    }
    fn count(&self, uses: &mut HashMap<usize, usize>) {
        count(&self.a, uses);
    }
}

struct Binary<S, F> {
    a: Arc<Expr<S>>,
    b: Arc<Expr<S>>,
    f: F,
}

impl<S: Element, T: Element, F> Node<T> for Binary<S, F>
where
    F: Fn(S, S) -> T + Copy + Send + Sync + 'static,
{
    fn compile(&self, compiler: &mut Compiler) -> Src<T> {
        let a = compiler.source(&self.a);
        let b = compiler.source(&self.b);
        let out = compiler.register::<T>();
        compiler.release(&self.a, a);
        compiler.release(&self.b, b);
        let f = self.f;
        compiler.instrs.push(Box::new(move |frame, n| {
            let mut buffer = std::mem::take(&mut T::file_mut(frame).regs[out]);
            let file = S::file(frame);
            apply2(f, file.get(a, n), file.get(b, n), &mut buffer[..n]);
            T::file_mut(frame).regs[out] = buffer;
        }));
        Src::Reg(out)
    }
    fn count(&self, uses: &mut HashMap<usize, usize>) {
        count(&self.a, uses);
        count(&self.b, uses);
    }
}

struct Select<T> {
    mask: Arc<Expr<bool>>,
    a: Arc<Expr<T>>,
    b: Arc<Expr<T>>,
}

impl<T: Element> Node<T> for Select<T> {
    fn compile(&self, compiler: &mut Compiler) -> Src<T> {
        let mask = compiler.source(&self.mask);
        let a = compiler.source(&self.a);
        let b = compiler.source(&self.b);
        let out = compiler.register::<T>();
        compiler.release(&self.mask, mask);
        compiler.release(&self.a, a);
        compiler.release(&self.b, b);
        compiler.instrs.push(Box::new(move |frame, n| {
            let mut buffer = std::mem::take(&mut T::file_mut(frame).regs[out]);
            let mask = bool::file(frame).get(mask, n);
            let (a, b) = (T::file(frame).get(a, n), T::file(frame).get(b, n));
            for (i, cell) in buffer[..n].iter_mut().enumerate() {
                *cell = if at(mask, i) { at(a, i) } else { at(b, i) };
            }
            T::file_mut(frame).regs[out] = buffer;
        }));
        Src::Reg(out)
    }
    fn count(&self, uses: &mut HashMap<usize, usize>) {
        count(&self.mask, uses);
        count(&self.a, uses);
        count(&self.b, uses);
    }
}

fn at<T: Copy>(operand: Operand<'_, T>, i: usize) -> T {
    match operand {
        Operand::Slice(slice) => slice[i],
        Operand::Const(value) => value,
    }
}

pub(crate) fn leaf<T: Element>(inner: Arc<Inner<T>>) -> Arc<Expr<T>> {
    Arc::new(Expr { node: Box::new(Leaf(inner)), nodes: 1 })
}

pub(crate) fn constant<T: Element>(value: T) -> Arc<Expr<T>> {
    Arc::new(Expr { node: Box::new(Const(value)), nodes: 1 })
}

pub(crate) fn unary<S: Element, T: Element>(
    a: Arc<Expr<S>>,
    f: impl Fn(S) -> T + Copy + Send + Sync + 'static,
) -> Arc<Expr<T>> {
    let nodes = a.nodes + 1;
    Arc::new(Expr { node: Box::new(Unary { a, f }), nodes })
}

pub(crate) fn binary<S: Element, T: Element>(
    a: Arc<Expr<S>>,
    b: Arc<Expr<S>>,
    f: impl Fn(S, S) -> T + Copy + Send + Sync + 'static,
) -> Arc<Expr<T>> {
    let nodes = a.nodes + b.nodes + 1;
    Arc::new(Expr { node: Box::new(Binary { a, b, f }), nodes })
}

pub(crate) fn select<T: Element>(mask: Arc<Expr<bool>>, a: Arc<Expr<T>>, b: Arc<Expr<T>>) -> Arc<Expr<T>> {
    let nodes = mask.nodes + a.nodes + b.nodes + 1;
    Arc::new(Expr { node: Box::new(Select { mask, a, b }), nodes })
}

pub(crate) fn cast<S: Element, T: Element>(a: Arc<Expr<S>>) -> Arc<Expr<T>> {
    unary(a, |value: S| {
        let scalar: Scalar = value.to_scalar();
        T::from_scalar(scalar)
    })
}
