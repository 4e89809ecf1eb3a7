//! Frames from rows of Rust structs, from columns written in the program, and back to structs.

use super::check::{self, invalid, mismatch};
use super::decode::decode;
use crate::bag::{Bag, BagSession};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    UInt8Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::infer_json_schema_from_iterator;
use futures::TryStreamExt;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use trefoil_core::{Arg, Call, Input, Partition, TaskSpec};
use trefoil_plan::{DataFrame, Error, ErrorKind, Result, Session, plan_error};

/// Makes frames of what a program holds.
pub trait FrameSession: super::sealed::AsSession {
    /// A frame of rows: structs (or maps) that serde can serialise, a column per field, in their order.
    ///
    /// Types are found from all rows: integers are `Int64`, other numbers `Float64`, `Option` gives nulls,
    /// vectors lists and structs structs; times and enums come as serde writes them, mostly as text.
    /// pandas: `pd.DataFrame(list_of_dicts)`.
    ///
    /// ```
    /// use trefoil_frames::frame::{FrameReports, FrameSession};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug, Clone)]
    /// struct Gem {
    ///     cut: String,
    ///     carat: Option<f64>,
    /// }
    ///
    /// let session = trefoil_plan::Session::local()?;
    /// let gems = vec![
    ///     Gem { cut: "Ideal".into(), carat: Some(0.3) },
    ///     Gem { cut: "Fair".into(), carat: None },
    /// ];
    /// let frame = session.frame_from_rows(&gems)?;
    /// assert_eq!(frame.columns(), ["cut", "carat"]);
    /// assert_eq!(session.block_on(frame.to_rows::<Gem>())?, gems);
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no rows (there would be no columns) or rows that are no structs,
    /// [`ErrorKind::TypeMismatch`] for a field that is text in one row and a number in another,
    /// [`ErrorKind::OutOfMemory`].
    fn frame_from_rows<T: Serialize>(&self, rows: impl IntoIterator<Item = T>) -> Result<DataFrame> {
        from_rows(self.as_session(), rows)
    }

    /// A frame of columns that have names and the same length; see [`frame!`](crate::frame!).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no columns, [`ErrorKind::ShapeMismatch`] for other lengths,
    /// [`ErrorKind::AlreadyExists`] for a name twice, [`ErrorKind::OutOfMemory`].
    fn frame_from_columns<S: Into<String>>(
        &self,
        columns: impl IntoIterator<Item = (S, ArrayRef)>,
    ) -> Result<DataFrame> {
        from_columns(self.as_session(), columns.into_iter().map(|(n, c)| (n.into(), c)).collect())
    }

    /// A frame with one column of whole numbers. pandas: `pd.DataFrame({name: range(start, end)})`.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`] when the numbers do not fit the budget.
    fn frame_from_range(&self, name: &str, range: Range<i64>) -> Result<DataFrame> {
        from_range(self.as_session(), name, range)
    }
}

impl FrameSession for Session {}

/// Makes a frame of a bag: see [`to_frame`](BagFrame::to_frame).
pub trait BagFrame {
    /// Computes a bag of structs and makes a frame of them; types are found as in
    /// [`frame_from_rows`](FrameSession::frame_from_rows), which holds all rows. Dask: `b.to_dataframe()`.
    ///
    /// # Errors
    /// What computing the bag can raise, and as [`frame_from_rows`](FrameSession::frame_from_rows).
    fn to_frame(&self, session: &Session) -> impl Future<Output = Result<DataFrame>> + Send;
}

impl<T: Serialize + Send + 'static> BagFrame for Bag<T> {
    fn to_frame(&self, session: &Session) -> impl Future<Output = Result<DataFrame>> + Send {
        let (bag, session) = (self.clone(), session.clone());
        async move {
            let rows = bag.compute().await?;
            from_rows(&session, rows)
        }
    }
}

/// A frame of columns written in the program: values of one type each, `Option`s for nulls, or Arrow arrays.
/// polars: `df!["a" => [1, 2, 3]]`; pandas: `pd.DataFrame({"a": [1, 2, 3]})`.
///
/// ```
/// use trefoil_frames::frame;
///
/// let session = trefoil_plan::Session::local()?;
/// let gems = frame!(session, {
///     "cut" => ["Ideal", "Good", "Fair"],
///     "carat" => [Some(0.3), None, Some(1.1)],
///     "price" => vec![326, 400, 55],
/// })?;
/// assert_eq!(gems.columns(), ["cut", "carat", "price"]);
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
#[macro_export]
macro_rules! frame {
    ($session:expr, { $($name:expr => $values:expr),* $(,)? }) => {{
        use $crate::frame::FrameSession as _;
        $session.frame_from_columns([$(($name, $crate::frame::IntoColumn::into_column($values))),*])
    }};
}

/// What [`frame!`](crate::frame!) takes as a column.
pub trait IntoColumn {
    /// The Arrow array of the values.
    fn into_column(self) -> ArrayRef;
}

impl IntoColumn for ArrayRef {
    fn into_column(self) -> ArrayRef {
        self
    }
}

