//! The block interpreter: runs a compiled element-wise program over one chunk, [`BLOCK`]
//! elements at a time, in scratch registers that stay in the first-level cache.
//!
//! Protocol: bind every leaf block to the frame (in the order the compiler met them), then
//! [`Program::run`] hands each evaluated run of elements, in C order, to a sink. No temporary
//! is ever larger than a block, however long the expression.

use super::element::Element;

/// Elements evaluated at a time: 16 KiB of `f64`, half of a usual first-level cache.
pub const BLOCK: usize = 2048;

/// Where an operand comes from: a register, a leaf of the expression, or a constant.
#[derive(Debug, Clone, Copy)]
pub enum Src<T> {
    Reg(usize),
    Leaf(usize),
    Const(T),
}

/// An operand while a block is evaluated.
#[derive(Clone, Copy)]
pub enum Operand<'a, T> {
    Slice(&'a [T]),
    Const(T),
}

/// One step of a program: evaluates the first `n` elements of its output register.
pub type Instr = Box<dyn Fn(&mut Frame<'_>, usize) + Send + Sync>;

/// Registers and leaves of one element type.
#[derive(Default)]
pub struct File<'a, T> {
    pub regs: Vec<Vec<T>>,
    pub leaves: Vec<Cursor<'a, T>>,
}

impl<T: Element> File<'_, T> {
    /// The first `n` elements of an operand.
    #[inline]
    pub fn get(&self, src: Src<T>, n: usize) -> Operand<'_, T> {
        match src {
            Src::Reg(r) => Operand::Slice(&self.regs[r][..n]),
            Src::Leaf(l) => Operand::Slice(self.leaves[l].current(n)),
            Src::Const(v) => Operand::Const(v),
        }
    }
}

/// The state of one evaluation: a file per element type.
#[derive(Default)]
pub struct Frame<'a> {
    pub f64: File<'a, f64>,
    pub f32: File<'a, f32>,
    pub i64: File<'a, i64>,
    pub i32: File<'a, i32>,
    pub bool: File<'a, bool>,
}

/// How many registers of each element type a program uses, by `Element::INDEX`.
pub type Counts = [usize; 5];

impl Frame<'_> {
    /// A frame with that many registers of each type and no leaves yet.
    pub fn new(regs: Counts) -> Self {
        fn prepare<T: Element>(frame: &mut Frame<'_>, regs: Counts) {
            T::file_mut(frame).regs = vec![vec![T::default(); BLOCK]; regs[T::INDEX]];
        }
        let mut frame = Frame::default();
        prepare::<f64>(&mut frame, regs);
        prepare::<f32>(&mut frame, regs);
        prepare::<i64>(&mut frame, regs);
        prepare::<i32>(&mut frame, regs);
        prepare::<bool>(&mut frame, regs);
        frame
    }

    fn advance(&mut self, n: usize) {
        self.f64.leaves.iter_mut().for_each(|leaf| leaf.advance(n));
        self.f32.leaves.iter_mut().for_each(|leaf| leaf.advance(n));
        self.i64.leaves.iter_mut().for_each(|leaf| leaf.advance(n));
        self.i32.leaves.iter_mut().for_each(|leaf| leaf.advance(n));
        self.bool.leaves.iter_mut().for_each(|leaf| leaf.advance(n));
    }
}

/// A walk over a leaf block as if it were broadcast to the shape of the result, in C order.
pub struct Cursor<'a, T> {
    data: &'a [T],
    /// The block is the result's shape in C order: runs are borrowed, not copied.
    direct: bool,
    end: usize,
    dims: Vec<usize>,
    strides: Vec<usize>,
    index: Vec<usize>,
    offset: usize,
    scratch: Vec<T>,
}

