//! Tables of TPC-DS as the generator writes them, their columns, and queries of its class: for the tests of this crate and
//! for the benchmarks, which include this file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tpcdsgen::config::{SessionBuilder, Table};
use tpcdsgen::csv::*;
use tpcdsgen::row::*;

const SCHEMA: &str = include_str!("../data/tpcds/schema.txt");
const TEXTS: &str = include_str!("../data/tpcds/queries.sql");

/// Names and texts of the queries.
pub(crate) fn queries() -> Vec<(String, String)> {
    let parts = TEXTS.split("-- d").skip(1).filter_map(|part| {
        let (title, text) = part.split_once('\n')?;
        Some((format!("d{}", title.get(..2)?), text.trim().trim_end_matches(';').to_owned()))
    });
    parts.collect()
}

/// Names and types of the columns of a table, as SQL writes them.
pub(crate) fn columns(name: &str) -> Option<&'static str> {
    SCHEMA.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The statement that makes a table of a CSV file.
pub(crate) fn create(name: &str, csv: &Path) -> String {
    let columns = columns(name).unwrap_or_default();
    let file = csv.display();
    format!(
        "CREATE EXTERNAL TABLE {name} ({columns}) STORED AS CSV LOCATION '{file}' OPTIONS ('format.has_header' 'true')"
    )
}

macro_rules! tables {
    ($($name:literal $table:ident $generator:ident $csv:ident;)*) => {
        /// The tables that the queries read.
        pub(crate) const TABLES: &[&str] = &[$($name),*];

        /// Writes a table as CSV, with a line of names.
        pub(crate) fn write(name: &str, scale: f64, csv: &Path) -> io::Result<()> {
            let mut file = BufWriter::new(File::create(csv)?);
            match name {
                $($name => {
                    let session = SessionBuilder::new().with_scale_factor(scale).build();
                    let session = session.map_err(|error| io::Error::other(format!("scale {scale}: {error}")))?;
                    let count = session.get_scaling().get_row_count(Table::$table);
                    writeln!(file, "{}", $csv::header())?;
                    for row in $generator::new(session, count) {
                        writeln!(file, "{}", $csv::new(&row))?;
                    }
                })*
                other => return Err(io::Error::other(format!("TPC-DS has no table `{other}`"))),
            }
            file.flush()
        }
    };
}

tables! {
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