macro_rules! columns {
    ($($item:ty => $array:ty),* $(,)?) => {$(
        impl<const N: usize> IntoColumn for [$item; N] {
            fn into_column(self) -> ArrayRef {
                self.to_vec().into_column()
            }
        }
        impl<const N: usize> IntoColumn for [Option<$item>; N] {
            fn into_column(self) -> ArrayRef {
                self.to_vec().into_column()
            }
        }
        impl IntoColumn for Vec<$item> {
            fn into_column(self) -> ArrayRef {
                Arc::new(<$array>::from(self))
            }
        }
        impl IntoColumn for Vec<Option<$item>> {
            fn into_column(self) -> ArrayRef {
                Arc::new(<$array>::from(self))
            }
        }
    )*};
}
columns!(
    i32 => Int32Array, i64 => Int64Array, u8 => UInt8Array, u32 => UInt32Array, u64 => UInt64Array,
    f32 => Float32Array, f64 => Float64Array, bool => BooleanArray, &str => StringArray, String => StringArray,
);

/// The keys of a JSON object, in order.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a struct or map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// Rows decoded into one batch.
const BATCH: usize = 8192;

fn from_rows<T: Serialize>(session: &Session, rows: impl IntoIterator<Item = T>) -> Result<DataFrame> {
    const OP: &str = "frame_from_rows";
    let mut order: Vec<String> = Vec::new();
    let mut values = Vec::new();
    for (number, row) in rows.into_iter().enumerate() {
        let wrong =
            |e: serde_json::Error| invalid(OP, format!("row {number} is no struct: {e}")).with_source(e);
        let text = serde_json::to_string(&row).map_err(wrong)?;
        // the text has the fields in their order, a `Value` has not
        let Keys(keys) = serde_json::from_str(&text).map_err(wrong)?;
        for key in keys {
            if !order.contains(&key) {
                order.push(key);
            }
        }
        values.push(serde_json::from_str::<serde_json::Value>(&text).map_err(wrong)?);
    }
    if values.is_empty() {
        return Err(invalid(OP, "there is no row, so the columns are not known")
            .with_help("give at least one row, or `frame_from_batches` with an empty batch"));
    }
    let fail = |e: datafusion::arrow::error::ArrowError| {
        mismatch(OP, "the rows do not have one type per field").with_source(e)
    };
    let found = infer_json_schema_from_iterator(values.iter().map(Ok)).map_err(fail)?;
    let fields = order.iter().map(|name| match found.field_with_name(name) {
        // only nulls: text is what can become anything else
        Ok(field) if *field.data_type() != DataType::Null => field.clone(),
        _ => Field::new(name, DataType::Utf8, true),
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut decoder =
        ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(BATCH).build_decoder().map_err(fail)?;
    let mut batches = Vec::new();
    for chunk in values.chunks(BATCH) {
        decoder.serialize(chunk).map_err(fail)?;
        batches.extend(decoder.flush().map_err(fail)?);
    }
    session.frame_from_batches(batches)
}

fn from_columns(session: &Session, columns: Vec<(String, ArrayRef)>) -> Result<DataFrame> {
    const OP: &str = "frame_from_columns";
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    check::distinct(OP, &names)?;
    let Some((first, array)) = columns.first() else {
        return Err(invalid(OP, "there is no column").with_help("give at least one"));
    };
    let rows = array.len();
    if let Some((name, other)) = columns.iter().find(|(_, other)| other.len() != rows) {
        let text = format!("`{first}` has {rows} values, `{name}` has {}", other.len());
        return Err(Error::new(ErrorKind::ShapeMismatch, OP, text));
    }
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| plan_error(e.into(), OP))?;
    session.frame_from_batches(vec![batch])
}

fn from_range(session: &Session, name: &str, range: Range<i64>) -> Result<DataFrame> {
    const OP: &str = "frame_from_range";
    let mut batches = Vec::new();
    let mut start = range.start;
    loop {
        let end = start.saturating_add(BATCH as i64).min(range.end).max(start);
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(start..end));
        let batch = RecordBatch::try_from_iter_with_nullable([(name, numbers, false)]);
        batches.push(batch.map_err(|e| plan_error(e.into(), OP))?);
        start = end;
        if start >= range.end {
            break;
        }
    }
    session.frame_from_batches(batches)
}

/// The rows of partitions as bags of values that serde can read.
pub(super) async fn to_bag<T>(frame: &DataFrame) -> Result<Bag<T>>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    check::names("to_bag", frame)?;
    let parts = frame.persist().await?.partitions()?;
    let calls = parts.into_iter().map(|part| {
        Call::new(TaskSpec::new("to_bag"), (Arg::Ref(part),), |(part,): (Input<Partition>,)| {
            let mut rows = Vec::with_capacity(part.num_rows());
            for batch in part.batches()?.iter() {
                rows.extend(decode::<T>("to_bag", batch)?);
            }
            Ok(rows)
        })
    });
    frame.session().engine().bag().from_calls(calls)
}

/// The rows as values that serde can read.
pub(super) async fn to_rows<T: DeserializeOwned>(frame: &DataFrame) -> Result<Vec<T>> {
    const OP: &str = "to_rows";
    check::names(OP, frame)?;
    let mut rows = Vec::new();
    let mut stream = frame.stream();
    while let Some(batch) = stream.try_next().await? {
        rows.extend(decode::<T>(OP, &batch)?);
    }
    Ok(rows)
}
