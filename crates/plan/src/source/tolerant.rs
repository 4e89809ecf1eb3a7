//! CSV and JSON with rows that do not fit: dropped, or kept with their text; and CSV with dates of another form.
//!
//! DataFusion's readers stop at the first row that does not fit. These read a file record by record, build columns of
//! text, and convert them with a null for what does not convert: a cell that was there and is null then is what is
//! wrong with its row. One partition for each file.

use super::find::Format;
use super::{CsvOptions, Malformed};
use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use datafusion::arrow::csv as arrow_csv;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::json as arrow_json;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use serde_json::Value as Json;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a batch.
const ROWS: usize = 8192;

/// Whether the options ask for more than DataFusion's readers do.
pub(super) fn is_needed(format: Format, options: &CsvOptions) -> bool {
    let lenient = options.malformed != Malformed::Fail;
    match format {
        Format::Csv => lenient || options.date_format.is_some() || options.timestamp_format.is_some(),
        Format::Json => lenient,
        _ => false,
    }
}

/// The columns of the first rows that fit.
pub(super) fn infer(format: Format, file: &Path, options: &CsvOptions) -> PlanResult<SchemaRef> {
    match format {
        Format::Csv => infer_csv(file, options),
        _ => infer_json(file, options),
    }
}

/// The table of the files.
pub(super) fn table(
    format: Format,
    files: &[PathBuf],
    schema: SchemaRef,
    options: &CsvOptions,
) -> PlanResult<Arc<dyn TableProvider>> {
    let full = match &options.malformed {
        Malformed::Keep(column) => {
            let mut fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
            fields.push(Field::new(column, DataType::Utf8, true));
            Arc::new(Schema::new(fields))
        }
        _ => Arc::clone(&schema),
    };
    let part = |file: &PathBuf| {
        Arc::new(Part {
            file: file.clone(),
            format,
            columns: Arc::clone(&schema),
            schema: Arc::clone(&full),
            options: options.clone(),
        }) as Arc<dyn PartitionStream>
    };
    Ok(Arc::new(StreamingTable::try_new(full.clone(), files.iter().map(part).collect())?))
}

#[derive(Debug)]
struct Part {
    file: PathBuf,
    format: Format,
    /// What is read from the file.
    columns: SchemaRef,
    /// With the column of what is wrong.
    schema: SchemaRef,
    options: CsvOptions,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches: Box<dyn Iterator<Item = PlanResult<RecordBatch>> + Send> = match self.format {
            Format::Csv => match CsvRows::open(&self.file, &self.columns, &self.schema, &self.options) {
                Ok(rows) => Box::new(rows),
                Err(error) => Box::new(std::iter::once(Err(error))),
            },
            _ => match JsonRows::open(&self.file, &self.columns, &self.schema, &self.options) {
                Ok(rows) => Box::new(rows),
                Err(error) => Box::new(std::iter::once(Err(error))),
            },
        };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(batches)))
    }
}

fn open(file: &Path) -> PlanResult<Box<dyn Read + Send>> {
    let opened = File::open(file)?;
    Ok(match super::compression::of(file) {
        super::compression::Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(opened)),
        super::compression::Compression::None => Box::new(opened),
        other => {
            return Err(DataFusionError::NotImplemented(format!(
                "a policy for malformed rows in {} files",
                other.title()
            )));
        }
    })
}

fn failed(file: &Path, error: impl std::fmt::Display) -> DataFusionError {
    DataFusionError::External(Box::new(trefoil_core::Error::new(
        trefoil_core::ErrorKind::MalformedData,
        "read",
        format!("`{}`: {error}", file.display()),
    )))
}

// --- rows that fit, and others ---------------------------------------------------------------------------------

/// The batch with what the policy makes of rows that are wrong; `wrong` has the text of those.
fn sorted_out(
    columns: Vec<ArrayRef>,
    wrong: Vec<Option<String>>,
    schema: &SchemaRef,
    full: &SchemaRef,
    policy: &Malformed,
) -> PlanResult<RecordBatch> {
    match policy {
        Malformed::Keep(_) => {
            let mut columns = columns;
            columns.push(Arc::new(StringArray::from(wrong)));
            Ok(RecordBatch::try_new(Arc::clone(full), columns)?)
        }
        Malformed::Drop => {
            let kept: BooleanArray = wrong.iter().map(|text| Some(text.is_none())).collect();
            Ok(filter_record_batch(&RecordBatch::try_new(Arc::clone(schema), columns)?, &kept)?)
        }
        Malformed::Fail => Ok(RecordBatch::try_new(Arc::clone(schema), columns)?),
    }
}

