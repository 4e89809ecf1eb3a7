//! `kll_..`: quantiles and ranks of numbers.

use super::{Kind, Sketch, binary, constant, internal, refused};
use crate::functions::Set;
use crate::functions::row::Site;
use crate::value::{Value, format, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datasketches::common::SearchCriteria;
use datasketches::kll::{KllFloat, KllSketch, KllValue};

/// The size where none is given.
const K: i64 = 200;

/// The kinds of numbers.
trait Item: KllValue + Ord + Send + Sync + 'static {
    const NAME: &'static str;
    const TITLE: &'static str;
    const TYPE: DataType;

    /// None for what is no number.
    fn of(value: &Value) -> Option<Self>;
    fn value(self) -> Value;
}

impl Item for i64 {
    const NAME: &'static str = "bigint";
    const TITLE: &'static str = "KllLongsSketch";
    const TYPE: DataType = DataType::Int64;

    fn of(value: &Value) -> Option<Self> {
        Some(value.int())
    }

    fn value(self) -> Value {
        Value::Int(self)
    }
}

impl Item for KllFloat<f32> {
    const NAME: &'static str = "float";
    const TITLE: &'static str = "KllFloatsSketch";
    const TYPE: DataType = DataType::Float32;

    fn of(value: &Value) -> Option<Self> {
        Self::new(value.float() as f32).ok()
    }

    fn value(self) -> Value {
        Value::Float(f64::from(self.into_inner()))
    }
}

impl Item for KllFloat<f64> {
    const NAME: &'static str = "double";
    const TITLE: &'static str = "KllDoublesSketch";
    const TYPE: DataType = DataType::Float64;

    fn of(value: &Value) -> Option<Self> {
        Self::new(value.float()).ok()
    }

    fn value(self) -> Value {
        Value::Float(self.into_inner())
    }
}

fn wrong(function: &str) -> DataFusionError {
    let message = format!(
        "invalid call to `{function}`; the bytes are no KLL sketch, as `kll_sketch_agg_..` makes them."
    );
    refused("KLL_INVALID_INPUT_SKETCH_BUFFER", "22000", message)
}

fn read<T: Item>(function: &str, bytes: &[u8]) -> Result<KllSketch<T>> {
    KllSketch::deserialize(bytes).map_err(|_| wrong(function))
}

fn size<T: Item>(sketch: &KllSketch<T>) -> usize {
    size_of_val(sketch) + sketch.num_retained() * size_of::<T>()
}

struct Measuring<T: Item> {
    function: &'static str,
    sketch: KllSketch<T>,
}

impl<T: Item> Sketch for Measuring<T> {
    fn update(&mut self, row: &[Value], _: &Site) -> Result<()> {
        if let Some(item) = T::of(&row[0]) {
            self.sketch.update(item);
        }
        Ok(())
    }

    fn merge(&mut self, state: Value, _: &Site) -> Result<()> {
        self.sketch.merge(&read(self.function, state.bytes())?).map_err(internal)
    }

    fn state(&mut self) -> Result<Value> {
        Ok(Value::Bin(self.sketch.serialize()))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        self.state()
    }

    fn size(&self) -> usize {
        size(&self.sketch)
    }
}

/// Merges the sketches of rows; without a size it has that of the first.
struct Merging<T: Item> {
    function: &'static str,
    sketch: Option<KllSketch<T>>,
}

impl<T: Item> Merging<T> {
    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let other = read(self.function, bytes)?;
        match &mut self.sketch {
            Some(sketch) => sketch.merge(&other).map_err(internal),
            none => {
                *none = Some(other);
                Ok(())
            }
        }
    }
}

impl<T: Item> Sketch for Merging<T> {
    fn update(&mut self, row: &[Value], _: &Site) -> Result<()> {
        self.add(row[0].bytes())
    }

    fn merge(&mut self, state: Value, _: &Site) -> Result<()> {
        self.add(state.bytes())
    }

    fn state(&mut self) -> Result<Value> {
        Ok(self.sketch.as_ref().map_or(Value::Null, |sketch| Value::Bin(sketch.serialize())))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        match self.state()? {
            Value::Null => Ok(Value::Bin(KllSketch::<T>::new(K as u16).map_err(internal)?.serialize())),
            made => Ok(made),
        }
    }

    fn size(&self) -> usize {
        self.sketch.as_ref().map_or(0, size)
    }
}

/// The size of a sketch, an argument of an aggregate function.
fn k(function: &'static str, site: &Site) -> Result<u16> {
    let not_constant = || {
        let message = format!("for function `{function}`, the k parameter must be a constant.");
        refused("KLL_SKETCH_K_MUST_BE_CONSTANT", "42K0E", message)
    };
    let given = constant(site, 1, K, not_constant)?;
    u16::try_from(given).ok().filter(|k| *k >= 8).ok_or_else(|| {
        let message =
            format!("for function `{function}`, the k parameter must be between 8 and 65535 (inclusive), but got {given}.");
        refused("KLL_SKETCH_K_OUT_OF_RANGE", "22003", message)
    })
}

