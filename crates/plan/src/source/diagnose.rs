//! What exactly is wrong with malformed files.
//!
//! A scan that meets a broken row knows neither the file nor, in the middle of a large file, the line. So
//! when a query failed on malformed bytes the files of its plan are read once more, one after another and
//! from the start, up to the first row that does not fit. That costs time only where there is an error.

use super::{Format, compression};
use datafusion::arrow::csv as arrow_csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json as arrow_json;
use datafusion::catalog::TableProvider;
use datafusion::common::config::CsvOptions as PlanCsvOptions;
use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::ListingTable;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::any::Any;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};

/// The first broken row in the files that the plan reads, if there is one.
pub(crate) fn in_plan(plan: &LogicalPlan, operation: &'static str) -> Option<Error> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found = match scan.source.get_logical_plan() {
                Some(view) => in_plan(&view, operation),
                None => {
                    source_as_provider(&scan.source).ok().and_then(|table| in_table(table, None, operation))
                }
            };
        }
        // With words for null of its own, a CSV is read as text and converted by a projection.
        if let LogicalPlan::Projection(projection) = node
            && let LogicalPlan::TableScan(scan) = projection.input.as_ref()
        {
            let types = Arc::new(projection.schema.as_arrow().clone());
            found = source_as_provider(&scan.source)
                .ok()
                .and_then(|table| in_table(table, Some(types), operation));
        }
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.ok().and(found)
}

/// `types` are those that a table of text is converted to.
fn in_table(
    table: Arc<dyn TableProvider>,
    types: Option<SchemaRef>,
    operation: &'static str,
) -> Option<Error> {
    let table: &dyn TableProvider = table.as_ref();
    let listing = (table as &dyn Any).downcast_ref::<ListingTable>()?;
    let reader = &listing.options().format;
    let any: &dyn FileFormat = reader.as_ref();
    let any = any as &dyn Any;
    let format = if any.is::<CsvFormat>() {
        Format::Csv
    } else if any.is::<JsonFormat>() {
        Format::Json
    } else if any.is::<ParquetFormat>() {
        Format::Parquet
    } else if is_avro(any) {
        Format::Avro
    } else {
        return None;
    };
    let mut files = Vec::new();
    for url in listing.table_paths() {
        let path = url.get_url().to_file_path().ok()?;
        files.extend(super::find::find(operation, format, &path.to_string_lossy()).ok()?.files);
    }
    // Columns made from directory names are not in the files.
    let keys = listing.options().table_partition_cols.len();
    let schema = listing.schema();
    let width = schema.fields().len().saturating_sub(keys);
    let mut schema = Arc::new(schema.project(&(0..width).collect::<Vec<_>>()).ok()?);
    if let Some(types) = types {
        let words = any.downcast_ref::<CsvFormat>()?.options().null_regex.is_some();
        let names = |s: &SchemaRef| s.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
        if !words || names(&types) != names(&schema) {
            return None;
        }
        schema = types;
    }
    in_files(format, &files, reader, Some(&schema), operation)
}

#[cfg(feature = "avro")]
fn is_avro(format: &dyn Any) -> bool {
    format.is::<datafusion_datasource_avro::AvroFormat>()
}

#[cfg(not(feature = "avro"))]
fn is_avro(_: &dyn Any) -> bool {
    false
}

/// The first broken row in `files`. Without a schema, only rows of another width are broken.
pub(super) fn in_files(
    format: Format,
    files: &[PathBuf],
    reader: &Arc<dyn FileFormat>,
    schema: Option<&SchemaRef>,
    operation: &'static str,
) -> Option<Error> {
    let any: &dyn FileFormat = reader.as_ref();
    let any = any as &dyn Any;
    let compressions = [compression::Compression::None, compression::Compression::Gzip];
    files.iter().filter(|file| compressions.contains(&compression::of(file))).find_map(|file| match format {
        Format::Csv => in_csv(file, any.downcast_ref::<CsvFormat>()?.options(), schema, operation),
        Format::Json => {
            let zipped =
                any.downcast_ref::<JsonFormat>()?.options().compression == CompressionTypeVariant::GZIP;
            in_json(file, zipped, schema, operation)
        }
        Format::Parquet => {
            let opened = File::open(file).ok().map(ParquetRecordBatchReaderBuilder::try_new)?;
            opened.err().map(|error| {
                Error::new(
                    ErrorKind::MalformedData,
                    operation,
                    format!("`{}` is not a sound Parquet file: {error}", file.display()),
                )
                .with_help("it may be cut off or of another format")
            })
        }
        Format::Avro => in_avro(file, operation),
        Format::Arrow => None,
    })
}

/// Avro files are blocks of rows without lines: the file is all that can be said.
#[cfg(feature = "avro")]
fn in_avro(file: &Path, operation: &'static str) -> Option<Error> {
    use datafusion_datasource_avro::arrow_avro::reader::ReaderBuilder;
    let opened = BufReader::new(File::open(file).ok()?);
    let broken = match ReaderBuilder::new().build(opened) {
        Ok(mut rows) => rows.find_map(|batch| batch.err().map(|error| error.to_string()))?,
        Err(error) => error.to_string(),
    };
    let message = format!("`{}` is not a sound Avro file: {broken}", file.display());
    Some(
        Error::new(ErrorKind::MalformedData, operation, message)
            .with_help("it may be cut off or of another format"),
    )
}

#[cfg(not(feature = "avro"))]
fn in_avro(_: &Path, _: &'static str) -> Option<Error> {
    None
}

