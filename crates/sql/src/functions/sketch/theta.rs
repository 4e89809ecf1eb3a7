//! `theta_..`: how many values differ, with unions, intersections and differences of what was counted.

use super::{Key, Kind, Sketch, binary, entries, hashable, internal, lg_entries, refused};
use crate::functions::Set;
use crate::functions::row::Site;
use crate::value::Value;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datasketches::theta::{
    CompactThetaSketch, ThetaANotB, ThetaIntersection, ThetaSketch, ThetaSketchBuilder, ThetaUnion,
    ThetaUnionBuilder,
};

/// The sketch that bytes hold.
pub(super) fn read(function: &str, bytes: &[u8]) -> Result<CompactThetaSketch> {
    CompactThetaSketch::deserialize(bytes).map_err(|_| {
        refused(
            "THETA_INVALID_INPUT_SKETCH_BUFFER",
            "22000",
            format!(
                "invalid call to `{function}`; the bytes are no Theta sketch, as `theta_sketch_agg` makes them."
            ),
        )
    })
}

fn bytes(sketch: &CompactThetaSketch) -> Value {
    /// Java says so of a sketch with one value.
    const SINGLE: u8 = 0b10_0000;
    let mut bytes = sketch.serialize_compressed();
    if sketch.num_retained() == 1 && bytes.len() == 16 {
        bytes[5] |= SINGLE;
    }
    Value::Bin(bytes)
}

fn union(lg_k: u8) -> Result<ThetaUnion> {
    ThetaUnionBuilder::default().lg_k(lg_k).build().map_err(internal)
}

fn empty() -> Result<Value> {
    Ok(bytes(&ThetaSketchBuilder::default().build().map_err(internal)?.compact(true)))
}

/// Counts the values of rows; joins begin with the first other sketch.
struct Counting {
    function: &'static str,
    lg_k: u8,
    sketch: ThetaSketch,
    joined: Option<ThetaUnion>,
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
        let joined = match &mut self.joined {
            Some(joined) => joined,
            none => none.insert(union(self.lg_k)?),
        };
        joined.update(&other).map_err(internal)
    }

    fn state(&mut self) -> Result<Value> {
        let own = self.sketch.compact(true);
        let Some(joined) = &mut self.joined else { return Ok(bytes(&own)) };
        joined.update(&own).map_err(internal)?;
        Ok(bytes(&joined.to_sketch(true)))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        self.state()
    }

    fn size(&self) -> usize {
        self.sketch.estimated_size() + self.joined.as_ref().map_or(0, ThetaUnion::estimated_size)
    }
}

/// Joins the sketches of rows.
struct Joining {
    function: &'static str,
    union: ThetaUnion,
}

impl Sketch for Joining {
    fn update(&mut self, row: &[Value], _: &Site) -> Result<()> {
        self.union.update(&read(self.function, row[0].bytes())?).map_err(internal)
    }

    fn merge(&mut self, state: Value, _: &Site) -> Result<()> {
        self.union.update(&read(self.function, state.bytes())?).map_err(internal)
    }

    fn state(&mut self) -> Result<Value> {
        Ok(bytes(&self.union.to_sketch(true)))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        self.state()
    }

    fn size(&self) -> usize {
        self.union.estimated_size()
    }
}

/// What the sketches of rows have in common.
struct Meeting {
    function: &'static str,
    intersection: ThetaIntersection,
}

impl Sketch for Meeting {
    fn update(&mut self, row: &[Value], _: &Site) -> Result<()> {
        self.intersection.update(&read(self.function, row[0].bytes())?).map_err(internal)
    }

    fn merge(&mut self, state: Value, _: &Site) -> Result<()> {
        self.intersection.update(&read(self.function, state.bytes())?).map_err(internal)
    }

    fn state(&mut self) -> Result<Value> {
        Ok(self.intersection.to_sketch(true).map_or(Value::Null, |sketch| bytes(&sketch)))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        match self.state()? {
            Value::Null => empty(),
            made => Ok(made),
        }
    }

    fn size(&self) -> usize {
        self.intersection.estimated_size()
    }
}

fn counting(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    let lg_k = lg_entries(function, site, 1)?;
    let sketch = ThetaSketchBuilder::default().lg_k(lg_k).build().map_err(internal)?;
    Ok(Box::new(Counting { function, lg_k, sketch, joined: None }))
}

fn joining(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    Ok(Box::new(Joining { function, union: union(lg_entries(function, site, 1)?)? }))
}

fn meeting(function: &'static str, _: &Site) -> Result<Box<dyn Sketch>> {
    Ok(Box::new(Meeting { function, intersection: ThetaIntersection::default() }))
}

fn counted(site: &Site) -> Result<DataType> {
    hashable("theta_sketch_agg", site.argument(0), true)?;
    Ok(DataType::Binary)
}

pub(super) fn kinds() -> Vec<Kind> {
    vec![
        Kind { name: "theta_sketch_agg", spec: "any int? -> bin", result: counted, make: counting },
        Kind { name: "theta_union_agg", spec: "bin int? -> bin", result: binary, make: joining },
        Kind { name: "theta_intersection_agg", spec: "bin -> bin", result: binary, make: meeting },
    ]
}

pub(super) fn add(set: &mut Set) {
    set.add("theta_sketch_estimate", "bin -> long", |row, _| {
        Ok(Value::Int(read("theta_sketch_estimate", row[0].bytes())?.estimate().round() as i64))
    });
    set.add("theta_union", "bin bin int? -> bin", |row, _| {
        let lg_k = entries("theta_union", row.get(2).map_or(12, Value::int))?;
        let mut union = union(lg_k)?;
        for side in &row[..2] {
            union.update(&read("theta_union", side.bytes())?).map_err(internal)?;
        }
        Ok(bytes(&union.to_sketch(true)))
    });
    set.add("theta_intersection", "bin bin -> bin", |row, _| {
        let mut intersection = ThetaIntersection::default();
        for side in &row[..2] {
            intersection.update(&read("theta_intersection", side.bytes())?).map_err(internal)?;
        }
        intersection.to_sketch(true).map_or_else(empty, |sketch| Ok(bytes(&sketch)))
    });
    set.add("theta_difference", "bin bin -> bin", |row, _| {
        let left = read("theta_difference", row[0].bytes())?;
        let right = read("theta_difference", row[1].bytes())?;
        Ok(bytes(&ThetaANotB::default().compute(&left, &right, true).map_err(internal)?))
    });
}
