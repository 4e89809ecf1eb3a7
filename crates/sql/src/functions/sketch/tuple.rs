//! `tuple_..`: Theta sketches with a number beside each value that was counted: a sum, the least, the greatest, or
//! always one.

use super::{Key, Kind, Sketch, binary, entries, hashable, internal, lg_entries, refused, theta};
use crate::functions::Set;
use crate::functions::row::Site;
use crate::value::Value;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datasketches::codec::{SketchBytes, SketchSlice};
use datasketches::error::{Error, ErrorKind};
use datasketches::theta::CompactThetaSketch;
use datasketches::tuple::{
    CompactTupleSketch, SummaryCombinePolicy, SummaryPolicy, SummaryUpdatePolicy, TupleANotB,
    TupleIntersection, TupleSketch, TupleSketchBuilder, TupleSummaryValue, TupleUnion, TupleUnionBuilder,
};
use std::fmt::Debug;
use std::marker::PhantomData;

/// How numbers beside one value become one; the places are those of Java's bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Sum,
    Min,
    Max,
    One,
}

const MODES: [(&str, Mode); 4] =
    [("sum", Mode::Sum), ("min", Mode::Min), ("max", Mode::Max), ("alwaysone", Mode::One)];

impl Mode {
    fn read(function: &str, text: &str) -> Result<Self> {
        MODES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, mode)| *mode).ok_or_else(|| {
            let message = format!(
                "invalid call to `{function}`: mode '{text}' is not supported. Valid modes are: sum, min, max, \
                 alwaysone."
            );
            refused("TUPLE_INVALID_SKETCH_MODE", "22023", message)
        })
    }

    /// The mode of a constant argument of an aggregate function.
    fn constant(function: &str, site: &Site, index: usize) -> Result<Self> {
        match (site.types.len() > index, site.literal(index)) {
            (true, Some(text)) => Self::read(function, text),
            (true, None) => Self::read(function, "NULL"),
            (false, _) => Ok(Self::Sum),
        }
    }

    fn argument(function: &str, row: &[Value], index: usize) -> Result<Self> {
        row.get(index).map_or(Ok(Self::Sum), |text| Self::read(function, text.str()))
    }
}

/// The kinds of numbers.
trait Number: Copy + Debug + Send + Sync + 'static {
    const NAME: &'static str;

    /// What changes nothing, or one.
    fn start(mode: Mode) -> Self;
    fn fold(self, other: Self, mode: Mode) -> Self;
    fn value(value: &Value) -> Self;
    fn write(self, bytes: &mut SketchBytes);
    fn read(bytes: &mut SketchSlice<'_>) -> std::io::Result<Self>;
    /// The numbers of a sketch as one.
    fn summary(numbers: impl Iterator<Item = Self>, mode: Mode) -> Value;
}

impl Number for i32 {
    const NAME: &'static str = "integer";

    fn start(mode: Mode) -> Self {
        match mode {
            Mode::Sum => 0,
            Mode::Min => Self::MAX,
            Mode::Max => Self::MIN,
            Mode::One => 1,
        }
    }

    fn fold(self, other: Self, mode: Mode) -> Self {
        match mode {
            Mode::Sum => self.wrapping_add(other),
            Mode::Min => self.min(other),
            Mode::Max => self.max(other),
            Mode::One => 1,
        }
    }

    fn value(value: &Value) -> Self {
        value.int() as Self
    }

    fn write(self, bytes: &mut SketchBytes) {
        bytes.write_i32_le(self);
    }

    fn read(bytes: &mut SketchSlice<'_>) -> std::io::Result<Self> {
        bytes.read_i32_le()
    }

    fn summary(numbers: impl Iterator<Item = Self>, mode: Mode) -> Value {
        let numbers = numbers.map(i64::from);
        match mode {
            Mode::Sum => Value::Int(numbers.sum()),
            Mode::Min => Value::Int(numbers.min().unwrap_or(0)),
            Mode::Max => Value::Int(numbers.max().unwrap_or(0)),
            Mode::One => Value::Int(numbers.count() as i64),
        }
    }
}

impl Number for f64 {
    const NAME: &'static str = "double";

    fn start(mode: Mode) -> Self {
        match mode {
            Mode::Sum => 0.0,
            Mode::Min => Self::INFINITY,
            Mode::Max => Self::NEG_INFINITY,
            Mode::One => 1.0,
        }
    }

