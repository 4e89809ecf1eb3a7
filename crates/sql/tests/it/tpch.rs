//! The 22 queries of TPC-H at scale 0.01 against DuckDB's answers (`tests/data/tpch`), at several settings.
//!
//! The tables are CSV files with declared types, made by the generator for each run of a test, and Parquet files
//! written from these: only the latter have statistics, without which no rule orders joins or delays columns.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use tpchgen::csv::{
    CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv,
};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use trefoil_plan::Session;
use trefoil_sql::SqlSession;

use super::answers;

const SCALE: f64 = 0.01;

const COLUMNS: [(&str, &str); 8] = [
    ("region", "r_regionkey BIGINT, r_name STRING, r_comment STRING"),
    ("nation", "n_nationkey BIGINT, n_name STRING, n_regionkey BIGINT, n_comment STRING"),
    (
        "supplier",
        "s_suppkey BIGINT, s_name STRING, s_address STRING, s_nationkey BIGINT, s_phone STRING, \
         s_acctbal DECIMAL(15,2), s_comment STRING",
    ),
    (
        "customer",
        "c_custkey BIGINT, c_name STRING, c_address STRING, c_nationkey BIGINT, c_phone STRING, \
         c_acctbal DECIMAL(15,2), c_mktsegment STRING, c_comment STRING",
    ),
    (
        "part",
        "p_partkey BIGINT, p_name STRING, p_mfgr STRING, p_brand STRING, p_type STRING, p_size INT, \
         p_container STRING, p_retailprice DECIMAL(15,2), p_comment STRING",
    ),
    (
        "partsupp",
        "ps_partkey BIGINT, ps_suppkey BIGINT, ps_availqty INT, ps_supplycost DECIMAL(15,2), ps_comment STRING",
    ),
    (
        "orders",
        "o_orderkey BIGINT, o_custkey BIGINT, o_orderstatus STRING, o_totalprice DECIMAL(15,2), \
         o_orderdate DATE, o_orderpriority STRING, o_clerk STRING, o_shippriority INT, o_comment STRING",
    ),
    (
        "lineitem",
        "l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber INT, l_quantity DECIMAL(15,2), \
         l_extendedprice DECIMAL(15,2), l_discount DECIMAL(15,2), l_tax DECIMAL(15,2), l_returnflag STRING, \
         l_linestatus STRING, l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE, l_shipinstruct STRING, \
         l_shipmode STRING, l_comment STRING",
    ),
];

fn write<R: Display>(dir: &Path, name: &str, head: &str, rows: impl Iterator<Item = R>) {
    let mut file = BufWriter::new(File::create(dir.join(format!("{name}.csv"))).unwrap());
    writeln!(file, "{head}").unwrap();
    rows.for_each(|row| writeln!(file, "{row}").unwrap());
    file.flush().unwrap();
}

fn make(dir: &Path) {
    write(dir, "region", RegionCsv::header(), RegionGenerator::new(SCALE, 1, 1).iter().map(RegionCsv::new));
    write(dir, "nation", NationCsv::header(), NationGenerator::new(SCALE, 1, 1).iter().map(NationCsv::new));
    let suppliers = SupplierGenerator::new(SCALE, 1, 1);
    write(dir, "supplier", SupplierCsv::header(), suppliers.iter().map(SupplierCsv::new));
    let customers = CustomerGenerator::new(SCALE, 1, 1);
    write(dir, "customer", CustomerCsv::header(), customers.iter().map(CustomerCsv::new));
    write(dir, "part", PartCsv::header(), PartGenerator::new(SCALE, 1, 1).iter().map(PartCsv::new));
    let offers = PartSuppGenerator::new(SCALE, 1, 1);
    write(dir, "partsupp", PartSuppCsv::header(), offers.iter().map(PartSuppCsv::new));
    write(dir, "orders", OrderCsv::header(), OrderGenerator::new(SCALE, 1, 1).iter().map(OrderCsv::new));
    let items = LineItemGenerator::new(SCALE, 1, 1);
    write(dir, "lineitem", LineItemCsv::header(), items.iter().map(LineItemCsv::new));
}

fn session(dir: &Path, workers: usize, batch: usize, memory: &str) -> Session {
    let session = answers::session(workers, batch, memory);
    for (name, columns) in COLUMNS {
        let file = dir.join(format!("{name}.csv"));
        let text = format!(
            "CREATE EXTERNAL TABLE {name} ({columns}) STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true')",
            file.display()
        );
        let _ = session.block_on(session.sql(&text)).unwrap_or_else(|error| panic!("{text}\n{error}"));
    }
    session
}

/// The query of a number, for this scale.
fn query(number: usize) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../bench/queries/q{number:02}.sql"));
    // The only constant of the queries that depends on the scale.
    fs::read_to_string(file).unwrap().replace("0.0001000000", &format!("{:.10}", 0.0001 / SCALE))
}

/// How the answers of all queries differ from DuckDB's.
fn differences(session: &Session) -> Vec<String> {
    (1..=22)
        .filter_map(|number| {
            let file = answers::data(&format!("tpch/q{number:02}"));
            answers::difference(session, &query(number), &file, false)
        })
        .collect()
}

#[test]
fn answers_are_those_of_duckdb() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let mut wrong = Vec::new();
    for (workers, batch, memory) in [(2, 8192, "256MiB"), (1, 1000, "24MiB")] {
        let session = session(dir.path(), workers, batch, memory);
        wrong.extend(differences(&session).iter().map(|difference| format!("with {memory}: {difference}")));
        let budget = session.engine().budget().clone();
        drop(session);
        assert_eq!(budget.reserved(), 0);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Turns a rule off that is on by default, or on that is off.
const RULES: [&str; 4] = [
    "SET trefoil.join_order = false",
    "SET trefoil.filtered_scans = false",
    "SET trefoil.row_filters = false",
    "SET trefoil.share_plans = false",
];

/// The plans of all queries.
fn plans(session: &Session) -> Vec<String> {
    let plan = |number: usize| {
        let text = format!("EXPLAIN {}", query(number));
        let batches = session.block_on(async { session.sql(&text).await?.collect().await }).unwrap();
        batches.iter().flat_map(|batch| trefoil_sql::spark_format::rows(batch).unwrap()).flatten().collect()
    };
    (1..=22).map(plan).collect()
}

#[test]
fn answers_from_parquet_are_those_of_duckdb_with_and_without_each_rule() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let written = session(dir.path(), 2, 8192, "1GiB");
    for (name, _) in COLUMNS {
        written.block_on(async {
            let frame = written.table(name).await.unwrap();
            frame.write_parquet(dir.path().join(format!("{name}.parquet"))).await.unwrap();
        });
    }
    drop(written);
    let open = || {
        let session = answers::session(2, 8192, "256MiB");
        for (name, _) in COLUMNS {
            session.block_on(async {
                let frame = session.read_parquet(dir.path().join(format!("{name}.parquet"))).await.unwrap();
                session.register(name, &frame).unwrap();
            });
        }
        session
    };
    let (mut wrong, mut unmoved) = (Vec::new(), Vec::new());
    let on = open();
    wrong.extend(differences(&on));
    let usual = plans(&on);
    drop(on);
    for rule in RULES {
        let session = open();
        let _ = session.block_on(session.sql(rule)).unwrap();
        wrong.extend(differences(&session).iter().map(|difference| format!("{rule}: {difference}")));
        // A rule that changes no plan is not tested by these answers.
        if plans(&session) == usual {
            unmoved.push(rule);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unmoved.is_empty(), "no plan differs with {unmoved:?}");
}
