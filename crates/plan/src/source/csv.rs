//! How a CSV file is laid out.

use datafusion::arrow::datatypes::DataType;
use datafusion::datasource::file_format::csv::CsvFormat;

/// How a CSV file is laid out, for [`Session::read_csv_with`](crate::Session::read_csv_with).
///
/// ```
/// use datafusion::arrow::datatypes::DataType;
/// use trefoil_plan::CsvOptions;
///
/// let options = CsvOptions::new()
///     .delimiter(b';')
///     .nulls(["", "NA"])
///     .column_type("zip", DataType::Utf8);
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CsvOptions {
    pub(super) header: bool,
    pub(super) delimiter: Option<u8>,
    pub(super) quote: u8,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
    pub(super) nulls: Vec<String>,
    pub(super) infer_rows: usize,
    pub(super) pad_short_rows: bool,
    pub(super) newlines_in_values: bool,
    pub(super) types: Vec<(String, DataType)>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: true,
            delimiter: None,
            quote: b'"',
            escape: None,
            comment: None,
            nulls: Vec::new(),
            infer_rows: 10_000,
            pad_short_rows: false,
            newlines_in_values: true,
            types: Vec::new(),
        }
    }
}

impl CsvOptions {
    /// A header line, commas (tabs in `.tsv` files), double quotes, empty cells are null.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the first line names the columns; otherwise they are `column_1`, `column_2` and so on.
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    /// The byte between cells.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = Some(delimiter);
        self
    }

    /// The byte around cells that hold delimiters or line ends; doubled, it stands for itself.
    pub fn quote(mut self, quote: u8) -> Self {
        self.quote = quote;
        self
    }

    /// The byte before a quote within quotes; by default quotes are doubled instead.
    pub fn escape(mut self, escape: u8) -> Self {
        self.escape = Some(escape);
        self
    }

    /// The byte at the start of lines to pass over.
    pub fn comment(mut self, comment: u8) -> Self {
        self.comment = Some(comment);
        self
    }

    /// The cells that stand for null, exactly as written; by default only empty cells.
    pub fn nulls<S: Into<String>>(mut self, nulls: impl IntoIterator<Item = S>) -> Self {
        self.nulls = nulls.into_iter().map(Into::into).collect();
        self
    }

    /// How many rows are looked at to find the types of the columns; 10,000 by default.
    pub fn infer_rows(mut self, rows: usize) -> Self {
        self.infer_rows = rows.max(1);
        self
    }

    /// Whether a row with too few cells is filled with nulls instead of being an error.
    pub fn pad_short_rows(mut self, pad: bool) -> Self {
        self.pad_short_rows = pad;
        self
    }

    /// Whether quoted cells may hold line ends, which is the default. Without them, a large file is read by
    /// several workers at once.
    pub fn newlines_in_values(mut self, newlines: bool) -> Self {
        self.newlines_in_values = newlines;
        self
    }

    /// The type of a column, instead of the one found by looking at the first rows.
    pub fn column_type(mut self, column: impl Into<String>, data_type: DataType) -> Self {
        self.types.push((column.into(), data_type));
        self
    }

    /// The same for DataFusion; `tabs` if the file name says so.
    pub(super) fn to_format(&self, tabs: bool) -> CsvFormat {
        CsvFormat::default()
            .with_has_header(self.header)
            .with_delimiter(self.delimiter.unwrap_or(if tabs { b'\t' } else { b',' }))
            .with_quote(self.quote)
            .with_escape(self.escape)
            .with_comment(self.comment)
            .with_null_regex(self.null_regex())
            .with_schema_infer_max_rec(self.infer_rows)
            .with_truncated_rows(self.pad_short_rows)
            .with_newlines_in_values(self.newlines_in_values)
    }

    fn null_regex(&self) -> Option<String> {
        if self.nulls.is_empty() {
            return None;
        }
        let escaped: Vec<String> = self.nulls.iter().map(|text| regex::escape(text)).collect();
        Some(format!("^(?:{})$", escaped.join("|")))
    }
}
