//! How CSV and JSON files are laid out.

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
    pub(super) detect_header: bool,
    pub(super) malformed: Malformed,
    pub(super) date_format: Option<String>,
    pub(super) timestamp_format: Option<String>,
}

/// What to do with rows that do not fit the columns: of another width, or with a value of another type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Fail, with the file and the line.
    #[default]
    Fail,
    /// Leave them out.
    Drop,
    /// Keep what fits of them, and put their text into the column of this name, which is null for all others. In
    /// Spark it is called `_corrupt_record`.
    Keep(String),
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
            detect_header: false,
            malformed: Malformed::Fail,
            date_format: None,
            timestamp_format: None,
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

    /// Looks at the first line to see whether it names the columns: it does if none of its cells is empty, a
    /// number, a date or there twice.
    pub fn detect_header(mut self) -> Self {
        self.detect_header = true;
        self
    }

    /// What to do with rows that do not fit.
    pub fn malformed(mut self, malformed: Malformed) -> Self {
        self.malformed = malformed;
        self
    }

    /// The form of dates, as `strftime` writes it: `%d/%m/%Y`. Columns of such cells are dates.
    pub fn date_format(mut self, format: impl Into<String>) -> Self {
        self.date_format = Some(format.into());
        self
    }

    /// The form of timestamps, as `strftime` writes it. Columns of such cells are timestamps.
    pub fn timestamp_format(mut self, format: impl Into<String>) -> Self {
        self.timestamp_format = Some(format.into());
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

/// How JSON files are read, for [`Session::read_json_with`](crate::Session::read_json_with).
///
/// ```
/// use trefoil_plan::{JsonOptions, Malformed};
///
/// let options = JsonOptions::new().infer_rows(100).malformed(Malformed::Keep("_corrupt_record".into()));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct JsonOptions(pub(super) CsvOptions);

impl JsonOptions {
    /// One object a line; a line that is none fails the query.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many lines are looked at to find the columns and their types; 10,000 by default.
    pub fn infer_rows(self, rows: usize) -> Self {
        Self(self.0.infer_rows(rows))
    }

    /// What to do with lines that are no object, or have a value of another type.
    pub fn malformed(self, malformed: Malformed) -> Self {
        Self(self.0.malformed(malformed))
    }
}