impl<'a, T: Element> Cursor<'a, T> {
    /// `data` in memory order, and for each axis of the result its length and the step in
    /// `data` that one step along it makes (0 where the leaf is broadcast).
    pub fn new(data: &'a [T], shape: &[usize], strides: &[usize]) -> Self {
        let mut dims = Vec::new();
        let mut steps = Vec::new();
        for (&dim, &stride) in shape.iter().zip(strides) {
            if dim != 1 {
                dims.push(dim);
                steps.push(stride);
            }
        }
        let mut expected = 1;
        let mut direct = true;
        for (&dim, &stride) in dims.iter().zip(&steps).rev() {
            direct &= stride == expected;
            expected *= dim;
        }
        if dims.is_empty() {
            dims.push(1);
            steps.push(0);
        }
        let index = vec![0; dims.len()];
        let scratch = if direct { Vec::new() } else { vec![T::default(); BLOCK] };
        Cursor { data, direct, end: 0, dims, strides: steps, index, offset: 0, scratch }
    }

    #[inline]
    fn current(&self, n: usize) -> &[T] {
        if self.direct { &self.data[self.end - n..self.end] } else { &self.scratch[..n] }
    }

    fn advance(&mut self, n: usize) {
        self.end += n;
        if self.direct {
            return;
        }
        let last = self.dims.len() - 1;
        let step = self.strides[last];
        let mut filled = 0;
        while filled < n {
            let run = (n - filled).min(self.dims[last] - self.index[last]);
            let out = &mut self.scratch[filled..filled + run];
            match step {
                0 => out.fill(self.data[self.offset]),
                1 => out.copy_from_slice(&self.data[self.offset..self.offset + run]),
                _ => {
                    for (cell, value) in out.iter_mut().zip(self.data[self.offset..].iter().step_by(step)) {
                        *cell = *value;
                    }
                }
            }
            filled += run;
            self.index[last] += run;
            self.offset += run * step;
            let mut axis = last;
            while self.index[axis] == self.dims[axis] {
                self.offset -= self.dims[axis] * self.strides[axis];
                self.index[axis] = 0;
                if axis == 0 {
                    break;
                }
                axis -= 1;
                self.index[axis] += 1;
                self.offset += self.strides[axis];
            }
        }
    }
}

/// A compiled expression of element type `T`.
pub struct Program<T> {
    pub instrs: Vec<Instr>,
    pub out: Src<T>,
    pub regs: Counts,
}

impl<T: Element> Program<T> {
    /// Evaluates `len` elements and gives them, in order and block by block, to `sink`.
    pub fn run(&self, frame: &mut Frame<'_>, len: usize, mut sink: impl FnMut(&[T])) {
        let mut constant = Vec::new();
        let mut done = 0;
        while done < len {
            let n = BLOCK.min(len - done);
            frame.advance(n);
            for instr in &self.instrs {
                instr(frame, n);
            }
            match T::file(frame).get(self.out, n) {
                Operand::Slice(slice) => sink(slice),
                Operand::Const(value) => {
                    constant.resize(n, value);
                    sink(&constant);
                }
            }
            done += n;
        }
    }
}

/// `out[i] = f(a[i])`.
#[inline]
pub fn apply1<S: Element, T>(f: impl Fn(S) -> T, a: Operand<'_, S>, out: &mut [T])
where
    T: Copy,
{
    match a {
        Operand::Slice(a) => out.iter_mut().zip(a).for_each(|(out, &a)| *out = f(a)),
        Operand::Const(a) => out.fill(f(a)),
    }
}

/// `out[i] = f(a[i], b[i])`; each shape of operands has a loop of its own, to vectorise.
#[inline]
pub fn apply2<S: Element, T: Copy>(
    f: impl Fn(S, S) -> T,
    a: Operand<'_, S>,
    b: Operand<'_, S>,
    out: &mut [T],
) {
    match (a, b) {
        (Operand::Slice(a), Operand::Slice(b)) => {
            out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (&a, &b))| *out = f(a, b));
        }
        (Operand::Slice(a), Operand::Const(b)) => {
            out.iter_mut().zip(a).for_each(|(out, &a)| *out = f(a, b));
        }
        (Operand::Const(a), Operand::Slice(b)) => {
            out.iter_mut().zip(b).for_each(|(out, &b)| *out = f(a, b));
        }
        (Operand::Const(a), Operand::Const(b)) => out.fill(f(a, b)),
    }
}
