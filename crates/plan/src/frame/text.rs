//! A frame as a table for people.
//!
//! Column names, their types below, numbers to the right, long cells cut, and a footer that says how much
//! of the frame is shown. A lazy frame is asked for one row more than is shown, never for all.

use super::{DataFrame, run};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use std::fmt::Write;
use trefoil_core::{Error, ErrorKind, Result};

/// Rows shown by [`DataFrame::show`].
const ROWS: usize = 20;
/// Longer cells are cut.
const WIDEST: usize = 40;

impl DataFrame {
    /// Prints the first 20 rows to standard output.
    ///
    /// # Errors
    /// As [`DataFrame::collect`].
    pub async fn show(&self) -> Result<()> {
        self.show_limit(ROWS).await
    }

    /// Prints the first `n` rows to standard output.
    ///
    /// # Errors
    /// As [`DataFrame::collect`].
    pub async fn show_limit(&self, n: usize) -> Result<()> {
        println!("{}", self.to_text(n).await?);
        Ok(())
    }

    /// The first `n` rows as a text table.
    ///
    /// # Errors
    /// As [`DataFrame::collect`].
    ///
    /// ```
    /// use trefoil_plan::Session;
    ///
    /// let session = Session::local()?;
    /// let text = session.block_on(async {
    ///     session.read_csv("../../examples/data/diamonds.csv").await?.to_text(2).await
    /// })?;
    /// assert!(text.starts_with(" carat   | cut "), "{text}");
    /// assert!(text.ends_with("more than 2 rows x 10 columns, showing the first 2"), "{text}");
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    pub async fn to_text(&self, n: usize) -> Result<String> {
        let fetch = n.saturating_add(1);
        let partitions = self
            .run("show", move |frame| async move { run::partitions(frame.limit(0, Some(fetch))?).await })
            .await?;
        let batches: Vec<RecordBatch> = partitions.into_iter().flatten().collect();
        let stored = self.stored().map(|table| table.partitions().iter().map(|part| part.num_rows()).sum());
        render(&self.schema(), &batches, n, stored)
            .map_err(|error| Error::new(ErrorKind::Internal, "show", error.to_string()))
    }
}

/// Formats the first `n` of the rows fetched; `total` if the number of all rows is known without them.
fn render(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    n: usize,
    total: Option<usize>,
) -> Result<String, ArrowError> {
    let fetched: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut columns: Vec<Vec<String>> = schema
        .fields()
        .iter()
        .map(|field| vec![one_line(field.name()), type_name(field.data_type())])
        .collect();
    let options = FormatOptions::default().with_null("null");
    let mut left = n;
    for batch in batches {
        let rows = batch.num_rows().min(left);
        for (array, cells) in batch.columns().iter().zip(&mut columns) {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
            for row in 0..rows {
                cells.push(one_line(&formatter.value(row).try_to_string()?));
            }
        }
        left -= rows;
    }
    let mut text = String::new();
    let widths: Vec<usize> =
        columns.iter().map(|cells| cells.iter().map(|c| c.chars().count()).max().unwrap_or(0)).collect();
    let lines = if columns.is_empty() { 0 } else { columns[0].len() };
    for line in 0..lines {
        let mut first = true;
        for ((cells, width), field) in columns.iter().zip(&widths).zip(schema.fields()) {
            text.push_str(if first { " " } else { " | " });
            first = false;
            // Names and types are to the left, as are words; numbers line up at the right.
            let (cell, width) = (&cells[line], *width);
            let _ = match line >= 2 && field.data_type().is_numeric() {
                true => write!(text, "{cell:>width$}"),
                false => write!(text, "{cell:<width$}"),
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        if line == 1 {
            let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            text.push_str(&rule.join("+"));
            text.push('\n');
        }
    }
    let width = plural(schema.fields().len(), "column");
    let shown = fetched.min(n);
    let _ = match total.or((fetched <= n).then_some(fetched)) {
        Some(total) if total == shown => write!(text, "{} x {width}", plural(total, "row")),
        Some(total) => write!(text, "{} x {width}, showing the first {shown}", plural(total, "row")),
        None => write!(text, "more than {} x {width}, showing the first {shown}", plural(shown, "row")),
    };
    Ok(text)
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Cells of one line, cut when they are long.
fn one_line(cell: &str) -> String {
    let cell = cell.replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r");
    if cell.chars().count() <= WIDEST {
        return cell;
    }
    cell.chars().take(WIDEST - 1).chain(['…']).collect()
}

/// The name of a type as people say it: the three layouts of text are all `string`.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(TimeUnit::Second, None) => "timestamp[s]".to_owned(),
        DataType::Timestamp(TimeUnit::Millisecond, None) => "timestamp[ms]".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp[us]".to_owned(),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "timestamp[ns]".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision},{scale})")
        }
        DataType::Dictionary(_, values) => type_name(values),
        DataType::List(item) | DataType::LargeList(item) => format!("list<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|f| format!("{}: {}", f.name(), type_name(f.data_type()))).collect();
            format!("struct<{}>", fields.join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}
