//! `approx_top_k..`: the most frequent values.
//!
//! Values of one count come in the order in which Java's sketch shows them, which is that of the places of their
//! hashes; where places collide, Java's order depends on that of the rows, and ours does not. In the sketch of `approx_top_k_accumulate` values other than texts are kept as eight bytes, so Spark
//! reads the sketches of text and BIGINT columns only.

use super::{Kind, Sketch, constant, internal, refused};
use crate::condition;
use crate::functions::Set;
use crate::functions::row::Site;
use crate::value::{Value, decimal, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datasketches::frequencies::{ErrorType, FrequentItemValue, FrequentItemsSketch};
use trefoil_core::ErrorKind;

/// How many values are shown where nothing is said, and how many tracked, and at most.
const SHOWN: i64 = 5;
const TRACKED: i64 = 10_000;
const MOST: i64 = 1_000_000;

/// Values as the sketch keeps them.
enum Counts {
    Number(FrequentItemsSketch<i64>),
    Text(FrequentItemsSketch<String>),
}

/// Whether values of a type are kept as text.
fn as_text(item: &DataType) -> bool {
    match item {
        DataType::Decimal128(precision, _) => *precision > 18,
        other => types::is_string(other),
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Float(x) => x.to_bits() as i64,
        Value::Decimal(n, _) => *n as i64,
        other => other.int(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Decimal(n, _) => n.to_string(),
        other => other.str().to_owned(),
    }
}

/// The value that was kept as a number.
fn from_number(n: i64, item: &DataType) -> Value {
    match item {
        DataType::Boolean => Value::Bool(n != 0),
        DataType::Float32 | DataType::Float64 => Value::Float(f64::from_bits(n as u64)),
        DataType::Decimal128(_, scale) => Value::Decimal(i128::from(n), *scale),
        _ => Value::Int(n),
    }
}

fn from_text(text: String, item: &DataType) -> Value {
    match item {
        DataType::Decimal128(_, scale) => {
            decimal::parse(&text).map_or(Value::Null, |(n, _)| Value::Decimal(n, *scale))
        }
        _ => Value::Str(text),
    }
}

/// The hash that Java has for a value.
fn java_hash(value: &Value, item: &DataType) -> i32 {
    let folded = |n: i64| (n ^ ((n as u64) >> 32) as i64) as i32;
    match value {
        Value::Bool(b) => {
            if *b {
                1231
            } else {
                1237
            }
        }
        Value::Str(text) => {
            text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
        }
        Value::Float(x) if item == &DataType::Float32 => (*x as f32).to_bits() as i32,
        Value::Float(x) => folded(x.to_bits() as i64),
        Value::Decimal(n, _) => folded(*n as i64),
        other if matches!(item, DataType::Int64 | DataType::Timestamp(..) | DataType::Time64(_)) => {
            folded(other.int())
        }
        other => other.int() as i32,
    }
}

/// The order in which Java's table of so many places, a power of two, shows values of these hashes.
fn shown(hashes: &[i32], places: usize) -> Vec<usize> {
    let mask = places - 1;
    let mut table: Vec<Option<usize>> = vec![None; places];
    for (index, hash) in hashes.iter().enumerate() {
        // The finalizer of MurmurHash3, over the sign-extended hash.
        let mut key = i64::from(*hash) as u64;
        key = (key ^ key >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        key = (key ^ key >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        key ^= key >> 33;
        let mut place = key as usize & mask;
        while table[place].is_some() {
            place = (place + 1) & mask;
        }
        table[place] = Some(index);
    }
    let stride = (places as f64 * ((5_f64.sqrt() - 1.0) / 2.0)) as usize | 1;
    (0..places).filter_map(|step| table[(step * stride) & mask]).collect()
}

impl Counts {
    fn new(tracked: i64, item: &DataType) -> Result<Self> {
        let places = (tracked as f64 / 0.75).ceil() as usize;
        let places = places.next_power_of_two().max(8);
        Ok(if as_text(item) {
            Self::Text(FrequentItemsSketch::new(places).map_err(internal)?)
        } else {
            Self::Number(FrequentItemsSketch::new(places).map_err(internal)?)
        })
    }

    fn read(function: &str, bytes: &[u8], item: &DataType) -> Result<Self> {
        let wrong =
            |_| condition::parameter(function, "the bytes are no sketch that `approx_top_k_accumulate` made");
        Ok(if as_text(item) {
            Self::Text(FrequentItemsSketch::deserialize(bytes).map_err(wrong)?)
        } else {
            Self::Number(FrequentItemsSketch::deserialize(bytes).map_err(wrong)?)
        })
    }

    fn update(&mut self, value: &Value) {
        match self {
            Self::Number(sketch) => sketch.update(number(value)),
            Self::Text(sketch) => sketch.update(text(value)),
        }
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Number(sketch), Self::Number(other)) => sketch.merge(other),
            (Self::Text(sketch), Self::Text(other)) => sketch.merge(other),
            _ => {}
        }
    }

    fn serialize(&self) -> Vec<u8> {
        match self {
            Self::Number(sketch) => sketch.serialize(),
            Self::Text(sketch) => sketch.serialize(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Number(sketch) => sketch.estimated_size(),
            Self::Text(sketch) => sketch.estimated_size(),
        }
    }

    /// The values with their counts, most frequent first.
    fn rows(&self, item: &DataType) -> Vec<(Value, u64)> {
        fn rows<T: FrequentItemValue + Clone>(
            sketch: &FrequentItemsSketch<T>,
            value: impl Fn(T) -> Value,
        ) -> (Vec<(Value, u64)>, u8) {
            let rows = sketch.frequent_items(ErrorType::NoFalsePositives);
            let rows = rows.iter().map(|row| (value(row.item().clone()), row.estimate())).collect();
            (rows, sketch.lg_cur_map_size())
        }
        let (rows, lg) = match self {
            Self::Number(sketch) => rows(sketch, |n| from_number(n, item)),
            Self::Text(sketch) => rows(sketch, |text| from_text(text, item)),
        };
        let hashes: Vec<i32> = rows.iter().map(|(value, _)| java_hash(value, item)).collect();
        let mut rows: Vec<_> = shown(&hashes, 1 << lg).into_iter().map(|index| rows[index].clone()).collect();
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        rows
    }
}

/// The counts of values and of nulls.
struct Top {
    function: &'static str,
    item: DataType,
    tracked: i64,
    /// How many values to show; none to hand on the sketch.
    k: Option<i64>,
    /// Whether the rows hold sketches, and whether their size was given.
    sketches: Option<bool>,
    counts: Counts,
    nulls: u64,
    empty: bool,
}

/// The bytes of a sketch with the number of nulls behind them.
fn bytes(counts: &Counts, nulls: u64) -> Value {
    let mut bytes = counts.serialize();
    bytes.extend(nulls.to_le_bytes());
    Value::Bin(bytes)
}

fn parts<'a>(function: &str, bytes: &'a [u8]) -> Result<(&'a [u8], u64)> {
    bytes.split_last_chunk::<8>().map(|(sketch, nulls)| (sketch, u64::from_le_bytes(*nulls))).ok_or_else(
        || condition::parameter(function, "the bytes are no sketch that `approx_top_k_accumulate` made"),
    )
}

fn shown_rows(counts: &Counts, nulls: u64, item: &DataType, k: i64) -> Value {
    let mut rows = counts.rows(item);
    if nulls > 0 {
        let at = rows.iter().position(|(_, count)| *count < nulls).unwrap_or(rows.len());
        rows.insert(at, (Value::Null, nulls));
    }
    let row = |(value, count): (Value, u64)| Value::Struct(vec![value, Value::Int(count as i64)]);
    Value::List(rows.into_iter().take(k.max(0) as usize).map(row).collect())
}

impl Top {
    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let (sketch, nulls) = parts(self.function, bytes)?;
        self.counts.merge(&Counts::read(self.function, sketch, &self.item)?);
        self.nulls += nulls;
        Ok(())
    }

    /// The state of another: the number of tracked values before its sketch.
    fn take_size(&mut self, tracked: i64) -> Result<()> {
        if self.empty {
            self.empty = false;
            if self.sketches == Some(false) && tracked != self.tracked {
                self.tracked = tracked;
                self.counts = Counts::new(tracked, &self.item)?;
            }
        } else if self.sketches == Some(false) && tracked != self.tracked {
            return Err(refused(
                "APPROX_TOP_K_SKETCH_SIZE_NOT_MATCH",
                "42846",
                format!(
                    "combining approx_top_k sketches of different sizes is not allowed. Found sketches of size {} and \
                     {tracked}.",
                    self.tracked
                ),
            ));
        }
        Ok(())
    }
}

impl Sketch for Top {
    fn update(&mut self, row: &[Value], _: &Site) -> Result<()> {
        if self.sketches.is_some() {
            let [Value::Bin(bytes), tracked, ..] = row[0].list() else { return Ok(()) };
            self.take_size(tracked.int())?;
            return self.add(bytes);
        }
        self.empty = false;
        match &row[0] {
            Value::Null => self.nulls += 1,
            value => self.counts.update(value),
        }
        Ok(())
    }

    fn merge(&mut self, state: Value, _: &Site) -> Result<()> {
        let Some((tracked, rest)) = state.bytes().split_first_chunk::<8>() else { return Ok(()) };
        self.take_size(i64::from_le_bytes(*tracked))?;
        self.add(rest)
    }

    fn state(&mut self) -> Result<Value> {
        if self.empty {
            return Ok(Value::Null);
        }
        let mut state = self.tracked.to_le_bytes().to_vec();
        state.extend(bytes(&self.counts, self.nulls).bytes());
        Ok(Value::Bin(state))
    }

    fn finish(&mut self, _: &Site) -> Result<Value> {
        Ok(match self.k {
            Some(k) => shown_rows(&self.counts, self.nulls, &self.item, k),
            None => Value::Struct(vec![
                bytes(&self.counts, self.nulls),
                Value::Int(self.tracked),
                Value::Null,
                format!("item {} not null", types::name(&self.item)).into(),
            ]),
        })
    }

    fn size(&self) -> usize {
        self.counts.size()
    }
}

// --- arguments ---------------------------------------------------------------------------------------------------

fn positive(name: &str, given: i64) -> Result<i64> {
    if given > 0 {
        return Ok(given);
    }
    let message =
        format!("the value of `{name}` in `approx_top_k` must be a positive integer, but got {given}.");
    Err(refused("APPROX_TOP_K_NON_POSITIVE_ARG", "22023", message))
}

fn argument(name: &str, site: &Site, index: usize, default: i64) -> Result<i64> {
    let null = || {
        let message =
            format!("the value of `{name}` in `approx_top_k` must be a constant and cannot be NULL.");
        refused("APPROX_TOP_K_NULL_ARG", "22004", message)
    };
    positive(name, constant(site, index, default, null)?)
}

fn tracked(site: &Site, index: usize) -> Result<i64> {
    let given = argument("maxItemsTracked", site, index, TRACKED)?;
    if given > MOST {
        return Err(refused(
            "APPROX_TOP_K_MAX_ITEMS_TRACKED_EXCEEDS_LIMIT",
            "22023",
            format!(
                "the max items tracked `maxItemsTracked`({given}) of `approx_top_k` should be less than or equal to {MOST}."
            ),
        ));
    }
    Ok(given)
}

fn enough(tracked: i64, k: i64) -> Result<()> {
    if tracked >= k {
        return Ok(());
    }
    Err(refused(
        "APPROX_TOP_K_MAX_ITEMS_TRACKED_LESS_THAN_K",
        "22023",
        format!(
            "the max items tracked `maxItemsTracked`({tracked}) of `approx_top_k` should be greater than or equal to \
             `k`({k})."
        ),
    ))
}

fn rows_of(item: DataType) -> DataType {
    types::list_of(types::struct_of([("item", item), ("count", DataType::Int64)]))
}

fn state_of(item: DataType) -> DataType {
    types::struct_of([
        ("sketch", DataType::Binary),
        ("maxItemsTracked", DataType::Int32),
        ("itemDataType", item),
        ("itemDataTypeDDL", DataType::Utf8),
    ])
}

fn hint(message: String) -> DataFusionError {
    condition::error(
        ErrorKind::TypeMismatch,
        "DATATYPE_MISMATCH.TYPE_CHECK_FAILURE_WITH_HINT",
        "42K09",
        message,
    )
}

/// The type of counted values.
fn counted(site: &Site) -> Result<DataType> {
    match site.argument(0) {
        t if t.is_nested() || types::is_interval(t) || types::is_binary(t) => {
            Err(hint(format!("`approx_top_k`: {} columns are not supported.", types::name(t))))
        }
        t => Ok(t.clone()),
    }
}

/// The type of the values in a state.
fn kept(site: &Site) -> Result<DataType> {
    match site.argument(0) {
        DataType::Struct(fields) if fields.len() == 4 && fields[0].data_type() == &DataType::Binary => {
            Ok(fields[2].data_type().clone())
        }
        other => Err(hint(format!(
            "the first argument must be what `approx_top_k_accumulate` makes, not {}.",
            types::name(other).to_uppercase()
        ))),
    }
}

fn top(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    let (k, tracked) = (argument("k", site, 1, SHOWN)?, tracked(site, 2)?);
    enough(tracked, k)?;
    made(function, counted(site)?, tracked, Some(k), None)
}

fn accumulating(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    made(function, counted(site)?, tracked(site, 1)?, None, None)
}

fn combining(function: &'static str, site: &Site) -> Result<Box<dyn Sketch>> {
    made(function, kept(site)?, tracked(site, 1)?, None, Some(site.types.len() > 1))
}

fn made(
    function: &'static str,
    item: DataType,
    tracked: i64,
    k: Option<i64>,
    sketches: Option<bool>,
) -> Result<Box<dyn Sketch>> {
    let counts = Counts::new(tracked, &item)?;
    Ok(Box::new(Top { function, item, tracked, k, sketches, counts, nulls: 0, empty: true }))
}

pub(super) fn kinds() -> Vec<Kind> {
    let kind = |name, spec, result, make| Kind { name, spec, result, make };
    vec![
        kind("approx_top_k", "! any int? int? -> ..", |site: &Site| Ok(rows_of(counted(site)?)), top),
        kind(
            "approx_top_k_accumulate",
            "! any int? -> ..",
            |site: &Site| Ok(state_of(counted(site)?)),
            accumulating,
        ),
        kind("approx_top_k_combine", "struct int? -> ..", |site: &Site| Ok(state_of(kept(site)?)), combining),
    ]
}

pub(super) fn add(set: &mut Set) {
    set.typed(
        "approx_top_k_estimate",
        "struct int? -> ..",
        |site| Ok(rows_of(kept(site)?)),
        |row, site| {
            let name = "approx_top_k_estimate";
            let k = positive("k", row.get(1).map_or(SHOWN, Value::int))?;
            let [Value::Bin(bytes), tracked, ..] = row[0].list() else { return Ok(Value::Null) };
            enough(tracked.int(), k)?;
            let item = kept(site)?;
            let (sketch, nulls) = parts(name, bytes)?;
            Ok(shown_rows(&Counts::read(name, sketch, &item)?, nulls, &item, k))
        },
    );
}
