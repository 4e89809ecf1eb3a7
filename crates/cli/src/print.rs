//! Answers as tables, CSV or JSON, batch by batch as they are computed.
//!
//! A table needs the widths of its columns before its first line: they are those of the first rows, and a
//! longer cell further down pushes its line out instead of being held in memory or cut.

use crate::args::Format;
use crate::write_error;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use futures::StreamExt;
use std::io::Write;
use trefoil_core::{Error, ErrorKind, Result};
use trefoil_plan::DataFrame;
use trefoil_sql::spark_format;
use unicode_width::UnicodeWidthStr;

/// Rows that decide how wide the columns of a table are.
const MEASURED: usize = 1000;

/// How answers are written.
pub(crate) struct Printer {
    format: Format,
    /// Rows printed of one answer; the rest is not computed.
    rows: usize,
}

impl Printer {
    pub(crate) fn new(format: Format, rows: usize) -> Self {
        Self { format, rows }
    }

    /// Prints the rows of a frame; gives their number.
    pub(crate) async fn print(&self, frame: &DataFrame, out: &mut dyn Write) -> Result<usize> {
        let mut stream = frame.stream();
        let schema = stream.schema().clone();
        let mut sink: Box<dyn Sink> = match self.format {
            Format::Table => Box::new(Table::new(&schema)),
            Format::Csv => Box::new(Csv),
            Format::Json => Box::new(Json { rows: 0 }),
        };
        sink.begin(&schema, out)?;
        let mut printed = 0;
        while printed < self.rows
            && let Some(batch) = stream.next().await
        {
            let batch = batch?;
            let batch = batch.slice(0, batch.num_rows().min(self.rows - printed));
            printed += batch.num_rows();
            sink.rows(&batch, out)?;
        }
        sink.end(out)?;
        Ok(printed)
    }
}

/// A value as text, or null.
struct Cell {
    text: String,
    null: bool,
}

fn unprintable(error: ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "print", error.to_string()).with_source(error)
}

