//! Joins with the nearest row in time.
//!
//! The two frames are stacked, each row with its columns packed into one struct, and sorted by group and
//! time; a window then carries the last struct of the right side to the rows of the left. So the join is a
//! sort and a pass, whatever the sizes, and runs in parallel over groups.

use super::check::{self, Named, invalid, mismatch, unify};
use super::expr::{Expr, choose, col, lit};
use super::order;
use super::span::Span;
use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::plan_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result as PlanResult;
use datafusion::functions::core::named_struct;
use datafusion::functions_window::nth_value::last_value;
use datafusion::logical_expr::expr::{NullTreatment, Sort};
use datafusion::logical_expr::{
    Cast, ColumnarValue, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, WindowFrame, WindowFrameBound, WindowFrameUnits,
};
use std::sync::Arc;
use trefoil_plan::{DataFrame, Result, plan_error};

/// Which neighbour an as-of join takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Nearest {
    /// The last one at or before. pandas: `direction="backward"`.
    Before,
    /// The first one at or after. pandas: `direction="forward"`.
    After,
    /// The nearer of the two, the one before if they are as near. pandas: `direction="nearest"`.
    Either,
}

/// How rows are matched by time; for [`join_asof`](super::FrameMethods::join_asof).
///
/// ```
/// use trefoil_frames::frame::{AsOf, Nearest};
/// let how = AsOf::on("time").by(["ticker"]).tolerance("10ms");
/// let how = AsOf::on_pair("sold", "quoted").nearest(Nearest::After);
/// # let _ = how;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AsOf {
    left: String,
    right: String,
    by: Vec<String>,
    nearest: Nearest,
    within: Option<Within>,
    exact: bool,
    suffixes: (String, String),
}

#[derive(Clone, Debug)]
enum Within {
    Span(Span),
    Number(f64),
}

impl AsOf {
    /// By a column that has the same name in both frames, once in the result: the left one's value.
    pub fn on(column: impl Into<String>) -> Self {
        let column = column.into();
        Self::on_pair(column.clone(), column)
    }

    /// By columns of different names; both are in the result.
    pub fn on_pair(left: impl Into<String>, right: impl Into<String>) -> Self {
        AsOf {
            left: left.into(),
            right: right.into(),
            by: Vec::new(),
            nearest: Nearest::Before,
            within: None,
            exact: true,
            suffixes: ("_x".to_owned(), "_y".to_owned()),
        }
    }

    /// Only rows with equal values in these columns match; null equals null here. pandas: `by=[...]`.
    pub fn by<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.by = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Which neighbour is taken; [`Nearest::Before`] unless said.
    pub fn nearest(mut self, nearest: Nearest) -> Self {
        self.nearest = nearest;
        self
    }

    /// No neighbour farther away than this, in time. pandas: `tolerance=pd.Timedelta(...)`.
    pub fn tolerance(mut self, span: impl Into<Span>) -> Self {
        self.within = Some(Within::Span(span.into()));
        self
    }

    /// No neighbour farther away than this, in numbers. pandas: `tolerance=...`.
    pub fn within(mut self, distance: f64) -> Self {
        self.within = Some(Within::Number(distance));
        self
    }

    /// Whether a neighbour may be at the same time, as by default. pandas: `allow_exact_matches=`.
    pub fn exact(mut self, exact: bool) -> Self {
        self.exact = exact;
        self
    }

    /// What is appended to columns that both frames have (`_x` and `_y`).
    pub fn suffixes(mut self, left: impl Into<String>, right: impl Into<String>) -> Self {
        self.suffixes = (left.into(), right.into());
        self
    }
}

const OP: &str = "join_asof";
const AT: &str = "__trefoil_at";
const SIDE: &str = "__trefoil_side";
const LEFT: &str = "__trefoil_left";
const RIGHT: &str = "__trefoil_right";
const BY: &str = "__trefoil_by_";
/// The time of the right row inside its struct.
const THEN: &str = "__trefoil_then";

/// One struct of columns.
fn pack(frame: &DataFrame, names: &[String], more: Option<Expr>) -> Result<Expr> {
    let mut args = Vec::new();
    for name in names {
        args.push(lit(name.as_str()));
        args.push(check::column(OP, frame, name)?);
    }
    if let Some(time) = more {
        args.extend([lit(THEN), time]);
    }
    Ok(named_struct().call(args))
}

