//! Tables of TPC-DS as Parquet files, and queries of its class: those whose answers the tests of the SQL leaf compare with
//! DuckDB's.
//!
//! The generator writes CSV, which trefoil turns into Parquet with Snappy, as `tpch` writes it.

use std::fs;
use std::path::{Path, PathBuf};

use trefoil_plan::Session;
use trefoil_sql::SqlSession;

use crate::Result;

#[path = "../../sql/tests/it/tpcds_tables.rs"]
mod tpcds_tables;

pub(crate) use tpcds_tables::queries;
use tpcds_tables::{TABLES, create, write};

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
    write(name, scale, &csv)?;
    let text = create(name, &csv);
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
            assert!(tpcds_tables::columns(name).is_some(), "{name}");
        }
    }
}
