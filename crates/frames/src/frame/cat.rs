//! The functions of categories: codes, and other categories for a column.
//!
//! Categories are metadata of a field (`categories.rs`), so these are scalar functions that read the metadata
//! of their argument and write those of their result: when a plan is built for the type, and again when it
//! runs for the values.

use super::categories::{self, CATEGORIES};
use super::check::invalid;
use super::expr::Expr;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, DataFusionError, plan_err};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use trefoil_plan::{Result, plan_error};

/// The functions of a column with known categories; see [`cat`](super::ExprMethods::cat).
///
/// ```
/// use trefoil_frames::frame::*;
///
/// let session = trefoil_plan::Session::local()?;
/// session.block_on(async {
///     let diamonds = session.read_csv("../../examples/data/diamonds.csv").await?.categorize_of(["cut"]).await?;
///     assert_eq!(diamonds.categories("cut")?.map(|all| all.len()), Some(5));
///     let coded = diamonds.with_column("code", col("cut").cat().codes())?;
///     assert_eq!(coded.select(["code"])?.unique()?.count().await?, 5);
///     Ok::<(), trefoil_plan::Error>(())
/// })?;
/// # Ok::<(), trefoil_plan::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CatExpr(Expr);

impl CatExpr {
    pub(super) fn new(expr: Expr) -> Self {
        Self(expr)
    }

    fn op(self, op: Op) -> Expr {
        let signature = Signature::any(1, Volatility::Immutable);
        ScalarUDF::from(Cat { op, signature }).call(vec![self.0])
    }

    /// The place of each value among the categories, from 0; -1 for null and for what is no category.
    /// pandas: `s.cat.codes`.
    pub fn codes(self) -> Expr {
        self.op(Op::Codes)
    }

    /// These are the categories, in this order; other values become null. Needs none known before.
    /// pandas: `s.cat.set_categories(...)`, `pd.Categorical(s, categories=...)`.
    pub fn set_categories<S: Into<String>>(self, categories: impl IntoIterator<Item = S>) -> Expr {
        self.op(Op::Set(categories.into_iter().map(Into::into).collect()))
    }

    /// More categories, after those there are. pandas: `s.cat.add_categories(...)`.
    pub fn add_categories<S: Into<String>>(self, categories: impl IntoIterator<Item = S>) -> Expr {
        self.op(Op::Add(categories.into_iter().map(Into::into).collect()))
    }

    /// Fewer categories; their values become null. pandas: `s.cat.remove_categories(...)`.
    pub fn remove_categories<S: Into<String>>(self, categories: impl IntoIterator<Item = S>) -> Expr {
        self.op(Op::Remove(categories.into_iter().map(Into::into).collect()))
    }

    /// Other names for some categories and their values, as pairs of old and new.
    /// pandas: `s.cat.rename_categories({old: new})`.
    pub fn rename_categories<A: Into<String>, B: Into<String>>(
        self,
        pairs: impl IntoIterator<Item = (A, B)>,
    ) -> Expr {
        self.op(Op::Rename(pairs.into_iter().map(|(a, b)| (a.into(), b.into())).collect()))
    }

    /// The values as plain text, categories forgotten. Dask: `s.cat.as_unknown()`.
    pub fn as_unknown(self) -> Expr {
        self.op(Op::Forget)
    }
}

/// The codes of a column with known categories.
pub(super) fn codes(column: Expr) -> Expr {
    CatExpr::new(column).codes()
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Codes,
    Set(Vec<String>),
    Add(Vec<String>),
    Remove(Vec<String>),
    Rename(Vec<(String, String)>),
    Forget,
}

impl Op {
    /// The categories afterwards, of those before.
    fn after(&self, before: Vec<String>) -> Vec<String> {
        let mut after = match self {
            Op::Set(categories) => categories.clone(),
            Op::Add(more) => before.into_iter().chain(more.iter().cloned()).collect(),
            Op::Remove(fewer) => before.into_iter().filter(|name| !fewer.contains(name)).collect(),
            Op::Rename(pairs) => before.into_iter().map(|name| renamed(pairs, &name).to_owned()).collect(),
            Op::Codes | Op::Forget => Vec::new(),
        };
        let mut seen = std::collections::HashSet::new();
        after.retain(|name| seen.insert(name.clone()));
        after
    }
}