fn cast(expr: Expr, to: &DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), to.clone()))
}

/// A type that both columns fit in.
fn common(left: &DataFrame, l: &str, right: &DataFrame, r: &str) -> Result<DataType> {
    let (l_type, r_type) = (check::find(OP, left, l)?.1, check::find(OP, right, r)?.1);
    let (l_type, r_type) = (l_type.data_type(), r_type.data_type());
    unify(l_type, r_type).ok_or_else(|| {
        mismatch(OP, format!("left `{l}` is {l_type} and right `{r}` is {r_type}: they do not compare"))
            .with_help("convert one of them with `astype`")
    })
}

pub(super) fn join(left: &DataFrame, right: &DataFrame, how: &AsOf) -> Result<DataFrame> {
    if let Some(Within::Span(span)) = &how.within {
        span.check(OP)?;
    }
    let time = common(left, &how.left, right, &how.right)?;
    let left_names = check::names(OP, left)?;
    let mut right_names = check::names(OP, right)?;
    let shared = |name: &String| how.by.contains(name) || (how.left == how.right && *name == how.right);
    right_names.retain(|name| !shared(name));

    let mut sides: Vec<(Vec<Named>, &DataFrame)> = Vec::new();
    let ours = pack(left, &left_names, None)?;
    let at = |frame, name: &str| Ok::<_, trefoil_plan::Error>(cast(check::column(OP, frame, name)?, &time));
    let then = at(right, &how.right)?;
    let theirs = pack(right, &right_names, Some(then.clone()))?;
    let (our_type, their_type) = (check::type_of(OP, left, &ours)?, check::type_of(OP, right, &theirs)?);
    let nothing = |of: &DataType| cast(lit(ScalarValue::Null), of);
    let mut l: Vec<Named> = Vec::new();
    let mut r: Vec<Named> = Vec::new();
    for (i, name) in how.by.iter().enumerate() {
        let key = common(left, name, right, name)?;
        l.push((format!("{BY}{i}"), cast(check::column(OP, left, name)?, &key)));
        r.push((format!("{BY}{i}"), cast(check::column(OP, right, name)?, &key)));
    }
    l.push((AT.to_owned(), at(left, &how.left)?));
    r.push((AT.to_owned(), then));
    l.push((SIDE.to_owned(), lit(0_i64)));
    r.push((SIDE.to_owned(), lit(1_i64)));
    l.push((LEFT.to_owned(), ours));
    r.push((LEFT.to_owned(), nothing(&our_type)));
    l.push((RIGHT.to_owned(), nothing(&their_type)));
    r.push((RIGHT.to_owned(), theirs));
    sides.push((l, left));
    sides.push((r, right));

    let mut plan: Option<LogicalPlanBuilder> = None;
    for (columns, frame) in sides {
        // no time, no neighbour: right rows without one are dropped, left ones stay unmatched
        let projected = check::plan(&check::project(OP, frame, columns)?);
        plan = Some(match plan {
            None => LogicalPlanBuilder::from(projected),
            Some(first) => first.union(projected).map_err(|e| plan_error(e, OP))?,
        });
    }
    let Some(plan) = plan else { return Err(invalid(OP, "no frames")) };
    let stacked = check::with_plan(left, plan.build().map_err(|e| plan_error(e, OP))?);

    let keys: Vec<Expr> = (0..how.by.len()).map(|i| col(format!("{BY}{i}"))).collect();
    let before = neighbour(&keys, true, how.exact);
    let after = neighbour(&keys, false, how.exact);
    const FOUND: &str = "__trefoil_found";
    const OTHER: &str = "__trefoil_other";
    let mut columns = check::all(OP, &stacked)?;
    match how.nearest {
        Nearest::Before => columns.push((FOUND.to_owned(), before)),
        Nearest::After => columns.push((FOUND.to_owned(), after)),
        Nearest::Either => columns.extend([(FOUND.to_owned(), before), (OTHER.to_owned(), after)]),
    }
    let columns =
        columns.into_iter().map(|(n, e)| Ok((n, check::resolve(OP, &stacked, e)?))).collect::<Result<_>>()?;
    let matched = super::rows::filter(OP, &order::project(OP, &stacked, columns)?, col(SIDE).eq(lit(0_i64)))?;

    let when = |found: &str| field(col(found), THEN);
    let found = match how.nearest {
        Nearest::Either => {
            let nearer = when(OTHER)
                .is_not_null()
                .and(when(FOUND).is_null().or((when(OTHER) - col(AT)).lt(col(AT) - when(FOUND))));
            choose(nearer, col(OTHER), Some(col(FOUND)))
        }
        _ => col(FOUND),
    };
    let one = check::project(
        OP,
        &matched,
        vec![
            (AT.to_owned(), col(AT)),
            (LEFT.to_owned(), col(LEFT)),
            (RIGHT.to_owned(), check::resolve(OP, &matched, found)?),
        ],
    )?;
    let ours = |name: &str| field(col(LEFT), name);
    let theirs = |name: &str| field(col(RIGHT), name);
    let near = how.within.as_ref().map(|within| {
        let distance = match within {
            Within::Span(span) => lit(span.interval()),
            Within::Number(number) => lit(*number),
        };
        theirs(THEN).gt_eq(col(AT) - distance.clone()).and(theirs(THEN).lt_eq(col(AT) + distance))
    });
    let mut outputs: Vec<Named> = Vec::new();
    for name in &left_names {
        let suffix = if right_names.contains(name) { how.suffixes.0.as_str() } else { "" };
        outputs.push((format!("{name}{suffix}"), ours(name)));
    }
    for name in &right_names {
        let suffix = if left_names.contains(name) { how.suffixes.1.as_str() } else { "" };
        let value = match &near {
            Some(near) => choose(near.clone(), theirs(name), None),
            None => theirs(name),
        };
        outputs.push((format!("{name}{suffix}"), value));
    }
    let outputs =
        outputs.into_iter().map(|(n, e)| Ok((n, check::resolve(OP, &one, e)?))).collect::<Result<_>>()?;
    check::project(OP, &one, outputs)
}

