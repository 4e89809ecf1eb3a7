//! Tables of TPC-DS as Parquet files, and queries of its class: those whose answers the tests of the SQL leaf compare with
//! DuckDB's.
//!
//! The generator writes CSV, which trefoil turns into Parquet with Snappy, as `tpch` writes it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tpcdsgen::config::{SessionBuilder, Table};
use tpcdsgen::csv::*;
use tpcdsgen::row::*;
use trefoil_plan::Session;
use trefoil_sql::SqlSession;

use crate::Result;

const SCHEMA: &str = include_str!("../../sql/tests/data/tpcds/schema.txt");
const TEXTS: &str = include_str!("../../sql/tests/data/tpcds/queries.sql");

/// Names and texts.
pub(crate) fn queries() -> Vec<(String, String)> {
    let parts = TEXTS.split("-- d").skip(1).filter_map(|part| {
        let (title, text) = part.split_once('\n')?;
        Some((format!("d{}", title.get(..2)?), text.trim().trim_end_matches(';').to_owned()))
    });
    parts.collect()
}

macro_rules! tables {
    ($($name:literal $table:ident $generator:ident $csv:ident;)*) => {
        const TABLES: &[&str] = &[$($name),*];

        fn rows(name: &str, scale: f64, file: &mut impl Write) -> Result<()> {
            match name {
                $($name => {
                    let session = SessionBuilder::new()
                        .with_scale_factor(scale)
                        .build()
                        .map_err(|error| format!("scale {scale}: {error}"))?;
                    let count = session.get_scaling().get_row_count(Table::$table);
                    writeln!(file, "{}", $csv::header())?;
                    for row in $generator::new(session, count) {
                        writeln!(file, "{}", $csv::new(&row))?;
                    }
                    Ok(())
                })*
                other => Err(format!("TPC-DS has no table `{other}`").into()),
            }
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

/// The tables and their files; those that are not there are made.
pub(crate) fn tables(dir: &Path, scale: f64, say: impl Fn(&str)) -> Result<Vec<(&'static str, PathBuf)>> {
    fs::create_dir_all(dir).map_err(|error| format!("cannot make `{}`: {error}", dir.display()))?;
    let mut paths = Vec::new();
    for &name in TABLES {
        let path = dir.join(format!("{name}.parquet"));
        if !path.is_file() {
            say(&format!("making {name} at scale {scale} in {}", dir.display()));
            make(name, scale, dir, &path)?;
        }
        paths.push((name, path));
    }
    Ok(paths)
}

fn make(name: &str, scale: f64, dir: &Path, path: &Path) -> Result<()> {
    let csv = dir.join(format!("{name}.csv"));
    let mut file = BufWriter::new(File::create(&csv)?);
    rows(name, scale, &mut file)?;
    file.flush()?;
    let start = format!("{name}: ");
    let columns = SCHEMA.lines().find_map(|line| line.strip_prefix(&*start));
    let columns = columns.ok_or_else(|| format!("no columns of `{name}`"))?;
    let text = format!(
        "CREATE EXTERNAL TABLE {name} ({columns}) STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true')",
        csv.display()
    );
    let session = Session::local()?;
    let unfinished = dir.join(format!("{name}.unfinished.parquet"));
    session.block_on(async {
        session.sql(&text).await?.collect().await?;
        session.table(name).await?.write_parquet(&unfinished).await
    })?;
    fs::rename(unfinished, path)?;
    fs::remove_file(csv)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_and_table_is_known() {
        let queries = queries();
        assert!(queries.len() >= 25, "{}", queries.len());
        assert!(queries.iter().all(|(_, text)| text.starts_with("SELECT") || text.starts_with("WITH")));
        for name in TABLES {
            assert!(SCHEMA.contains(&format!("{name}: ")), "{name}");
        }
    }
}
