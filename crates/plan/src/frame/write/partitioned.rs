//! A directory for each value of some columns.
//!
//! Each stream of the plan has writers of its own, a file per directory it meets; when too many are open, the
//! one used longest ago is completed, and its directory gets another file if it comes up again.

use super::{Format, Writer};
use crate::source::partition_value;
use datafusion::arrow::array::{RecordBatch, UInt64Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result as PlanResult;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};

/// Files open at once in each stream.
const OPEN: usize = 32;

/// The columns that make directories, and the others.
#[derive(Clone)]
pub(super) struct Keys {
    names: Vec<String>,
    places: Vec<usize>,
    rest: Vec<usize>,
    schema: SchemaRef,
}

impl Keys {
    pub(super) fn new(operation: &'static str, schema: &SchemaRef, names: &[String]) -> Result<Option<Keys>> {
        if names.is_empty() {
            return Ok(None);
        }
        let mut places = Vec::new();
        for name in names {
            let Ok(place) = schema.index_of(name) else {
                let known = schema.fields().iter().map(|field| field.name().clone());
                return Err(Error::unknown_column(operation, name, known));
            };
            if places.contains(&place) || schema.field(place).data_type().is_nested() {
                let text = format!("`{name}` cannot make directories: it is there twice, or nested");
                return Err(Error::new(ErrorKind::InvalidArgument, operation, text));
            }
            places.push(place);
        }
        let rest: Vec<usize> = (0..schema.fields().len()).filter(|at| !places.contains(at)).collect();
        if rest.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, operation, "no column is left for the files"));
        }
        let fields: Vec<_> = rest.iter().map(|at| Arc::clone(&schema.fields()[*at])).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Some(Keys { names: names.to_vec(), places, rest, schema }))
    }

    /// The rows of each directory.
    fn split(&self, batch: &RecordBatch) -> PlanResult<Vec<(PathBuf, RecordBatch)>> {
        let columns: Vec<_> = self.places.iter().map(|at| Arc::clone(batch.column(*at))).collect();
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        let mut groups: Vec<Vec<u64>> = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let group = *places.entry(row.data()).or_insert(groups.len());
            if group == groups.len() {
                groups.push(Vec::new());
            }
            groups[group].push(at as u64);
        }
        let options = FormatOptions::default();
        let texts = columns.iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let files = batch.project(&self.rest)?;
        let mut split = Vec::with_capacity(groups.len());
        for group in groups {
            let first = group.first().map_or(0, |row| *row as usize);
            let mut path = PathBuf::new();
            for ((name, column), text) in self.names.iter().zip(&columns).zip(&texts) {
                let value = column.is_valid(first).then(|| text.value(first).to_string());
                path.push(format!(
                    "{}={}",
                    partition_value::escaped(name),
                    partition_value::written(value.as_deref())
                ));
            }
            split.push((path, take_record_batch(&files, &UInt64Array::from(group))?));
        }
        Ok(split)
    }
}

/// The writers of a stream.
pub(super) struct Fan {
    dir: PathBuf,
    format: Format,
    index: usize,
    keys: Keys,
    /// The one used last at the end.
    open: Vec<(PathBuf, Writer)>,
    made: HashMap<PathBuf, usize>,
}

impl Fan {
    pub(super) fn new(dir: &Path, format: Format, index: usize, keys: Keys) -> Self {
        Self { dir: dir.to_owned(), format, index, keys, open: Vec::new(), made: HashMap::new() }
    }

    pub(super) async fn write(mut self, mut stream: SendableRecordBatchStream) -> PlanResult<usize> {
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            rows += batch.num_rows();
            for (path, part) in self.keys.split(&batch)? {
                self.writer(path)?.write(&part)?;
            }
        }
        for (_, writer) in self.open {
            writer.finish()?;
        }
        Ok(rows)
    }

    fn writer(&mut self, path: PathBuf) -> PlanResult<&mut Writer> {
        let found = match self.open.iter().position(|(open, _)| *open == path) {
            Some(at) => self.open.remove(at).1,
            None => {
                if self.open.len() >= OPEN {
                    self.open.remove(0).1.finish()?;
                }
                let number = self.made.entry(path.clone()).or_default();
                let name = format!("part-{:05}-{number:05}.{}", self.index, self.format.extension());
                *number += 1;
                let dir = self.dir.join(&path);
                fs::create_dir_all(&dir)?;
                Writer::create(&dir.join(name), Arc::clone(&self.keys.schema), self.format)?
            }
        };
        self.open.push((path, found));
        let last = self.open.len() - 1;
        Ok(&mut self.open[last].1)
    }
}