    fn fold(self, other: Self, mode: Mode) -> Self {
        match mode {
            Mode::Sum => self + other,
            Mode::Min => self.min(other),
            Mode::Max => self.max(other),
            Mode::One => 1.0,
        }
    }

    fn value(value: &Value) -> Self {
        value.float()
    }

    fn write(self, bytes: &mut SketchBytes) {
        bytes.write_f64_le(self);
    }

    fn read(bytes: &mut SketchSlice<'_>) -> std::io::Result<Self> {
        bytes.read_f64_le()
    }

    fn summary(numbers: impl Iterator<Item = Self>, mode: Mode) -> Value {
        match mode {
            Mode::Sum => Value::Float(numbers.sum()),
            Mode::Min => Value::Float(numbers.reduce(Self::min).unwrap_or(0.0)),
            Mode::Max => Value::Float(numbers.reduce(Self::max).unwrap_or(0.0)),
            Mode::One => Value::Float(numbers.count() as Self),
        }
    }
}

/// The number beside a value, in the bytes of Java's summaries: the number, then its mode.
#[derive(Clone, Debug)]
struct Summary<N> {
    number: N,
    mode: Mode,
}

impl<N: Number> TupleSummaryValue for Summary<N> {
    fn serialize_size(&self) -> usize {
        size_of::<N>() + 1
    }

    fn serialize_value(&self, bytes: &mut SketchBytes) {
        self.number.write(bytes);
        bytes.write_u8(self.mode as u8);
    }

    fn deserialize_value(bytes: &mut SketchSlice<'_>) -> std::result::Result<Self, Error> {
        let ends = |_| Error::new(ErrorKind::InvalidData, "a summary ends too early");
        let number = N::read(bytes).map_err(ends)?;
        let place = usize::from(bytes.read_u8().map_err(ends)?);
        match MODES.get(place) {
            Some((_, mode)) => Ok(Self { number, mode: *mode }),
            None => Err(Error::new(ErrorKind::InvalidData, format!("there is no mode {place}"))),
        }
    }
}

#[derive(Debug)]
struct Policy<N> {
    mode: Mode,
    number: PhantomData<fn() -> N>,
}

impl<N> Policy<N> {
    fn new(mode: Mode) -> Self {
        Self { mode, number: PhantomData }
    }
}

impl<N: Number> SummaryPolicy for Policy<N> {
    type Summary = Summary<N>;

    fn create(&self) -> Summary<N> {
        Summary { number: N::start(self.mode), mode: self.mode }
    }
}

impl<N: Number> SummaryUpdatePolicy<N> for Policy<N> {
    fn update(&self, summary: &mut Summary<N>, number: N) {
        summary.number = summary.number.fold(number, self.mode);
    }
}

impl<N: Number> SummaryCombinePolicy for Policy<N> {
    fn combine(&self, summary: &mut Summary<N>, other: &Summary<N>) {
        summary.number = summary.number.fold(other.number, self.mode);
        summary.mode = self.mode;
    }
}

type Compact<N> = CompactTupleSketch<Summary<N>>;

fn wrong(function: &str) -> DataFusionError {
    let message = format!(
        "invalid call to `{function}`; the bytes are no Tuple sketch, as the `tuple_sketch_agg_..` of the same type \
         makes them."
    );
    refused("TUPLE_INVALID_INPUT_SKETCH_BUFFER", "22000", message)
}

fn read<N: Number>(function: &str, bytes: &[u8]) -> Result<Compact<N>> {
    Compact::<N>::deserialize(bytes).map_err(|_| wrong(function))
}

fn bytes<N: Number>(sketch: &Compact<N>) -> Value {
    Value::Bin(sketch.serialize())
}

/// A Theta sketch with the same number beside each of its values: written as the bytes of a Tuple sketch, which
/// is the one way in.
fn with_numbers<N: Number>(function: &str, sketch: &CompactThetaSketch, mode: Mode) -> Result<Compact<N>> {
    const READ_ONLY_AND_COMPACT: u8 = 0b1010;
    const EMPTY: u8 = 0b100;
    let mut out = SketchBytes::with_capacity(24 + sketch.num_retained() * (9 + size_of::<N>()));
    let flags = READ_ONLY_AND_COMPACT | if sketch.is_empty() { EMPTY } else { 0 };
    // Three longs of preamble, version 3, the family of Tuple sketches, their one type, a gap.
    for byte in [3, 3, 9, 1, 0, flags] {
        out.write_u8(byte);
    }
    out.write_u16_le(sketch.seed_hash());
    out.write_u32_le(sketch.num_retained() as u32);
    out.write_u32_le(0);
    out.write_u64_le(sketch.theta64());
    for entry in sketch.iter() {
        out.write_u64_le(entry.hash());
        Summary { number: N::start(mode), mode }.serialize_value(&mut out);
    }
    read(function, &out.into_bytes())
}