// --- CSV ---------------------------------------------------------------------------------------------------------

/// The bytes that a reader has taken, from a position on.
#[derive(Default)]
struct Taken {
    start: u64,
    bytes: Vec<u8>,
}

/// A reader that remembers what was read from it, for the text of records.
struct Tee {
    inner: Box<dyn Read + Send>,
    taken: Arc<Mutex<Taken>>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.bytes.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

fn reader(
    input: Box<dyn Read + Send>,
    file: &Path,
    options: &CsvOptions,
) -> csv::Reader<Box<dyn Read + Send>> {
    let tabs = file.to_string_lossy().to_lowercase().contains(".tsv");
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(options.delimiter.unwrap_or(if tabs { b'\t' } else { b',' }))
        .quote(options.quote)
        .escape(options.escape)
        .double_quote(options.escape.is_none())
        .comment(options.comment)
        .from_reader(input)
}

struct CsvRows {
    file: PathBuf,
    records: csv::Reader<Box<dyn Read + Send>>,
    taken: Arc<Mutex<Taken>>,
    schema: SchemaRef,
    full: SchemaRef,
    options: CsvOptions,
    done: bool,
}

impl CsvRows {
    fn open(file: &Path, schema: &SchemaRef, full: &SchemaRef, options: &CsvOptions) -> PlanResult<Self> {
        let taken = Arc::<Mutex<Taken>>::default();
        let tee = Tee { inner: open(file)?, taken: Arc::clone(&taken) };
        let mut rows = Self {
            file: file.to_owned(),
            records: reader(Box::new(tee), file, options),
            taken,
            schema: Arc::clone(schema),
            full: Arc::clone(full),
            options: options.clone(),
            done: false,
        };
        if options.header {
            let mut header = csv::ByteRecord::new();
            rows.records.read_byte_record(&mut header).map_err(|error| failed(file, error))?;
        }
        Ok(rows)
    }