fn open(file: &Path, zipped: bool) -> Option<Box<dyn BufRead>> {
    let file = File::open(file).ok()?;
    let plain: Box<dyn Read> =
        if zipped { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
    Some(Box::new(BufReader::new(plain)))
}

fn in_csv(
    file: &Path,
    options: &PlanCsvOptions,
    schema: Option<&SchemaRef>,
    operation: &'static str,
) -> Option<Error> {
    let zipped = options.compression == CompressionTypeVariant::GZIP;
    let header = options.has_header.unwrap_or(true);
    let error = match schema {
        Some(schema) => {
            let mut builder = arrow_csv::ReaderBuilder::new(schema.clone())
                .with_header(header)
                .with_delimiter(options.delimiter)
                .with_quote(options.quote)
                .with_truncated_rows(options.truncated_rows.unwrap_or(false));
            if let Some(escape) = options.escape {
                builder = builder.with_escape(escape);
            }
            if let Some(comment) = options.comment {
                builder = builder.with_comment(comment);
            }
            if let Some(nulls) = options.null_regex.as_ref().and_then(|text| regex::Regex::new(text).ok()) {
                builder = builder.with_null_regex(nulls);
            }
            let reader = builder.build_buffered(open(file, zipped)?).ok()?;
            Some(reader.filter_map(Result::err).next()?)
        }
        None => None,
    };
    let message = match &error {
        Some(ArrowError::ParseError(text)) => bad_value(text, schema?),
        _ => None,
    };
    if let Some((record, message)) = message {
        let line = csv_records(file, options)?.nth(record)?.ok()?.position()?.line();
        return Some(
            Error::new(
                ErrorKind::MalformedData,
                operation,
                format!("`{}` line {line}: {message}", file.display()),
            )
            .with_help(
                "the types come from the first rows: correct the row, look at more rows with \
                 `CsvOptions::infer_rows`, or name the type with `CsvOptions::column_type`",
            ),
        );
    }
    // Either rows of different widths, or bytes that are no text.
    let mut width = schema.map(|schema| schema.fields().len());
    for record in csv_records(file, options)? {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let message = format!("`{}`: {error}", file.display());
                return Some(Error::new(ErrorKind::MalformedData, operation, message));
            }
        };
        let want = *width.get_or_insert(record.len());
        if record.len() > want || (record.len() < want && !options.truncated_rows.unwrap_or(false)) {
            let line = record.position().map_or(0, |position| position.line());
            return Some(
                Error::new(
                    ErrorKind::MalformedData,
                    operation,
                    format!(
                        "`{}` line {line}: the row has {}, expected {want}",
                        file.display(),
                        if record.len() == 1 {
                            "1 cell".to_owned()
                        } else {
                            format!("{} cells", record.len())
                        },
                    ),
                )
                .with_help(if record.len() < want {
                    "correct the row, or fill short rows with nulls by `CsvOptions::pad_short_rows`"
                } else {
                    "correct the row; a cell with a delimiter in it must be quoted"
                }),
            );
        }
    }
    error.map(|error| {
        Error::new(ErrorKind::MalformedData, operation, format!("`{}`: {error}", file.display()))
    })
}

/// All records of a file, the header included, of whatever width.
fn csv_records(
    file: &Path,
    options: &PlanCsvOptions,
) -> Option<impl Iterator<Item = csv::Result<csv::ByteRecord>> + use<>> {
    let zipped = options.compression == CompressionTypeVariant::GZIP;
    let reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .delimiter(options.delimiter)
        .quote(options.quote)
        .escape(options.escape)
        .comment(options.comment)
        .from_reader(open(file, zipped)?);
    Some(reader.into_byte_records())
}

/// Reads arrow's message about a value: the number of the record, from 0 and counting the header, and a
/// message of our own that names the column.
fn bad_value(text: &str, schema: &SchemaRef) -> Option<(usize, String)> {
    let between = |start: &str, end: &str| {
        let from = text.find(start)? + start.len();
        Some(&text[from..from + text[from..].find(end)?])
    };
    let line: usize = between(" at line ", ".")?.parse().ok()?;
    let column: usize = between(" for column ", " at line ")?.parse().ok()?;
    let value = between("value '", "' as type")?;
    let field = schema.fields().get(column)?;
    let message = format!("`{value}` in column `{}` is not of type {}", field.name(), field.data_type());
    Some((line, message))
}

fn in_json(file: &Path, zipped: bool, schema: Option<&SchemaRef>, operation: &'static str) -> Option<Error> {
    for (index, line) in open(file, zipped)?.lines().enumerate() {
        let wrong = match line {
            Err(error) => error.to_string(),
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => match json_line(&line, schema) {
                Ok(()) => continue,
                Err(error) => error,
            },
        };
        return Some(
            Error::new(
                ErrorKind::MalformedData,
                operation,
                format!("`{}` line {}: {wrong}", file.display(), index + 1),
            )
            .with_help("each line must be one JSON object with the types of the first lines"),
        );
    }
    None
}

fn json_line(line: &str, schema: Option<&SchemaRef>) -> Result<(), String> {
    let value: serde_json::Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if !value.is_object() {
        return Err("not a JSON object".to_owned());
    }
    let Some(schema) = schema else {
        return Ok(());
    };
    let mut decoder =
        arrow_json::ReaderBuilder::new(schema.clone()).build_decoder().map_err(|error| error.to_string())?;
    decoder.decode(line.as_bytes()).map_err(|error| error.to_string())?;
    decoder.flush().map_err(|error| error.to_string())?;
    Ok(())
}