/// The last struct of the right side, in the order of time or against it.
fn neighbour(keys: &[Expr], ascending: bool, exact: bool) -> Expr {
    // at one time the right rows (side 1) come first, so that they are seen; or last, so that they are not
    let side = Sort::new(col(SIDE), !exact, false);
    let frame = WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::CurrentRow,
    );
    match last_value(choose(col(AT).is_not_null(), col(RIGHT), None)) {
        Expr::WindowFunction(mut window) => {
            window.params.partition_by = keys.to_vec();
            window.params.order_by = vec![Sort::new(col(AT), ascending, true), side];
            window.params.window_frame = frame;
            window.params.null_treatment = Some(NullTreatment::IgnoreNulls);
            Expr::WindowFunction(window)
        }
        other => other,
    }
}

/// A field of a packed row.
///
/// DataFusion's own `get_field` is moved below unions and windows by an optimiser rule that then finds two
/// columns of one name (55.2, `push_down_leaf_projections`); a function it does not know stays in its place.
fn field(packed: Expr, name: &str) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::from(Field { name: name.to_owned(), signature }).call(vec![packed])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Field {
    name: String,
    signature: Signature,
}

impl ScalarUDFImpl for Field {
    fn name(&self) -> &str {
        "trefoil_field"
    }

    /// With what it does: two of them on one column are two columns.
    fn schema_name(&self, args: &[Expr]) -> PlanResult<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({}) {:?}", self.name(), args.join(", "), self.name))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> PlanResult<DataType> {
        match arg_types {
            [DataType::Struct(fields)] => match fields.find(&self.name) {
                Some((_, field)) => Ok(field.data_type().clone()),
                None => plan_err!("no field `{}`", self.name),
            },
            _ => plan_err!("not a packed row"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [packed] = take_function_args(self.name(), arrays)?;
        let packed = packed.as_struct();
        let Some(values) = packed.column_by_name(&self.name) else {
            return plan_err!("no field `{}`", self.name);
        };
        // where the row is missing, so are its fields
        let missing = packed.nulls().map(|nulls| BooleanArray::from(!nulls.inner()));
        Ok(ColumnarValue::Array(match missing {
            Some(missing) => nullif(values, &missing)?,
            None => Arc::clone(values),
        }))
    }
}
