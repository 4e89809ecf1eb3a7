//! Ten thousand Parquet files of a hundred rows in one directory: what each file costs.
//!
//! trefoil names the directory in the query, so that every run lists it and looks into the files anew; peers have it
//! registered, which is how they are used.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;

use crate::Result;
use crate::sql_suite::Workload;

const FILES: usize = 10_000;
const ROWS: usize = 100;

/// Makes the files that are not there.
pub(crate) fn workload(dir: &Path, say: impl Fn(&str)) -> Result<Workload> {
    fs::create_dir_all(dir).map_err(|error| format!("cannot make `{}`: {error}", dir.display()))?;
    let done = dir.with_extension("done");
    if !done.is_file() {
        say(&format!("making {FILES} files in {}", dir.display()));
        for file in 0..FILES {
            write(&dir.join(format!("part-{file:05}.parquet")), file)?;
        }
        fs::write(done, b"")?;
    }
    let queries = [
        ("files_count", "SELECT count(*) AS n FROM {small}"),
        ("files_sum", "SELECT sum(a) AS s, max(t) AS t FROM {small}"),
        ("files_one", "SELECT count(*) AS n FROM {small} WHERE a = 500050"),
    ];
    let queries = queries.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    Ok(Workload { name: "files", tables: vec![("small", dir.to_owned())], queries })
}

fn write(path: &Path, file: usize) -> Result<()> {
    let numbers = (0..ROWS).map(|row| (file * ROWS + row) as i64);
    let texts = (0..ROWS).map(|row| format!("row {row} of file {file}"));
    let batch = RecordBatch::try_from_iter([
        ("a", Arc::new(Int64Array::from_iter_values(numbers)) as ArrayRef),
        ("t", Arc::new(StringArray::from_iter_values(texts))),
    ])?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}