fn renamed<'a>(pairs: &'a [(String, String)], name: &'a str) -> &'a str {
    pairs.iter().find(|(old, _)| old == name).map_or(name, |(_, new)| new)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Cat {
    op: Op,
    signature: Signature,
}

/// The known categories of a field; an error if they are needed and not known.
fn known(op: &Op, field: &Field) -> PlanResult<Vec<String>> {
    let found = categories::of("cat", field).map_err(|e| DataFusionError::External(Box::new(e)))?;
    match (found, op) {
        (Some(found), _) => Ok(found),
        (None, Op::Set(_) | Op::Forget) => Ok(Vec::new()),
        (None, _) => plan_err!("the categories of `{}` are not known", field.name()),
    }
}

/// Whether the view of a text holds all of it.
fn is_short(view: u128) -> bool {
    view as u32 <= 12
}

fn codes_of(value: &ArrayRef, categories: &[String]) -> PlanResult<Int32Array> {
    // DataFusion's map hashes short texts faster than the standard library's
    let places: datafusion::common::HashMap<&str, i32> =
        categories.iter().map(String::as_str).zip(0..).collect();
    let code = |text: Option<&str>| text.and_then(|text| places.get(text)).copied().unwrap_or(-1);
    Ok(match value.data_type() {
        DataType::Utf8View => {
            // a text of up to 12 bytes is its view, which is looked up as a number
            let known = StringViewArray::from_iter_values(categories);
            let views = known.views().iter().copied().zip(0..);
            let short: datafusion::common::HashMap<u128, i32> =
                views.filter(|(view, _)| is_short(*view)).collect();
            let texts = value.as_string_view();
            let all = texts.null_count() == 0;
            let codes = texts.views().iter().enumerate().map(|(row, view)| match is_short(*view) {
                _ if !all && texts.is_null(row) => -1,
                true => short.get(view).copied().unwrap_or(-1),
                false => code(Some(texts.value(row))),
            });
            Int32Array::from_iter_values(codes)
        }
        _ => {
            let texts = cast(value, &DataType::Utf8)?;
            Int32Array::from_iter_values(texts.as_string::<i32>().iter().map(code))
        }
    })
}

/// Refuses a column without categories, in words of the frame.
pub(super) fn check(op: &'static str, schema: &DFSchema, function: &ScalarFunction) -> Result<()> {
    let inner: &dyn ScalarUDFImpl = function.func.inner().as_ref();
    let Some(ours) = (inner as &dyn Any).downcast_ref::<Cat>() else { return Ok(()) };
    let Some(value) = function.args.first() else { return Ok(()) };
    let (_, field) = value.to_field(schema).map_err(|e| plan_error(e, op))?;
    if super::check::class(field.data_type()) != super::check::Class::Text {
        let text = format!("`{}` is {}, not text", super::check::plain(value), field.data_type());
        return Err(super::check::mismatch(op, text).with_help("convert it with `cast` first"));
    }
    match known(&ours.op, &field) {
        Ok(_) => Ok(()),
        Err(_) => {
            let text = format!("the categories of `{}` are not known", super::check::plain(value));
            Err(invalid(op, text)
                .with_help("`categorize().await` looks at the data once; or say them with `set_categories`"))
        }
    }
}

impl ScalarUDFImpl for Cat {
    fn name(&self) -> &str {
        match self.op {
            Op::Codes => "cat_codes",
            Op::Set(_) => "set_categories",
            Op::Add(_) => "add_categories",
            Op::Remove(_) => "remove_categories",
            Op::Rename(_) => "rename_categories",
            Op::Forget => "as_unknown",
        }
    }

    /// With what it does: two of them on one column are two columns.
    fn schema_name(&self, args: &[Expr]) -> PlanResult<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({}) {:?}", self.name(), args.join(", "), self.op))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> PlanResult<DataType> {
        Ok(if self.op == Op::Codes { DataType::Int32 } else { DataType::Utf8 })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> PlanResult<FieldRef> {
        let [value] = args.arg_fields else { return plan_err!("{} takes one value", self.name()) };
        let before = known(&self.op, value)?;
        if self.op == Op::Codes {
            return Ok(Arc::new(Field::new(self.name(), DataType::Int32, false)));
        }
        let mut metadata: HashMap<String, String> = value.metadata().clone();
        metadata.remove(CATEGORIES);
        if self.op != Op::Forget {
            let json = serde_json::to_string(&self.op.after(before));
            let json = json.map_err(|e| DataFusionError::External(Box::new(e)))?;
            metadata.insert(CATEGORIES.to_owned(), json);
        }
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, true).with_metadata(metadata)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let before = match args.arg_fields.first() {
            Some(field) => known(&self.op, field)?,
            None => Vec::new(),
        };
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [value] = datafusion::common::utils::take_function_args(self.name(), arrays)?;
        if self.op == Op::Codes {
            return Ok(ColumnarValue::Array(Arc::new(codes_of(&value, &before)?)));
        }
        let texts = cast(&value, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let array: ArrayRef = match &self.op {
            Op::Codes | Op::Forget | Op::Add(_) => Arc::new(texts.clone()),
            Op::Set(_) | Op::Remove(_) => {
                let after = self.op.after(before);
                let kept: std::collections::HashSet<&str> = after.iter().map(String::as_str).collect();
                Arc::new(texts.iter().map(|t| t.filter(|t| kept.contains(t))).collect::<StringArray>())
            }
            Op::Rename(pairs) => {
                Arc::new(texts.iter().map(|t| t.map(|t| renamed(pairs, t))).collect::<StringArray>())
            }
        };
        Ok(ColumnarValue::Array(array))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Short and long texts, as views and not.
        #[test]
        fn codes_are_places_among_the_categories(
            texts in prop::collection::vec(prop::option::weighted(0.8, "[ab]{0,2}(and more text)?"), 0..40),
            categories in prop::collection::btree_set("[ab]{0,2}(and more text)?", 0..8),
        ) {
            let categories: Vec<String> = categories.into_iter().collect();
            let wanted: Int32Array = texts
                .iter()
                .map(|text| text.as_ref().and_then(|text| categories.iter().position(|known| known == text)))
                .map(|place| Some(place.map_or(-1, |place| place as i32)))
                .collect();
            let plain: ArrayRef = Arc::new(texts.iter().cloned().collect::<StringArray>());
            let views: ArrayRef = Arc::new(texts.iter().cloned().collect::<StringViewArray>());
            prop_assert_eq!(&codes_of(&plain, &categories).unwrap(), &wanted);
            prop_assert_eq!(&codes_of(&views, &categories).unwrap(), &wanted);
            let half = texts.len() / 2;
            let rest = codes_of(&views.slice(half, texts.len() - half), &categories).unwrap();
            prop_assert_eq!(rest, wanted.slice(half, texts.len() - half));
        }
    }
}
