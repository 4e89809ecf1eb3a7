//! The cases, as a user of frames would write them; results are fetched as batches.

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use trefoil_frames::frame::{
    Aggregation, ExprMethods, FrameMethods, FrameReports, FrameSession, Join, JoinKind, OrderedExpr,
    Partitions, col, lit,
};
use trefoil_plan::{CsvOptions, DataFrame, Session, WriteOptions};

use super::Timing;
use super::data::Tables;
use crate::Result;

const KEYS: [&str; 6] = ["id1", "id2", "id3", "id4", "id5", "id6"];

/// Collects, and gives the number of rows.
fn rows(session: &Session, frame: &DataFrame) -> Result<f64> {
    let batches = session.block_on(frame.collect())?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as f64)
}

/// Collects the one number of a frame with one row.
fn figure(session: &Session, frame: &DataFrame) -> Result<f64> {
    let batches = session.block_on(frame.collect())?;
    let batch = batches.iter().find(|batch| batch.num_rows() == 1).ok_or("the answer has not one row")?;
    let array = cast(batch.column(0), &DataType::Float64)?;
    Ok(array.as_primitive::<Float64Type>().value(0))
}

/// Runs all cases that are wanted.
pub fn run(timing: &mut Timing, tables: &Tables) -> Result<()> {
    files(timing, tables)?;
    let session = timing.session;
    let x = session.block_on(async {
        session.read_parquet(tables.grouped.with_extension("parquet")).await?.persist().await
    })?;
    groups(timing, &x)?;
    everyday(timing, &x, tables)?;
    drop(x);
    joins(timing, tables)?;
    chain(timing)
}

fn files(t: &mut Timing, tables: &Tables) -> Result<()> {
    let csv = tables.grouped.with_extension("csv");
    let parquet = tables.grouped.with_extension("parquet");
    // what the peers' readers assume, too: no line ends inside of values
    let flat = || CsvOptions::new().newlines_in_values(false);
    t.case("read_csv", |s| {
        let frame = s.block_on(async { s.read_csv_with(&csv, flat()).await?.persist().await })?;
        Ok(s.block_on(frame.count())? as f64)
    })?;
    t.case("read_parquet", |s| {
        let frame = s.block_on(async { s.read_parquet(&parquet).await?.persist().await })?;
        Ok(s.block_on(frame.count())? as f64)
    })?;
    t.case("scan_parquet_q1", |s| {
        let frame = s.block_on(s.read_parquet(&parquet))?;
        rows(s, &frame.group_by(["id1"]).sum(["v1"])?)
    })?;
    t.case("scan_parquet_filter", |s| figure(s, &filtered(&s.block_on(s.read_parquet(&parquet))?)?))?;
    t.case("scan_csv_q1", |s| {
        let frame = s.block_on(s.read_csv_with(&csv, flat()))?;
        rows(s, &frame.group_by(["id1"]).sum(["v1"])?)
    })
}

fn filtered(x: &DataFrame) -> Result<DataFrame> {
    let mask = col("v1").eq(lit(3)) & col("v2").gt(lit(7));
    Ok(x.filter(mask)?.agg([col("v3").sum()])?)
}

fn groups(t: &mut Timing, x: &DataFrame) -> Result<()> {
    t.case("gb_q1", |s| rows(s, &x.group_by(["id1"]).sum(["v1"])?))?;
    t.case("gb_q2", |s| rows(s, &x.group_by(["id1", "id2"]).sum(["v1"])?))?;
    t.case("gb_q3", |s| rows(s, &x.group_by(["id3"]).agg([col("v1").sum(), col("v3").mean()])?))?;
    t.case("gb_q4", |s| rows(s, &x.group_by(["id4"]).mean(["v1", "v2", "v3"])?))?;
    t.case("gb_q5", |s| rows(s, &x.group_by(["id6"]).sum(["v1", "v2", "v3"])?))?;
    t.case("gb_q6", |s| rows(s, &x.group_by(["id4", "id5"]).agg([col("v3").median(), col("v3").std()])?))?;
    t.case("gb_q7", |s| {
        rows(s, &x.group_by(["id3"]).agg([(col("v1").max() - col("v2").min()).alias("r")])?)
    })?;
    t.case("gb_q8", |s| {
        let top = x.dropna_of(["v3"])?.select(["id6", "v3"])?.group_by(["id6"]).nlargest(2, "v3")?;
        rows(s, &top)
    })?;
    t.case("gb_q9", |s| {
        let square = col("v1").corr(col("v2")).pow(lit(2)).alias("r2");
        rows(s, &x.group_by(["id2", "id4"]).agg([square])?)
    })?;
    t.case("gb_q10", |s| {
        let all = [col("v3").sum(), lit(1).count().alias("count")];
        rows(s, &x.group_by(KEYS).agg(all)?)
    })
}

