//! Functions over a join whose values are of one table and whose condition is of the other.
//!
//! Sales by day of the week are `sum(CASE WHEN d_day_name = 'Sunday' THEN price END)` of a table of sales and a table of
//! dates. All sales of a group that is made before the join have the same date. So the condition may be asked about their sum
//! behind the join:
//!
//! ```text
//!   sum(CASE WHEN p THEN x END) over groups          CASE WHEN p THEN sum(x) END over a join with the groups' sums
//! ```
//!
//! A function must have one state that null, or zero, leaves as it is. `FILTER (WHERE p)` is the same in other words.

use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, Column, Literal, lit};
use datafusion::physical_expr::utils::collect_columns;
use std::sync::Arc;

type Expr = Arc<dyn PhysicalExpr>;

/// A function as it is made before the join, by the columns of the join.
pub(super) struct Early {
    pub(super) arguments: Vec<Expr>,
    pub(super) filter: Option<Expr>,
    /// What is asked about its state behind the join.
    pub(super) condition: Option<Condition>,
}

/// A condition of the other side.
pub(super) struct Condition {
    asked: Expr,
    /// The state of rows for which it does not hold; none for null.
    otherwise: Option<ScalarValue>,
}

impl Early {
    /// None if the function reads both sides in another way.
    pub(super) fn of(
        function: &AggregateFunctionExpr,
        arguments: &[Expr],
        filter: &Option<Expr>,
        is_of_side: &dyn Fn(&Column) -> bool,
    ) -> Option<Self> {
        let is_ours = |expr: &Expr| collect_columns(expr).iter().all(is_of_side);
        let is_theirs = |expr: &Expr| !collect_columns(expr).iter().any(is_of_side);
        if arguments.iter().all(is_ours) && filter.iter().all(is_ours) {
            return Some(Self { arguments: arguments.to_vec(), filter: filter.clone(), condition: None });
        }
        let kind = Kind::of(function)?;
        if let Some(asked) = filter {
            let fits = is_theirs(asked) && arguments.iter().all(is_ours);
            let condition = Condition { asked: Arc::clone(asked), otherwise: kind.of_nothing() };
            return fits.then(|| Self {
                arguments: arguments.to_vec(),
                filter: None,
                condition: Some(condition),
            });
        }
        let [argument] = arguments else { return None };
        let case = argument.downcast_ref::<CaseExpr>()?;
        let [(when, value)] = case.when_then_expr() else { return None };
        let parts = [Some(when), case.expr()];
        if !is_ours(value) || !parts.into_iter().flatten().all(is_theirs) {
            return None;
        }
        let otherwise = match case.else_expr().map(|other| other.downcast_ref::<Literal>()) {
            None => kind.of_nothing(),
            Some(Some(other)) if other.value().is_null() => kind.of_nothing(),
            Some(other) => Some(kind.of_value(other?.value())?),
        };
        Some(Self {
            arguments: vec![Arc::clone(value)],
            filter: None,
            condition: Some(Condition { asked: asked(case, when), otherwise }),
        })
    }

    /// Whether the early states of one function are those of the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.arguments == other.arguments && self.filter == other.filter
    }
}

impl Condition {
    /// The state, where the condition holds. `behind` puts the columns behind the join into an expression.
    pub(super) fn applied(&self, state: Expr, behind: impl Fn(&Expr) -> Result<Expr>) -> Result<Expr> {
        let otherwise = self.otherwise.clone().map(lit);
        Ok(Arc::new(CaseExpr::try_new(None, vec![(behind(&self.asked)?, state)], otherwise)?))
    }
}

/// Functions whose one state may be replaced.
enum Kind {
    Sum(ScalarValue),
    Count,
    Extreme,
}

impl Kind {
    fn of(function: &AggregateFunctionExpr) -> Option<Self> {
        let [state] = &function.state_fields().ok()?[..] else { return None };
        match function.fun().name() {
            "sum" => Some(Self::Sum(ScalarValue::new_zero(state.data_type()).ok()?)),
            "count" => Some(Self::Count),
            "min" | "max" => Some(Self::Extreme),
            _ => None,
        }
    }

    /// The state of no values.
    fn of_nothing(&self) -> Option<ScalarValue> {
        match self {
            Self::Count => Some(ScalarValue::Int64(Some(0))),
            Self::Sum(_) | Self::Extreme => None,
        }
    }

    /// The state of rows that all have one value which is not null, however many they are.
    fn of_value(&self, value: &ScalarValue) -> Option<ScalarValue> {
        match self {
            Self::Sum(zero) => {
                let is_zero = ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| &zero == value);
                is_zero.then(|| zero.clone())
            }
            Self::Extreme => Some(value.clone()),
            Self::Count => None,
        }
    }
}

/// What the case asks.
fn asked(case: &CaseExpr, when: &Expr) -> Expr {
    match case.expr() {
        None => Arc::clone(when),
        Some(value) => Arc::new(BinaryExpr::new(Arc::clone(value), Operator::Eq, Arc::clone(when))),
    }
}
