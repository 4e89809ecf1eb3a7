//! Queries of the class of TPC-DS over its data at scale 0.01, against DuckDB's answers (`tests/data/tpcds`), at
//! several settings.
//!
//! The generator writes CSV files, which trefoil turns into Parquet: the queries read those.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use tpcdsgen::config::{SessionBuilder, Table};
use tpcdsgen::csv::*;
use tpcdsgen::row::*;
use trefoil_plan::Session;
use trefoil_sql::SqlSession;

use super::answers;

const SCALE: f64 = 0.01;

fn data(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tpcds").join(name);
    fs::read_to_string(file).unwrap()
}

macro_rules! tables {
    ($dir:expr; $($name:literal $table:ident $generator:ident $csv:ident;)*) => {$(
        let session = SessionBuilder::new().with_scale_factor(SCALE).build().unwrap();
        let count = session.get_scaling().get_row_count(Table::$table);
        let mut file = BufWriter::new(File::create($dir.join(concat!($name, ".csv"))).unwrap());
        writeln!(file, "{}", $csv::header()).unwrap();
        for row in $generator::new(session, count) {
            writeln!(file, "{}", $csv::new(&row)).unwrap();
        }
        file.flush().unwrap();
    )*};
}

fn make(dir: &Path) {
    tables! { dir;
        "call_center" CallCenter CallCenterRowGenerator CallCenterCsv;
        "catalog_returns" CatalogReturns CatalogReturnsRowGenerator CatalogReturnsCsv;
        "catalog_sales" CatalogSales CatalogSalesRowGenerator CatalogSalesCsv;
        "customer" Customer CustomerRowGenerator CustomerCsv;
        "customer_address" CustomerAddress CustomerAddressRowGenerator CustomerAddressCsv;
        "customer_demographics" CustomerDemographics CustomerDemographicsRowGenerator CustomerDemographicsCsv;
        "date_dim" DateDim DateDimRowGenerator DateDimCsv;
        "household_demographics" HouseholdDemographics HouseholdDemographicsRowGenerator HouseholdDemographicsCsv;
        "inventory" Inventory InventoryRowGenerator InventoryCsv;
        "item" Item ItemRowGenerator ItemCsv;
        "promotion" Promotion PromotionRowGenerator PromotionCsv;
        "reason" Reason ReasonRowGenerator ReasonCsv;
        "ship_mode" ShipMode ShipModeRowGenerator ShipModeCsv;
        "store" Store StoreRowGenerator StoreCsv;
        "store_returns" StoreReturns StoreReturnsRowGenerator StoreReturnsCsv;
        "store_sales" StoreSales StoreSalesRowGenerator StoreSalesCsv;
        "time_dim" TimeDim TimeDimRowGenerator TimeDimCsv;
        "warehouse" Warehouse WarehouseRowGenerator WarehouseCsv;
        "web_returns" WebReturns WebReturnsRowGenerator WebReturnsCsv;
        "web_sales" WebSales WebSalesRowGenerator WebSalesCsv;
    }
    let session = answers::session(2, 8192, "1GiB");
    let schema = data("schema.txt");
    for (name, columns) in schema.lines().filter_map(|line| line.split_once(": ")) {
        let file = dir.join(format!("{name}.csv"));
        if !file.exists() {
            continue;
        }
        let text = format!(
            "CREATE EXTERNAL TABLE {name} ({columns}) STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true')",
            file.display()
        );
        session.block_on(async {
            let _ = session.sql(&text).await.unwrap();
            let frame = session.table(name).await.unwrap();
            frame.write_parquet(dir.join(format!("{name}.parquet"))).await.unwrap();
        });
        fs::remove_file(file).unwrap();
    }
}

fn open(dir: &Path, (workers, batch, memory): (usize, usize, &str)) -> Session {
    let session = answers::session(workers, batch, memory);
    session.block_on(async {
        for entry in fs::read_dir(dir).unwrap() {
            let file = entry.unwrap().path();
            let frame = session.read_parquet(&file).await.unwrap();
            session.register(&file.file_stem().unwrap().to_string_lossy(), &frame).unwrap();
        }
    });
    session
}

#[test]
fn answers_are_those_of_duckdb() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    let queries = data("queries.sql");
    let queries: Vec<(&str, &str)> =
        queries.split("-- d").skip(1).map(|part| (&part[..2], part.split_once('\n').unwrap().1)).collect();
    assert!(queries.len() >= 25);
    let mut wrong = Vec::new();
    for settings in [(2, 8192, "512MiB"), (1, 1000, "48MiB")] {
        let session = open(dir.path(), settings);
        for (number, text) in &queries {
            let difference =
                answers::difference(&session, text, &answers::data(&format!("tpcds/d{number}")), true);
            wrong.extend(difference.map(|difference| format!("with {settings:?}: {difference}")));
        }
        let budget = session.engine().budget().clone();
        drop(session);
        assert_eq!(budget.reserved(), 0);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