    fn text(&self, from: u64, to: u64) -> String {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |position: u64| usize::try_from(position - taken.start).unwrap_or(0).min(taken.bytes.len());
        String::from_utf8_lossy(&taken.bytes[at(from)..at(to)]).trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Forgets what was read before the next record.
    fn forget(&self) {
        let position = self.records.position().byte();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = usize::try_from(position - taken.start).unwrap_or(0).min(taken.bytes.len());
        taken.bytes.drain(..count);
        taken.start = position;
    }

    fn batch(&mut self) -> PlanResult<Option<RecordBatch>> {
        let width = self.schema.fields().len();
        let mut cells: Vec<StringBuilder> = (0..width).map(|_| StringBuilder::new()).collect();
        let mut places = Vec::new();
        let mut ragged = Vec::new();
        let mut record = csv::ByteRecord::new();
        while places.len() < ROWS {
            let from = self.records.position().byte();
            if !self.records.read_byte_record(&mut record).map_err(|error| failed(&self.file, error))? {
                self.done = true;
                break;
            }
            places.push((from, self.records.position().byte()));
            let short = record.len() < width && !self.options.pad_short_rows;
            ragged.push(short || record.len() > width);
            for (index, builder) in cells.iter_mut().enumerate() {
                match record.get(index).map(String::from_utf8_lossy) {
                    Some(cell) if !self.is_null(&cell) => builder.append_value(cell),
                    _ => builder.append_null(),
                }
            }
        }
        if places.is_empty() {
            return Ok(None);
        }
        let mut columns = Vec::with_capacity(width);
        let mut bad = ragged;
        for (builder, field) in cells.iter_mut().zip(self.schema.fields()) {
            let text = builder.finish();
            let column = converted(&text, field.data_type(), &self.options)?;
            for (row, bad) in bad.iter_mut().enumerate() {
                *bad |= text.is_valid(row) && column.is_null(row);
            }
            columns.push(column);
        }
        if self.options.malformed == Malformed::Fail
            && let Some(row) = bad.iter().position(|bad| *bad)
        {
            let text = self.text(places[row].0, places[row].1);
            return Err(failed(&self.file, format!("the row `{text}` does not fit the columns")));
        }
        let wrong =
            bad.iter().zip(&places).map(|(bad, (from, to))| bad.then(|| self.text(*from, *to))).collect();
        let batch = sorted_out(columns, wrong, &self.schema, &self.full, &self.options.malformed)?;
        self.forget();
        Ok(Some(batch))
    }

    fn is_null(&self, cell: &str) -> bool {
        cell.is_empty() || self.options.nulls.iter().any(|word| word == cell)
    }
}

impl Iterator for CsvRows {
    type Item = PlanResult<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = self.batch();
        self.done |= batch.is_err();
        batch.transpose()
    }
}

/// Text as values of a type, null where it is none.
fn converted(text: &StringArray, data_type: &DataType, options: &CsvOptions) -> PlanResult<ArrayRef> {
    let all = |parse: &dyn Fn(&str) -> Option<i64>| -> Vec<Option<i64>> {
        text.iter().map(|cell| cell.and_then(parse)).collect()
    };
    Ok(match (data_type, &options.date_format, &options.timestamp_format) {
        (DataType::Date32, Some(format), _) => {
            let days = all(&|cell| days(cell, format));
            let days: Date32Array =
                days.into_iter().map(|day| day.and_then(|day| i32::try_from(day).ok())).collect();
            Arc::new(days)
        }
        (DataType::Timestamp(TimeUnit::Microsecond, None), _, Some(format)) => {
            Arc::new(TimestampMicrosecondArray::from(all(&|cell| micros(cell, format))))
        }
        (other, ..) => cast_with_options(text, other, &CastOptions { safe: true, ..CastOptions::default() })?,
    })
}

fn days(text: &str, format: &str) -> Option<i64> {
    let date = chrono::NaiveDate::parse_from_str(text.trim(), format).ok()?;
    Some(date.signed_duration_since(chrono::NaiveDate::default()).num_days())
}

fn micros(text: &str, format: &str) -> Option<i64> {
    let when = chrono::NaiveDateTime::parse_from_str(text.trim(), format).ok()?;
    Some(when.and_utc().timestamp_micros())
}

fn infer_csv(file: &Path, options: &CsvOptions) -> PlanResult<SchemaRef> {
    let mut records = reader(open(file)?, file, options);
    let mut record = csv::StringRecord::new();
    let mut rows: Vec<csv::StringRecord> = Vec::new();
    while rows.len() <= options.infer_rows
        && records.read_record(&mut record).map_err(|error| failed(file, error))?
    {
        rows.push(record.clone());
    }
    let Some(first) = rows.first().cloned() else { return Ok(Arc::new(Schema::empty())) };
    let width = first.len();
    let names: Vec<String> = match options.header {
        true => first.iter().map(str::to_owned).collect(),
        false => (1..=width).map(|index| format!("column_{index}")).collect(),
    };
    let fit: Vec<&csv::StringRecord> =
        rows.iter().skip(usize::from(options.header)).filter(|row| row.len() == width).collect();
    // The rows that fit, written plainly: Arrow finds the types of their columns.
    let mut plain = csv::Writer::from_writer(Vec::new());
    for row in &fit {
        let cells =
            row.iter().map(|cell| if options.nulls.iter().any(|word| word == cell) { "" } else { cell });
        plain.write_record(cells).map_err(|error| failed(file, error))?;
    }
    let bytes = plain.into_inner().map_err(|error| failed(file, error))?;
    let types = match fit.is_empty() {
        true => vec![DataType::Utf8; width],
        false => {
            let format = arrow_csv::reader::Format::default().with_header(false);
            let (schema, _) = format.infer_schema(Cursor::new(bytes), None)?;
            schema.fields().iter().map(|field| field.data_type().clone()).collect()
        }
    };
    let of = |(index, (name, found)): (usize, (String, DataType))| {
        let cells = || fit.iter().filter_map(|row| row.get(index)).filter(|cell| !cell.is_empty());
        let all = |parse: &dyn Fn(&str) -> bool| cells().next().is_some() && cells().all(parse);
        let found = match (&options.date_format, &options.timestamp_format) {
            (Some(format), _) if all(&|cell| days(cell, format).is_some()) => DataType::Date32,
            (_, Some(format)) if all(&|cell| micros(cell, format).is_some()) => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            _ if found == DataType::Null => DataType::Utf8,
            _ => found,
        };
        Field::new(name, found, true)
    };
    Ok(Arc::new(Schema::new(names.into_iter().zip(types).enumerate().map(of).collect::<Vec<_>>())))
}

/// Whether the first line of a CSV file names its columns: none of its cells is empty, a number, a date or there
/// twice.
pub(super) fn has_header(file: &Path, options: &CsvOptions) -> PlanResult<bool> {
    let mut records = reader(open(file)?, file, options);
    let mut first = csv::StringRecord::new();
    if !records.read_record(&mut first).map_err(|error| failed(file, error))? {
        return Ok(false);
    }
    let text = StringArray::from(first.iter().map(Some).collect::<Vec<_>>());
    let is = |data_type: &DataType| -> PlanResult<bool> {
        Ok(converted(&text, data_type, &CsvOptions::new())?.null_count() < text.len())
    };
    let mut seen = std::collections::HashSet::new();
    let named = first.iter().all(|cell| !cell.trim().is_empty() && seen.insert(cell));
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    Ok(named && !is(&DataType::Float64)? && !is(&DataType::Date32)? && !is(&timestamp)?)
}

// --- JSON --------------------------------------------------------------------------------------------------------

struct JsonRows {
    file: PathBuf,
    lines: std::io::Lines<BufReader<Box<dyn Read + Send>>>,
    schema: SchemaRef,
    full: SchemaRef,
    options: CsvOptions,
}

impl JsonRows {
    fn open(file: &Path, schema: &SchemaRef, full: &SchemaRef, options: &CsvOptions) -> PlanResult<Self> {
        Ok(Self {
            file: file.to_owned(),
            lines: BufReader::new(open(file)?).lines(),
            schema: Arc::clone(schema),
            full: Arc::clone(full),
            options: options.clone(),
        })
    }

