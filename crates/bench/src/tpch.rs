//! The TPC-H tables as Parquet files, made once per scale factor with the generator crate `tpchgen`.
//!
//! Types: keys Int64, other whole numbers Int32, money and quantities Decimal128(15, 2), dates Date32,
//! text Utf8. Files are written under another name and renamed at the end, so that a file that is there is
//! complete.

use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use tpchgen::generators::{
    Customer, CustomerGenerator, LineItem, LineItemGenerator, Nation, NationGenerator, Order, OrderGenerator,
    Part, PartGenerator, PartSupp, PartSuppGenerator, Region, RegionGenerator, Supplier, SupplierGenerator,
};

use crate::Result;

/// The tables.
pub const TABLES: [&str; 8] =
    ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

/// Rows of a group: small enough that a scan of one file can be shared by several threads.
const GROUP_ROWS: usize = 128 * 1024;
const BATCH_ROWS: usize = 32 * 1024;

/// How a column's values are found in a generated row.
enum Column<T> {
    Key(fn(&T) -> i64),
    Number(fn(&T) -> i32),
    /// In hundredths.
    Decimal(fn(&T) -> i64),
    /// In days since 1970.
    Date(fn(&T) -> i32),
    Text(fn(&T, &mut StringBuilder) -> std::fmt::Result),
}

use Column::{Date, Decimal, Key, Number, Text};

type Columns<T> = Vec<(&'static str, Column<T>)>;

/// The path of each table in `dir`; those that are not there are made.
pub fn tables(dir: &Path, scale: f64, say: impl Fn(&str)) -> Result<Vec<(&'static str, PathBuf)>> {
    std::fs::create_dir_all(dir).map_err(|error| format!("cannot make `{}`: {error}", dir.display()))?;
    let mut paths = Vec::new();
    for name in TABLES {
        let path = dir.join(format!("{name}.parquet"));
        if !path.is_file() {
            say(&format!("making {name} at scale {scale} in {}", dir.display()));
            let unfinished = dir.join(format!("{name}.unfinished"));
            make(name, scale, &unfinished)
                .and_then(|()| Ok(std::fs::rename(&unfinished, &path)?))
                .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
        }
        paths.push((name, path));
    }
    Ok(paths)
}

fn make(name: &str, scale: f64, path: &Path) -> Result<()> {
    match name {
        "region" => write(path, region(), RegionGenerator::new(scale, 1, 1).iter()),
        "nation" => write(path, nation(), NationGenerator::new(scale, 1, 1).iter()),
        "supplier" => write(path, supplier(), SupplierGenerator::new(scale, 1, 1).iter()),
        "customer" => write(path, customer(), CustomerGenerator::new(scale, 1, 1).iter()),
        "part" => write(path, part(), PartGenerator::new(scale, 1, 1).iter()),
        "partsupp" => write(path, partsupp(), PartSuppGenerator::new(scale, 1, 1).iter()),
        "orders" => write(path, orders(), OrderGenerator::new(scale, 1, 1).iter()),
        "lineitem" => write(path, lineitem(), LineItemGenerator::new(scale, 1, 1).iter()),
        other => Err(format!("TPC-H has no table `{other}`").into()),
    }
}

fn write<T>(path: &Path, columns: Columns<T>, mut rows: impl Iterator<Item = T>) -> Result<()> {
    let fields = columns.iter().map(|(name, column)| {
        let data_type = match column {
            Key(_) => DataType::Int64,
            Number(_) => DataType::Int32,
            Decimal(_) => DataType::Decimal128(15, 2),
            Date(_) => DataType::Date32,
            Text(_) => DataType::Utf8,
        };
        Field::new(*name, data_type, false)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, Arc::clone(&schema), Some(properties))?;
    loop {
        let some: Vec<T> = rows.by_ref().take(BATCH_ROWS).collect();
        if some.is_empty() {
            break;
        }
        let arrays = columns.iter().map(|(_, column)| array(column, &some)).collect::<Result<Vec<_>>>()?;
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), arrays)?)?;
    }
    writer.close()?;
    Ok(())
}

