//! The tables of the db-benchmark: `G1` with nine columns for group-bys and sorts, `J1` with a small, a
//! medium and a big right side for joins.
//!
//! Distributions are those of its generators (no nulls, unsorted, 100 groups in the small keys): of the keys of
//! a join's right side nine tenths are on the left, too. Numbers are drawn by SplitMix64, so the same on every
//! machine. Files are written under another name and renamed at the end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;

use crate::Result;

/// Distinct values of the small keys.
const GROUPS: usize = 100;
const BATCH: usize = 64 * 1024;
const GROUP_ROWS: usize = 1 << 20;

/// Where the tables are.
pub struct Tables {
    /// For group-bys, without its extension: there are `.parquet` and `.csv`.
    pub grouped: PathBuf,
    /// The left side of joins and the small, medium and big right sides.
    pub joined: [PathBuf; 4],
    pub dir: PathBuf,
}

/// The tables of `rows` rows in `dir`; those that are not there are made.
pub fn tables(dir: &Path, rows: usize, say: impl Fn(&str)) -> Result<Tables> {
    std::fs::create_dir_all(dir).map_err(|error| format!("cannot make `{}`: {error}", dir.display()))?;
    let names = ["g1", "j1_left", "j1_small", "j1_medium", "j1_big"];
    let path = |name: &str| dir.join(name);
    if !path("g1.csv").is_file() || !names.iter().all(|name| path(&format!("{name}.parquet")).is_file()) {
        say(&format!("making tables of {rows} rows in {}", dir.display()));
        grouped(&path("g1"), rows)?;
        let keys = [1_000_000, 1_000, 1].map(|divisor| (rows / divisor).max(10));
        for (at, name) in names[1..].iter().enumerate() {
            let (size, used, side) = match at {
                0 => (rows, 3, Side::Left),
                at => (keys[at - 1], at, Side::Right),
            };
            joined(&path(name), size, &keys[..used], side, 100 + at as u64)?;
        }
    }
    let [grouped, joined @ ..] = names.map(path);
    Ok(Tables { grouped, joined, dir: dir.to_owned() })
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `below`, which is excluded.
    fn below(&mut self, below: usize) -> usize {
        ((u128::from(self.next()) * below as u128) >> 64) as usize
    }

    /// From 0 to 100 with six digits.
    fn measure(&mut self) -> f64 {
        self.below(100_000_001) as f64 / 1e6
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            values.swap(at, self.below(at + 1));
        }
    }
}

fn grouped(path: &Path, rows: usize) -> Result<()> {
    let mut random = Random(108);
    let many = (rows / GROUPS).max(1);
    let mut batches = Vec::new();
    let mut left = rows;
    while left > 0 || batches.is_empty() {
        let size = left.min(BATCH);
        let mut text = |digits: usize, groups: usize| -> ArrayRef {
            let values = (0..size).map(|_| format!("id{:0digits$}", random.below(groups) + 1));
            Arc::new(StringArray::from_iter_values(values))
        };
        let (id1, id2, id3) = (text(3, GROUPS), text(3, GROUPS), text(10, many));
        let mut whole = |groups: usize| -> ArrayRef {
            Arc::new(Int32Array::from_iter_values((0..size).map(|_| random.below(groups) as i32 + 1)))
        };
        let (id4, id5, id6) = (whole(GROUPS), whole(GROUPS), whole(many));
        let (v1, v2) = (whole(5), whole(15));
        let v3: ArrayRef = Arc::new(Float64Array::from_iter_values((0..size).map(|_| random.measure())));
        let names = ["id1", "id2", "id3", "id4", "id5", "id6", "v1", "v2", "v3"];
        let columns = [id1, id2, id3, id4, id5, id6, v1, v2, v3];
        batches.push(RecordBatch::try_from_iter(names.into_iter().zip(columns))?);
        left -= size;
    }
    write_parquet(path, &batches)?;
    write_csv(path, &batches)
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
}

/// The keys of one side: all of the common ones and the side's own, repeated up to the number of rows.
fn side_keys(keys: usize, rows: usize, side: Side, seed: u64) -> Vec<i32> {
    // the same permutation for both sides
    let mut all: Vec<i32> = (1..=(keys as f64 * 1.1) as i32).collect();
    Random(keys as u64).shuffle(&mut all);
    let common = (keys as f64 * 0.9) as usize;
    let own = match side {
        Side::Left => common..keys,
        Side::Right => keys..all.len(),
    };
    let mut chosen: Vec<i32> = all[..common].iter().chain(&all[own]).copied().collect();
    let mut random = Random(seed);
    let distinct = chosen.len();
    while chosen.len() < rows {
        chosen.push(chosen[random.below(distinct)]);
    }
    chosen.truncate(rows);
    random.shuffle(&mut chosen);
    chosen
}

fn joined(path: &Path, rows: usize, keys: &[usize], side: Side, seed: u64) -> Result<()> {
    let ids: Vec<Vec<i32>> = keys
        .iter()
        .enumerate()
        .map(|(at, keys)| side_keys(*keys, rows, side, seed * 10 + at as u64))
        .collect();
    let mut random = Random(seed);
    let mut batches = Vec::new();
    for start in (0..rows).step_by(BATCH) {
        let end = rows.min(start + BATCH);
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for (at, ids) in ids.iter().enumerate() {
            let values = Int32Array::from_iter_values(ids[start..end].iter().copied());
            columns.push((format!("id{}", at + 1), Arc::new(values)));
        }
        for (at, ids) in ids.iter().enumerate() {
            let texts = StringArray::from_iter_values(ids[start..end].iter().map(|id| format!("id{id}")));
            columns.push((format!("id{}", at + 4), Arc::new(texts)));
        }
        let values = Float64Array::from_iter_values((start..end).map(|_| random.measure()));
        let name = if side == Side::Left { "v1" } else { "v2" };
        columns.push((name.to_owned(), Arc::new(values)));
        batches.push(RecordBatch::try_from_iter(columns)?);
    }
    write_parquet(path, &batches)
}

fn schema(batches: &[RecordBatch]) -> Result<SchemaRef> {
    Ok(batches.first().ok_or("a table has rows")?.schema())
}

fn write_parquet(path: &Path, batches: &[RecordBatch]) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let unfinished = path.with_extension("unfinished");
    let mut writer = ArrowWriter::try_new(File::create(&unfinished)?, schema(batches)?, Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(std::fs::rename(unfinished, path.with_extension("parquet"))?)
}

fn write_csv(path: &Path, batches: &[RecordBatch]) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut writer = WriterBuilder::new().with_header(true).build(File::create(&unfinished)?);
    for batch in batches {
        writer.write(batch)?;
    }
    drop(writer);
    Ok(std::fs::rename(unfinished, path.with_extension("csv"))?)
}