fn everyday(t: &mut Timing, x: &DataFrame, tables: &Tables) -> Result<()> {
    t.case("filter_sum", |s| figure(s, &filtered(x)?))?;
    t.case("nunique_id3", |s| figure(s, &x.agg([col("id3").n_unique()])?))?;
    t.case("value_counts_id3", |s| rows(s, &x.value_counts(["id3"])?))?;
    t.case("describe", |s| {
        let three = x.select(["v1", "v2", "v3"])?;
        let _ = s.block_on(three.describe())?;
        Ok(0.0)
    })?;
    t.case("str_contains", |s| figure(s, &x.agg([col("id3").str().contains("042").sum()])?))?;
    if t.wants("rolling_mean_100") || t.wants("cumsum") {
        let session = t.session;
        let numbered = session.block_on(x.select(["v3"])?.with_row_index("row"))?;
        t.case("rolling_mean_100", |s| {
            rows(s, &numbered.select([col("v3").rolling(100).mean().alias("mean")])?)
        })?;
        t.case("cumsum", |s| rows(s, &numbered.select([col("v3").cumsum().alias("sum")])?))?;
    }
    t.case("sort_v3", |s| rows(s, &x.sort(["v3"])?))?;
    t.case("sort_id3_v3", |s| rows(s, &x.sort(["id3", "v3"])?))?;
    let session = t.session;
    t.case("set_index_v3", |s| {
        let sorted = s.block_on(x.repartition(Partitions::Sorted(vec!["v3".into()], s.workers())))?;
        Ok(s.block_on(sorted.count())? as f64)
    })?;
    t.case("shuffle_id6", |s| {
        let keyed = s.block_on(x.repartition(Partitions::Key(vec!["id6".into()], s.workers())))?;
        Ok(s.block_on(keyed.count())? as f64)
    })?;
    if ["get_dummies_2e6", "pivot_2e6", "melt_2e6"].iter().any(|case| t.wants(case)) {
        let some = session.block_on(x.head(2_000_000)?.persist())?;
        t.case("get_dummies_2e6", |s| {
            let known = s.block_on(some.select(["id1"])?.categorize())?;
            let coded = known.get_dummies()?;
            rows(s, &coded)?;
            Ok(coded.columns().len() as f64)
        })?;
        t.case("pivot_2e6", |s| {
            let wide = s.block_on(some.pivot_table(["id2"], "v1", "v3", Aggregation::Mean))?;
            rows(s, &wide)
        })?;
        t.case("melt_2e6", |s| rows(s, &some.melt(["id1"], ["v1", "v2", "v3"])?))?;
    }
    t.case("drop_duplicates", |s| rows(s, &x.select(["id1", "id2", "id4"])?.unique()?))?;
    t.case("write_parquet", |s| {
        let path = tables.dir.join("written.parquet");
        let all = WriteOptions::new().overwrite(true);
        let rows = s.block_on(x.write_parquet_with(&path, all))?;
        std::fs::remove_file(&path)?;
        Ok(rows as f64)
    })
}

fn joins(t: &mut Timing, tables: &Tables) -> Result<()> {
    if !(1..=5).any(|q| t.wants(&format!("join_q{q}"))) && !t.wants("join_sorted") {
        return Ok(());
    }
    let session = t.session;
    let load = |at: usize| {
        let path = tables.joined[at].with_extension("parquet");
        session.block_on(async { session.read_parquet(&path).await?.persist().await })
    };
    let (x, small, medium, big) = (load(0)?, load(1)?, load(2)?, load(3)?);
    t.case("join_q1", |s| rows(s, &x.join(&small, ["id1"], JoinKind::Inner)?))?;
    t.case("join_q2", |s| rows(s, &x.join(&medium, ["id2"], JoinKind::Inner)?))?;
    t.case("join_q3", |s| rows(s, &x.join(&medium, ["id2"], JoinKind::Left)?))?;
    t.case("join_q4", |s| rows(s, &x.join(&medium, ["id5"], JoinKind::Inner)?))?;
    t.case("join_q5", |s| rows(s, &x.join(&big, ["id3"], JoinKind::Inner)?))?;
    // what knowing the divisions saves: the same join of frames that are sorted by the key
    if t.wants("join_sorted") {
        let keys = || vec!["id3".to_owned()];
        let x = session.block_on(x.repartition(Partitions::Sorted(keys(), session.workers())))?;
        let like = Partitions::Like(keys(), Box::new(x.clone()));
        let big = session.block_on(big.repartition(like))?;
        t.case("join_sorted", |s| rows(s, &x.join_with(&big, &Join::on(["id3"], JoinKind::Inner))?))?;
    }
    Ok(())
}

/// What building a lazy chain of a hundred verbs costs.
fn chain(t: &mut Timing) -> Result<()> {
    let range = t.session.frame_from_range("a", 0..10)?;
    let f = range.with_column("b", col("a") * lit(2))?.with_column("c", lit("x"))?;
    t.case("chain_100", |_| {
        let mut built = f.clone();
        for i in 0..25_i64 {
            built = built.with_column("b", col("a") + lit(i))?;
            built = built.filter(col("b").gt(lit(-i)))?;
            built = built.rename([("c", "d")])?;
            built = built.rename([("d", "c")])?;
        }
        Ok(built.columns().len() as f64)
    })
}