fn measuring<T: Item>(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    let sketch = KllSketch::<T>::new(k(function, site)?).map_err(internal)?;
    Ok(Box::new(Measuring { function, sketch }))
}

fn merging<T: Item>(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    let sketch = match site.types.len() {
        1 => None,
        _ => Some(KllSketch::<T>::new(k(function, site)?).map_err(internal)?),
    };
    Ok(Box::new(Merging { function, sketch }))
}

pub(super) fn kinds() -> Vec<Kind> {
    let kind = |name, spec, make| Kind { name, spec, result: binary, make };
    vec![
        kind("kll_sketch_agg_bigint", "long int? -> bin", measuring::<i64>),
        kind("kll_sketch_agg_float", "float int? -> bin", measuring::<KllFloat<f32>>),
        kind("kll_sketch_agg_double", "double int? -> bin", measuring::<KllFloat<f64>>),
        kind("kll_merge_agg_bigint", "bin int? -> bin", merging::<i64>),
        kind("kll_merge_agg_float", "bin int? -> bin", merging::<KllFloat<f32>>),
        kind("kll_merge_agg_double", "bin int? -> bin", merging::<KllFloat<f64>>),
    ]
}

/// A result for a number, or for each of an array.
fn for_each(argument: &Value, one: impl Fn(&Value) -> Result<Value>) -> Result<Value> {
    match argument {
        Value::List(items) => Ok(Value::List(items.iter().map(one).collect::<Result<_>>()?)),
        other => one(other),
    }
}

fn one_or_many(site: &Site, result: DataType) -> DataType {
    if types::item_of(site.argument(1)).is_some() { types::list_of(result) } else { result }
}

fn summary<T: Item>(sketch: &KllSketch<T>) -> String {
    let item = |item: Option<&T>| {
        item.map_or_else(|| "null".into(), |i| format::cast_text(&i.clone().value(), &T::TYPE))
    };
    let lines = [
        ("K", sketch.k().to_string()),
        ("Dynamic min K", sketch.min_k().to_string()),
        ("N", sketch.n().to_string()),
        ("Epsilon", format!("{:.3}%", sketch.normalized_rank_error() * 100.0)),
        ("Epsilon PMF", format!("{:.3}%", sketch.normalized_pmf_error() * 100.0)),
        ("Empty", sketch.is_empty().to_string()),
        ("Estimation Mode", sketch.is_estimation_mode().to_string()),
        ("Retained Items", sketch.num_retained().to_string()),
        ("Compact Storage Bytes", sketch.serialize().len().to_string()),
        ("Min Item", item(sketch.min_item())),
        ("Max Item", item(sketch.max_item())),
    ];
    let lines: String = lines.iter().map(|(name, value)| format!("   {name:<23}: {value}\n")).collect();
    format!("\n### {} Summary:\n{lines}### End sketch summary\n", T::TITLE)
}

fn add_for<T: Item>(set: &mut Set) {
    let named = |verb: &str| format!("kll_sketch_{verb}_{}", T::NAME);
    let name = named("get_n");
    set.add(&name.clone(), "bin -> long", move |row, _| {
        Ok(Value::Int(read::<T>(&name, row[0].bytes())?.n() as i64))
    });
    let name = named("to_string");
    set.add(
        &name.clone(),
        "bin -> str",
        move |row, _| Ok(summary(&read::<T>(&name, row[0].bytes())?).into()),
    );
    let name = named("merge");
    set.add(&name.clone(), "bin bin -> bin", move |row, _| {
        let mut left = read::<T>(&name, row[0].bytes())?;
        left.merge(&read(&name, row[1].bytes())?).map_err(internal)?;
        Ok(Value::Bin(left.serialize()))
    });
    let name = named("get_quantile");
    set.typed(
        &name.clone(),
        "bin any -> ..",
        |site| Ok(one_or_many(site, T::TYPE)),
        move |row, _| {
            let sketch = read::<T>(&name, row[0].bytes())?;
            for_each(&row[1], |rank| {
                let out_of_range = |_| {
                    let message = format!(
                        "for function `{name}`, the quantile value must be between 0.0 and 1.0 (inclusive)."
                    );
                    refused("KLL_SKETCH_INVALID_QUANTILE_RANGE", "22003", message)
                };
                let found = sketch.quantile(rank.float(), SearchCriteria::Inclusive).map_err(out_of_range)?;
                found.map(T::value).ok_or_else(|| wrong(&name))
            })
        },
    );
    let name = named("get_rank");
    set.typed(
        &name.clone(),
        "bin any -> ..",
        |site| Ok(one_or_many(site, DataType::Float64)),
        move |row, _| {
            let sketch = read::<T>(&name, row[0].bytes())?;
            for_each(&row[1], |item| {
                let rank = T::of(item).and_then(|item| sketch.rank(&item, SearchCriteria::Inclusive));
                rank.map(Value::Float).ok_or_else(|| wrong(&name))
            })
        },
    );
}

pub(super) fn add(set: &mut Set) {
    add_for::<i64>(set);
    add_for::<KllFloat<f32>>(set);
    add_for::<KllFloat<f64>>(set);
}