/// The rows of a batch as text, as Spark's shell prints values.
fn cells(batch: &RecordBatch) -> Result<Vec<Vec<Cell>>> {
    let texts = batch.columns().iter().map(spark_format::column).collect::<Result<Vec<_>>>()?;
    let nulls: Vec<_> = batch.columns().iter().map(|column| column.logical_nulls()).collect();
    let mut columns: Vec<_> = texts.into_iter().map(Vec::into_iter).collect();
    let row = |row| {
        let texts = columns.iter_mut().map(|column| column.next().unwrap_or_default());
        texts
            .zip(&nulls)
            .map(|(text, nulls)| Cell { text, null: nulls.as_ref().is_some_and(|n| n.is_null(row)) })
            .collect()
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// What the rows of an answer are written as.
trait Sink {
    fn begin(&mut self, schema: &SchemaRef, out: &mut dyn Write) -> Result<()>;
    fn rows(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()>;
    fn end(&mut self, out: &mut dyn Write) -> Result<()>;
}

/// Names, then rows; a text that holds a comma, a quote, a line break or could be taken for null is quoted.
struct Csv;

impl Csv {
    fn field(cell: &Cell) -> String {
        let text = &cell.text;
        let plain = !text.contains(['"', ',', '\n', '\r']) && (cell.null || text != "NULL");
        match plain {
            true => text.clone(),
            false => format!("\"{}\"", text.replace('"', "\"\"")),
        }
    }

    fn line(cells: &[Cell], out: &mut dyn Write) -> Result<()> {
        let fields: Vec<String> = cells.iter().map(Self::field).collect();
        writeln!(out, "{}", fields.join(",")).map_err(write_error)
    }
}

impl Sink for Csv {
    fn begin(&mut self, schema: &SchemaRef, out: &mut dyn Write) -> Result<()> {
        let names: Vec<Cell> =
            schema.fields().iter().map(|field| Cell { text: field.name().clone(), null: true }).collect();
        Self::line(&names, out)
    }

    fn rows(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()> {
        cells(batch)?.iter().try_for_each(|row| Self::line(row, out))
    }

    fn end(&mut self, _out: &mut dyn Write) -> Result<()> {
        Ok(())
    }
}

/// One array of objects, an object a line; nulls are written.
struct Json {
    rows: usize,
}

impl Sink for Json {
    fn begin(&mut self, _schema: &SchemaRef, out: &mut dyn Write) -> Result<()> {
        write!(out, "[").map_err(write_error)
    }

    fn rows(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()> {
        let mut text = Vec::new();
        let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut text);
        writer.write(batch).and_then(|()| writer.finish()).map_err(unprintable)?;
        drop(writer);
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let between = if self.rows == 0 { "" } else { ",\n" };
            self.rows += 1;
            out.write_all(between.as_bytes()).and_then(|()| out.write_all(line)).map_err(write_error)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<()> {
        writeln!(out, "]").map_err(write_error)
    }
}

/// Borders and padding, numbers at the right.
struct Table {
    names: Vec<String>,
    right: Vec<bool>,
    /// Known once enough rows were seen; until then the rows wait.
    widths: Option<Vec<usize>>,
    waiting: Vec<Vec<Cell>>,
}

impl Table {
    fn new(schema: &SchemaRef) -> Self {
        let names = schema.fields().iter().map(|field| one_line(field.name())).collect();
        let right = schema.fields().iter().map(|field| field.data_type().is_numeric()).collect();
        Self { names, right, widths: None, waiting: Vec::new() }
    }

    fn border(widths: &[usize], out: &mut dyn Write) -> Result<()> {
        let line: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        writeln!(out, "+{}+", line.join("+")).map_err(write_error)
    }

    fn line<'a>(
        &self,
        widths: &[usize],
        texts: impl Iterator<Item = &'a str>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let mut line = String::from("|");
        for ((text, width), right) in texts.zip(widths).zip(&self.right) {
            let gap = " ".repeat(width.saturating_sub(text.width()));
            match right {
                true => line.extend([" ", &gap, text, " |"]),
                false => line.extend([" ", text, &gap, " |"]),
            }
        }
        writeln!(out, "{line}").map_err(write_error)
    }

    /// Head and waiting rows.
    fn flush(&mut self, out: &mut dyn Write) -> Result<Vec<usize>> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut widths: Vec<usize> = self.names.iter().map(|name| name.width()).collect();
        for row in &waiting {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        Self::border(&widths, out)?;
        self.line(&widths, self.names.iter().map(String::as_str), out)?;
        Self::border(&widths, out)?;
        for row in &waiting {
            self.line(&widths, row.iter().map(|cell| cell.text.as_str()), out)?;
        }
        self.widths = Some(widths.clone());
        Ok(widths)
    }
}

impl Sink for Table {
    fn begin(&mut self, _schema: &SchemaRef, _out: &mut dyn Write) -> Result<()> {
        Ok(())
    }

    fn rows(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()> {
        let mut rows = cells(batch)?;
        for cell in rows.iter_mut().flatten() {
            cell.text = one_line(&cell.text);
        }
        if let Some(widths) = &self.widths {
            return rows
                .iter()
                .try_for_each(|row| self.line(widths, row.iter().map(|cell| cell.text.as_str()), out));
        }
        self.waiting.append(&mut rows);
        if self.waiting.len() >= MEASURED {
            self.flush(out)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<()> {
        let widths = match self.widths.take() {
            Some(widths) => widths,
            None => self.flush(out)?,
        };
        Self::border(&widths, out)
    }
}

/// A table's cell is one line: breaks and tabs are written as in a string of a program.
fn one_line(text: &str) -> String {
    match text.contains(['\n', '\r', '\t']) {
        true => text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"),
        false => text.to_owned(),
    }
}