fn union<N: Number>(lg_k: u8, mode: Mode) -> Result<TupleUnion<Policy<N>>> {
    TupleUnionBuilder::new(Policy::new(mode)).lg_k(lg_k).build().map_err(internal)
}

fn empty<N: Number>() -> Result<Value> {
    Ok(bytes(&union::<N>(12, Mode::Sum)?.to_sketch(false)))
}

// --- the aggregate functions -------------------------------------------------------------------------------------

struct Counting<N: Number> {
    function: &'static str,
    lg_k: u8,
    mode: Mode,
    sketch: TupleSketch<Policy<N>>,
    joined: Option<TupleUnion<Policy<N>>>,
}

impl<N: Number> Sketch for Counting<N> {
    fn update(&mut self, row: &[Value], site: &Site) -> Result<()> {
        if let Some(key) = Key::of(&row[0], site.argument(0)) {
            self.sketch.update(key, N::value(&row[1]));
        }
        Ok(())
    }

    fn merge(&mut self, state: Value, _: &Site) -> Result<()> {
        let other = read::<N>(self.function, state.bytes())?;
        let joined = match &mut self.joined {
            Some(joined) => joined,
            none => none.insert(union(self.lg_k, self.mode)?),
        };
        joined.update(&other).map_err(internal)
    }

    fn state(&mut self) -> Result<Value> {
        let own = self.sketch.compact(false);
        let Some(joined) = &mut self.joined else { return Ok(bytes(&own)) };
        joined.update(&own).map_err(internal)?;
        Ok(bytes(&joined.to_sketch(false)))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        self.state()
    }

    fn size(&self) -> usize {
        self.sketch.estimated_size() + self.joined.as_ref().map_or(0, TupleUnion::estimated_size)
    }
}

struct Joining<N: Number> {
    function: &'static str,
    union: TupleUnion<Policy<N>>,
}

impl<N: Number> Sketch for Joining<N> {
    fn update(&mut self, row: &[Value], _: &Site) -> Result<()> {
        self.union.update(&read::<N>(self.function, row[0].bytes())?).map_err(internal)
    }

    fn merge(&mut self, state: Value, _: &Site) -> Result<()> {
        self.union.update(&read::<N>(self.function, state.bytes())?).map_err(internal)
    }

    fn state(&mut self) -> Result<Value> {
        Ok(bytes(&self.union.to_sketch(false)))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        self.state()
    }

    fn size(&self) -> usize {
        self.union.estimated_size()
    }
}

struct Meeting<N: Number> {
    function: &'static str,
    intersection: TupleIntersection<Policy<N>>,
}

impl<N: Number> Sketch for Meeting<N> {
    fn update(&mut self, row: &[Value], _: &Site) -> Result<()> {
        self.intersection.update(&read::<N>(self.function, row[0].bytes())?).map_err(internal)
    }

    fn merge(&mut self, state: Value, _: &Site) -> Result<()> {
        self.intersection.update(&read::<N>(self.function, state.bytes())?).map_err(internal)
    }

    fn state(&mut self) -> Result<Value> {
        Ok(self.intersection.to_sketch(false).map_or(Value::Null, |sketch| bytes(&sketch)))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        match self.state()? {
            Value::Null => empty::<N>(),
            made => Ok(made),
        }
    }

    fn size(&self) -> usize {
        self.intersection.estimated_size()
    }
}

fn counting<N: Number>(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    let (lg_k, mode) = (lg_entries(function, site, 2)?, Mode::constant(function, site, 3)?);
    let sketch = TupleSketchBuilder::new(Policy::<N>::new(mode)).lg_k(lg_k).build().map_err(internal)?;
    Ok(Box::new(Counting { function, lg_k, mode, sketch, joined: None }))
}