fn array<T>(column: &Column<T>, rows: &[T]) -> Result<ArrayRef> {
    Ok(match column {
        Key(get) => Arc::new(rows.iter().map(get).collect::<Int64Array>()),
        Number(get) => Arc::new(rows.iter().map(get).collect::<Int32Array>()),
        Decimal(get) => {
            let values = Decimal128Array::from_iter_values(rows.iter().map(|row| i128::from(get(row))));
            Arc::new(values.with_precision_and_scale(15, 2)?)
        }
        Date(get) => Arc::new(Date32Array::from_iter_values(rows.iter().map(get))),
        Text(write) => {
            let mut texts = StringBuilder::new();
            for row in rows {
                write(row, &mut texts)?;
                // Ends the value that was written.
                texts.append_value("");
            }
            Arc::new(texts.finish())
        }
    })
}

fn region() -> Columns<Region<'static>> {
    vec![
        ("r_regionkey", Key(|r| r.r_regionkey)),
        ("r_name", Text(|r, to| to.write_str(r.r_name))),
        ("r_comment", Text(|r, to| to.write_str(r.r_comment))),
    ]
}

fn nation() -> Columns<Nation<'static>> {
    vec![
        ("n_nationkey", Key(|r| r.n_nationkey)),
        ("n_name", Text(|r, to| to.write_str(r.n_name))),
        ("n_regionkey", Key(|r| r.n_regionkey)),
        ("n_comment", Text(|r, to| to.write_str(r.n_comment))),
    ]
}

fn supplier() -> Columns<Supplier> {
    vec![
        ("s_suppkey", Key(|r| r.s_suppkey)),
        ("s_name", Text(|r, to| write!(to, "{}", r.s_name))),
        ("s_address", Text(|r, to| write!(to, "{}", r.s_address))),
        ("s_nationkey", Key(|r| r.s_nationkey)),
        ("s_phone", Text(|r, to| write!(to, "{}", r.s_phone))),
        ("s_acctbal", Decimal(|r| r.s_acctbal.into_inner())),
        ("s_comment", Text(|r, to| to.write_str(&r.s_comment))),
    ]
}

fn customer() -> Columns<Customer<'static>> {
    vec![
        ("c_custkey", Key(|r| r.c_custkey)),
        ("c_name", Text(|r, to| write!(to, "{}", r.c_name))),
        ("c_address", Text(|r, to| write!(to, "{}", r.c_address))),
        ("c_nationkey", Key(|r| r.c_nationkey)),
        ("c_phone", Text(|r, to| write!(to, "{}", r.c_phone))),
        ("c_acctbal", Decimal(|r| r.c_acctbal.into_inner())),
        ("c_mktsegment", Text(|r, to| to.write_str(r.c_mktsegment))),
        ("c_comment", Text(|r, to| to.write_str(r.c_comment))),
    ]
}

fn part() -> Columns<Part<'static>> {
    vec![
        ("p_partkey", Key(|r| r.p_partkey)),
        ("p_name", Text(|r, to| write!(to, "{}", r.p_name))),
        ("p_mfgr", Text(|r, to| write!(to, "{}", r.p_mfgr))),
        ("p_brand", Text(|r, to| write!(to, "{}", r.p_brand))),
        ("p_type", Text(|r, to| to.write_str(r.p_type))),
        ("p_size", Number(|r| r.p_size)),
        ("p_container", Text(|r, to| to.write_str(r.p_container))),
        ("p_retailprice", Decimal(|r| r.p_retailprice.into_inner())),
        ("p_comment", Text(|r, to| to.write_str(r.p_comment))),
    ]
}

fn partsupp() -> Columns<PartSupp<'static>> {
    vec![
        ("ps_partkey", Key(|r| r.ps_partkey)),
        ("ps_suppkey", Key(|r| r.ps_suppkey)),
        ("ps_availqty", Number(|r| r.ps_availqty)),
        ("ps_supplycost", Decimal(|r| r.ps_supplycost.into_inner())),
        ("ps_comment", Text(|r, to| to.write_str(r.ps_comment))),
    ]
}

