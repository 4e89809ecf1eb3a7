//! `hll_..`: HyperLogLog, how many values differ.

use super::{Key, Kind, Sketch, binary, constant, hashable, internal, refused};
use crate::condition;
use crate::functions::Set;
use crate::functions::row::Site;
use crate::value::Value;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datasketches::hll::{HllSketch, HllType, HllUnion};

const TYPE: HllType = HllType::Hll8;

/// The size where none is given.
const LG_K: u8 = 12;

fn read(function: &str, bytes: &[u8]) -> Result<HllSketch> {
    HllSketch::deserialize(bytes).map_err(|_| {
        refused(
            "HLL_INVALID_INPUT_SKETCH_BUFFER",
            "22546",
            format!(
                "invalid call to `{function}`; the bytes are no HLL sketch, as `hll_sketch_agg` makes them."
            ),
        )
    })
}

fn different(function: &str, left: u8, right: u8) -> DataFusionError {
    refused(
        "HLL_UNION_DIFFERENT_LG_K",
        "22000",
        format!(
            "sketches have different `lgConfigK` values: {left} and {right}. Set the `allowDifferentLgConfigK` \
             parameter to true to call `{function}` with different `lgConfigK` values."
        ),
    )
}

/// Counts the values of rows.
struct Counting {
    function: &'static str,
    sketch: HllSketch,
}

impl Sketch for Counting {
    fn update(&mut self, row: &[Value], site: &Site) -> Result<()> {
        if let Some(key) = Key::of(&row[0], site.argument(0)) {
            self.sketch.update(key);
        }
        Ok(())
    }

    fn merge(&mut self, state: Value, _: &Site) -> Result<()> {
        let other = read(self.function, state.bytes())?;
        if self.sketch.is_empty() {
            self.sketch = other;
        } else {
            let mut union = HllUnion::new(self.sketch.lg_config_k()).map_err(internal)?;
            union.update(&self.sketch);
            union.update(&other);
            self.sketch = union.to_sketch(TYPE);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Value> {
        Ok(Value::Bin(self.sketch.serialize()))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        self.state()
    }

    fn size(&self) -> usize {
        self.sketch.estimated_size()
    }
}

/// Joins the sketches of rows.
struct Joining {
    function: &'static str,
    /// Whether sketches of different sizes may be joined.
    any_size: bool,
    union: Option<HllUnion>,
}

impl Joining {
    fn join(&mut self, bytes: &[u8]) -> Result<()> {
        let sketch = read(self.function, bytes)?;
        let union = match &mut self.union {
            Some(union) => union,
            empty => empty.insert(HllUnion::new(sketch.lg_config_k()).map_err(internal)?),
        };
        let (left, right) = (union.lg_config_k(), sketch.lg_config_k());
        if left != right && !self.any_size {
            return Err(different(self.function, left, right));
        }
        union.update(&sketch);
        Ok(())
    }
}

impl Sketch for Joining {
    fn update(&mut self, row: &[Value], _: &Site) -> Result<()> {
        self.join(row[0].bytes())
    }

    fn merge(&mut self, state: Value, _: &Site) -> Result<()> {
        self.join(state.bytes())
    }

    fn state(&mut self) -> Result<Value> {
        Ok(self.union.as_ref().map_or(Value::Null, |union| Value::Bin(union.to_sketch(TYPE).serialize())))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        match self.state()? {
            Value::Null => Ok(Value::Bin(HllSketch::new(LG_K, TYPE).map_err(internal)?.serialize())),
            made => Ok(made),
        }
    }

    fn size(&self) -> usize {
        self.union.as_ref().map_or(0, HllUnion::estimated_size)
    }
}

fn counting(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    let wrong = || {
        let message = format!("invalid call to `{function}`; the `K` value must be a constant.");
        refused("HLL_K_MUST_BE_CONSTANT", "42K0E", message)
    };
    let given = constant(site, 1, i64::from(LG_K), wrong)?;
    let lg_k = u8::try_from(given).ok().filter(|lg_k| (4..=21).contains(lg_k)).ok_or_else(|| {
        refused(
            "HLL_INVALID_LG_K",
            "22546",
            format!(
                "invalid call to `{function}`; the `lgConfigK` value must be between 4 and 21, inclusive: {given}."
            ),
        )
    })?;
    Ok(Box::new(Counting { function, sketch: HllSketch::new(lg_k, TYPE).map_err(internal)? }))
}

fn joining(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    let wrong = || condition::parameter(function, "`allowDifferentLgConfigK` must be a constant");
    let any_size = constant(site, 1, 0, wrong)? != 0;
    Ok(Box::new(Joining { function, any_size, union: None }))
}

fn counted(site: &Site) -> Result<DataType> {
    hashable("hll_sketch_agg", site.argument(0), false)?;
    Ok(DataType::Binary)
}

pub(super) fn kinds() -> Vec<Kind> {
    vec![
        Kind { name: "hll_sketch_agg", spec: "any int? -> bin", result: counted, make: counting },
        Kind { name: "hll_union_agg", spec: "bin bool? -> bin", result: binary, make: joining },
    ]
}

pub(super) fn add(set: &mut Set) {
    set.add("hll_sketch_estimate", "bin -> long", |row, _| {
        Ok(Value::Int(read("hll_sketch_estimate", row[0].bytes())?.estimate().round() as i64))
    });
    set.add("hll_union", "bin bin bool? -> bin", |row, _| {
        let left = read("hll_union", row[0].bytes())?;
        let right = read("hll_union", row[1].bytes())?;
        let (a, b) = (left.lg_config_k(), right.lg_config_k());
        if a != b && !row.get(2).is_some_and(Value::truth) {
            return Err(different("hll_union", a, b));
        }
        let mut union = HllUnion::new(a.min(b)).map_err(internal)?;
        union.update(&left);
        union.update(&right);
        Ok(Value::Bin(union.to_sketch(TYPE).serialize()))
    });
}