    fn batch(&mut self) -> PlanResult<Option<RecordBatch>> {
        let mut lines = Vec::new();
        for line in self.lines.by_ref() {
            let line = line.map_err(|error| failed(&self.file, error))?;
            if !line.trim().is_empty() {
                lines.push(line);
            }
            if lines.len() == ROWS {
                break;
            }
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let decoded = match self.decode(&lines) {
            // Nothing is wrong with any of them.
            Some(batch) => (batch, vec![None; lines.len()]),
            None => {
                let empty = "{}".to_owned();
                let fits: Vec<bool> =
                    lines.iter().map(|line| self.decode(std::slice::from_ref(line)).is_some()).collect();
                let good: Vec<String> = lines
                    .iter()
                    .zip(&fits)
                    .map(|(line, fits)| if *fits { line } else { &empty }.clone())
                    .collect();
                let batch =
                    self.decode(&good).ok_or_else(|| failed(&self.file, "lines that cannot be read"))?;
                (batch, lines.into_iter().zip(&fits).map(|(line, fits)| (!fits).then_some(line)).collect())
            }
        };
        let (batch, wrong) = decoded;
        sorted_out(batch.columns().to_vec(), wrong, &self.schema, &self.full, &self.options.malformed)
            .map(Some)
    }

    /// The rows of some lines, if all of them fit, one row each.
    fn decode(&self, lines: &[String]) -> Option<RecordBatch> {
        let mut decoder = arrow_json::ReaderBuilder::new(Arc::clone(&self.schema))
            .with_batch_size(lines.len())
            .build_decoder()
            .ok()?;
        let text = lines.join("\n");
        let used = decoder.decode(text.as_bytes()).ok()?;
        let batch = decoder.flush().ok()??;
        (used == text.len() && batch.num_rows() == lines.len()).then_some(batch)
    }
}

impl Iterator for JsonRows {
    type Item = PlanResult<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

fn infer_json(file: &Path, options: &CsvOptions) -> PlanResult<SchemaRef> {
    let lines = BufReader::new(open(file)?).lines();
    let mut values = Vec::new();
    for line in lines.take(options.infer_rows) {
        let line = line.map_err(|error| failed(file, error))?;
        if let Ok(value @ Json::Object(_)) = serde_json::from_str::<Json>(&line) {
            values.push(value);
        }
    }
    let inferred = arrow_json::reader::infer_json_schema_from_iterator(values.iter().map(Ok))?;
    let known: Vec<Field> = inferred
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Null => Field::new(field.name(), DataType::Utf8, true),
            _ => field.as_ref().clone(),
        })
        .collect();
    Ok(Arc::new(Schema::new(known)))
}