fn orders() -> Columns<Order<'static>> {
    vec![
        ("o_orderkey", Key(|r| r.o_orderkey)),
        ("o_custkey", Key(|r| r.o_custkey)),
        ("o_orderstatus", Text(|r, to| to.write_str(r.o_orderstatus.as_str()))),
        ("o_totalprice", Decimal(|r| r.o_totalprice.into_inner())),
        ("o_orderdate", Date(|r| r.o_orderdate.to_unix_epoch())),
        ("o_orderpriority", Text(|r, to| to.write_str(r.o_orderpriority))),
        ("o_clerk", Text(|r, to| write!(to, "{}", r.o_clerk))),
        ("o_shippriority", Number(|r| r.o_shippriority)),
        ("o_comment", Text(|r, to| to.write_str(r.o_comment))),
    ]
}

fn lineitem() -> Columns<LineItem<'static>> {
    vec![
        ("l_orderkey", Key(|r| r.l_orderkey)),
        ("l_partkey", Key(|r| r.l_partkey)),
        ("l_suppkey", Key(|r| r.l_suppkey)),
        ("l_linenumber", Number(|r| r.l_linenumber)),
        ("l_quantity", Decimal(|r| r.l_quantity * 100)),
        ("l_extendedprice", Decimal(|r| r.l_extendedprice.into_inner())),
        ("l_discount", Decimal(|r| r.l_discount.into_inner())),
        ("l_tax", Decimal(|r| r.l_tax.into_inner())),
        ("l_returnflag", Text(|r, to| to.write_str(r.l_returnflag))),
        ("l_linestatus", Text(|r, to| to.write_str(r.l_linestatus))),
        ("l_shipdate", Date(|r| r.l_shipdate.to_unix_epoch())),
        ("l_commitdate", Date(|r| r.l_commitdate.to_unix_epoch())),
        ("l_receiptdate", Date(|r| r.l_receiptdate.to_unix_epoch())),
        ("l_shipinstruct", Text(|r, to| to.write_str(r.l_shipinstruct))),
        ("l_shipmode", Text(|r, to| to.write_str(r.l_shipmode))),
        ("l_comment", Text(|r, to| to.write_str(r.l_comment))),
    ]
}

/// The text of query `number`, with the fraction of query 11 for the scale factor.
pub fn query(text: &str, scale: f64) -> String {
    text.replace("0.0001000000", &format!("{:.10}", 0.0001 / scale))
}

/// Name and text of the 22 queries.
pub const QUERIES: [(&str, &str); 22] = [
    ("q01", include_str!("../queries/q01.sql")),
    ("q02", include_str!("../queries/q02.sql")),
    ("q03", include_str!("../queries/q03.sql")),
    ("q04", include_str!("../queries/q04.sql")),
    ("q05", include_str!("../queries/q05.sql")),
    ("q06", include_str!("../queries/q06.sql")),
    ("q07", include_str!("../queries/q07.sql")),
    ("q08", include_str!("../queries/q08.sql")),
    ("q09", include_str!("../queries/q09.sql")),
    ("q10", include_str!("../queries/q10.sql")),
    ("q11", include_str!("../queries/q11.sql")),
    ("q12", include_str!("../queries/q12.sql")),
    ("q13", include_str!("../queries/q13.sql")),
    ("q14", include_str!("../queries/q14.sql")),
    ("q15", include_str!("../queries/q15.sql")),
    ("q16", include_str!("../queries/q16.sql")),
    ("q17", include_str!("../queries/q17.sql")),
    ("q18", include_str!("../queries/q18.sql")),
    ("q19", include_str!("../queries/q19.sql")),
    ("q20", include_str!("../queries/q20.sql")),
    ("q21", include_str!("../queries/q21.sql")),
    ("q22", include_str!("../queries/q22.sql")),
];