fn joining<N: Number>(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    let union = union::<N>(lg_entries(function, site, 1)?, Mode::constant(function, site, 2)?)?;
    Ok(Box::new(Joining { function, union }))
}

fn meeting<N: Number>(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    let policy = Policy::<N>::new(Mode::constant(function, site, 1)?);
    Ok(Box::new(Meeting { function, intersection: TupleIntersection::new(policy) }))
}

fn counted(site: &Site) -> Result<DataType> {
    hashable("tuple_sketch_agg", site.argument(0), true)?;
    Ok(DataType::Binary)
}

pub(super) fn kinds() -> Vec<Kind> {
    let kind = |name, spec, result, make| Kind { name, spec, result, make };
    vec![
        kind("tuple_sketch_agg_double", "any double int? str? -> bin", counted, counting::<f64>),
        kind("tuple_sketch_agg_integer", "any int int? str? -> bin", counted, counting::<i32>),
        kind("tuple_union_agg_double", "bin int? str? -> bin", binary, joining::<f64>),
        kind("tuple_union_agg_integer", "bin int? str? -> bin", binary, joining::<i32>),
        kind("tuple_intersection_agg_double", "bin str? -> bin", binary, meeting::<f64>),
        kind("tuple_intersection_agg_integer", "bin str? -> bin", binary, meeting::<i32>),
    ]
}

// --- the scalar functions ----------------------------------------------------------------------------------------

/// The second sketch of a call: of the same kind, or a Theta sketch.
fn second<N: Number>(function: &str, value: &Value, mode: Mode, is_theta: bool) -> Result<Compact<N>> {
    if is_theta {
        return with_numbers(function, &theta::read(function, value.bytes())?, mode);
    }
    read(function, value.bytes())
}

fn add_for<N: Number>(set: &mut Set, result: &str) {
    let named = |verb: &str| format!("tuple_{verb}_{}", N::NAME);
    let name = named("sketch_estimate");
    set.add(&name.clone(), "bin -> double", move |row, _| {
        Ok(Value::Float(read::<N>(&name, row[0].bytes())?.estimate()))
    });
    let name = named("sketch_theta");
    set.add(&name.clone(), "bin -> double", move |row, _| {
        Ok(Value::Float(read::<N>(&name, row[0].bytes())?.theta()))
    });
    let name = named("sketch_summary");
    set.add(&name.clone(), &format!("bin str? -> {result}"), move |row, _| {
        let mode = Mode::argument(&name, row, 1)?;
        let sketch = read::<N>(&name, row[0].bytes())?;
        Ok(N::summary(sketch.iter().map(|entry| entry.summary().number), mode))
    });
    for is_theta in [false, true] {
        let named = |verb: &str| named(&format!("{verb}{}", if is_theta { "_theta" } else { "" }));
        let name = named("union");
        set.add(&name.clone(), "bin bin int? str? -> bin", move |row, _| {
            let (lg_k, mode) =
                (entries(&name, row.get(2).map_or(12, Value::int))?, Mode::argument(&name, row, 3)?);
            let mut union = union::<N>(lg_k, mode)?;
            union.update(&read::<N>(&name, row[0].bytes())?).map_err(internal)?;
            union.update(&second::<N>(&name, &row[1], mode, is_theta)?).map_err(internal)?;
            Ok(bytes(&union.to_sketch(false)))
        });
        let name = named("intersection");
        set.add(&name.clone(), "bin bin str? -> bin", move |row, _| {
            let mode = Mode::argument(&name, row, 2)?;
            let mut intersection = TupleIntersection::new(Policy::<N>::new(mode));
            intersection.update(&read::<N>(&name, row[0].bytes())?).map_err(internal)?;
            intersection.update(&second::<N>(&name, &row[1], mode, is_theta)?).map_err(internal)?;
            intersection.to_sketch(false).map_or_else(empty::<N>, |sketch| Ok(bytes(&sketch)))
        });
        let name = named("difference");
        set.add(&name.clone(), "bin bin -> bin", move |row, _| {
            let left = read::<N>(&name, row[0].bytes())?;
            let right = second::<N>(&name, &row[1], Mode::Sum, is_theta)?;
            Ok(bytes::<N>(&TupleANotB::default().compute(&left, &right, false).map_err(internal)?))
        });
    }
}

pub(super) fn add(set: &mut Set) {
    add_for::<f64>(set, "double");
    add_for::<i32>(set, "long");
}
