//! A sub-query for each row of a domain.
//!
//! [`Domain::dependent`] gives, for a plan, one whose first columns are those of the domain: the rows that belong to
//! some values of the domain are those that the plan would give if what it refers to outside had these values. It goes
//! from the root down: each operator carries the columns of the domain along, counts and numbers apart for each of
//! its values, and where nothing below refers outside any more the domain is joined in.
//!
//! | operator | becomes |
//! |---|---|
//! | projection, filter, alias, unnest | the same, with the columns of the domain |
//! | groups | groups by the domain, too |
//! | an aggregate without groups | the same over the domain joined with its rows: a value without rows counts none |
//! | `ORDER BY .. LIMIT` | the rows are numbered within the domain |
//! | window | partitions by the domain, too |
//! | join | the side that must not lose rows, or that refers outside, has the domain; both: equal in it |
//! | union, `VALUES` | a union of its parts |

use super::{depends, renamed};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::logical_plan::{FetchType, SkipType, Subquery};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprFunctionExt, Filter, Join, JoinConstraint, Limit, LogicalPlan,
    LogicalPlanBuilder, Operator, Projection, SortExpr, Union, Unnest, Values, Window, binary_expr, cast,
    lit,
};
use std::sync::Arc;

/// A plan, and what is equal in it and in another.
type Keyed = (Arc<LogicalPlan>, Vec<(Expr, Expr)>);

/// The column that marks rows that are there, or numbers them.
const MARK: &str = "#row";

/// Values of the columns that a sub-query refers to.
pub(super) struct Domain {
    plan: LogicalPlan,
    alias: TableReference,
    outer: Vec<Column>,
}

/// Whether an expression refers to one of these columns outside.
pub(super) fn refers(expr: &Expr, outer: &[Column]) -> bool {
    let is_one =
        |expr: &Expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if outer.contains(column));
    expr.exists(|expr| Ok(is_one(expr))).unwrap_or(true)
}

impl Domain {
    /// These columns of a plan, all rows, called by their number.
    pub(super) fn new(plan: Arc<LogicalPlan>, outer: Vec<Column>, alias: TableReference) -> Result<Self> {
        let named = outer.iter().enumerate();
        let columns = named
            .map(|(at, column)| {
                Expr::Column(column.clone()).alias_qualified(Some(alias.clone()), format!("c{at}"))
            })
            .collect();
        let plan = LogicalPlan::Projection(Projection::try_new(columns, plan)?);
        Ok(Self { plan, alias, outer })
    }

    pub(super) fn over(self, plan: LogicalPlan) -> Self {
        Self { plan, ..self }
    }

    pub(super) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = Column> + '_ {
        self.named(&self.alias)
    }

    fn named<'a>(&'a self, alias: &'a TableReference) -> impl Iterator<Item = Column> + 'a {
        (0..self.outer.len()).map(|at| Column::new(Some(alias.clone()), format!("c{at}")))
    }

    fn keys(&self) -> impl Iterator<Item = Expr> + '_ {
        self.columns().map(Expr::Column)
    }

    /// The column of the domain for one outside.
    fn column(&self, outer: &Column) -> Option<Column> {
        let at = self.outer.iter().position(|column| column == outer)?;
        Some(Column::new(Some(self.alias.clone()), format!("c{at}")))
    }

    /// An expression of the sub-query over the domain.
    fn inside(&self, expr: Expr) -> Result<Expr> {
        expr.transform(|expr| {
            Ok(match expr {
                Expr::OuterReferenceColumn(field, outer) => match self.column(&outer) {
                    Some(column) => Transformed::yes(Expr::Column(column)),
                    None => Transformed::no(Expr::OuterReferenceColumn(field, outer)),
                },
                Expr::ScalarSubquery(subquery) => {
                    Transformed::yes(Expr::ScalarSubquery(self.below(subquery)?))
                }
                Expr::Exists(Exists { subquery, negated }) => {
                    Transformed::yes(Expr::Exists(Exists { subquery: self.below(subquery)?, negated }))
                }
                Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                    let subquery = self.below(subquery)?;
                    Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated }))
                }
                other => Transformed::no(other),
            })
        })
        .data()
    }

    /// A sub-query in an expression: what it refers to further outside is now one step away, in the domain.
    fn below(&self, subquery: Subquery) -> Result<Subquery> {
        let moved = |expr: Expr| {
            Ok(match expr {
                Expr::OuterReferenceColumn(field, outer) => match self.column(&outer) {
                    Some(column) => Transformed::yes(Expr::OuterReferenceColumn(field, column)),
                    None => Transformed::no(Expr::OuterReferenceColumn(field, outer)),
                },
                other => Transformed::no(other),
            })
        };
        let plan = Arc::unwrap_or_clone(subquery.subquery);
        let plan =
            plan.transform_down_with_subqueries(|node| node.map_expressions(|expr| expr.transform(moved)));
        let outer_ref_columns =
            subquery.outer_ref_columns.into_iter().map(|expr| expr.transform(moved).data());
        Ok(Subquery {
            subquery: Arc::new(plan.data()?),
            outer_ref_columns: outer_ref_columns.collect::<Result<_>>()?,
            spans: subquery.spans,
        })
    }

    fn all_inside(&self, exprs: &[Expr]) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.inside(expr.clone())).collect()
    }

    /// Expressions over the domain under the names that they have outside of it.
    fn called(&self, exprs: &[Expr], schema: &DFSchema, first: usize) -> Result<Vec<Expr>> {
        let mut out = Vec::with_capacity(exprs.len());
        for (at, expr) in exprs.iter().enumerate() {
            let inside = self.inside(expr.clone())?;
            out.push(match &inside == expr {
                true => inside,
                false => {
                    let (qualifier, field) = schema.qualified_field(first + at);
                    inside.unalias().alias_qualified(qualifier.cloned(), field.name())
                }
            });
        }
        Ok(out)
    }

    /// The schema of a plan behind the columns of the domain.
    fn behind(&self, schema: &DFSchema) -> Result<DFSchema> {
        let fields = self.plan.schema().iter().chain(schema.iter());
        let fields = fields.map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        DFSchema::new_with_metadata(fields, Default::default())
    }

    fn depends(&self, plan: &LogicalPlan) -> Result<bool> {
        depends(plan, &self.outer)
    }

    /// The plan for the domain; none if some operator is not understood.
    pub(super) fn dependent(&self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        if !self.depends(plan)? {
            return match plan {
                LogicalPlan::EmptyRelation(one) if one.produce_one_row && one.schema.fields().is_empty() => {
                    Ok(Some(self.plan.clone()))
                }
                _ => LogicalPlanBuilder::from(self.plan.clone()).cross_join(plan.clone())?.build().map(Some),
            };
        }
        // `x > ALL (..)` is not moved by `inside`.
        let compares = |expr: &Expr| Ok(matches!(expr, Expr::SetComparison(_)));
        if plan.expressions().iter().any(|expr| expr.exists(compares).unwrap_or(true)) {
            return Ok(None);
        }
        match plan {
            LogicalPlan::Projection(projection) => {
                let Some(input) = self.dependent(&projection.input)? else { return Ok(None) };
                self.projected(projection, input).map(Some)
            }
            LogicalPlan::Filter(filter) => {
                let Some(input) = self.dependent(&filter.input)? else { return Ok(None) };
                let predicate = self.inside(filter.predicate.clone())?;
                Ok(Some(LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?)))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some(input) = self.dependent(&alias.input)? else { return Ok(None) };
                renamed(input, &self.behind(&alias.schema)?).map(Some)
            }
            LogicalPlan::Subquery(subquery) => self.dependent(&subquery.subquery),
            LogicalPlan::Unnest(unnest) => self.unnested(unnest),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some(input) = self.dependent(input)? else { return Ok(None) };
                Ok(Some(LogicalPlan::Distinct(Distinct::All(Arc::new(input)))))
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregated(aggregate),
            LogicalPlan::Sort(sort) => match sort.fetch {
                None => self.dependent(&sort.input),
                Some(fetch) => self.numbered(&sort.input, &sort.expr, 0, Some(fetch)),
            },
            LogicalPlan::Limit(limit) => self.limited(limit),
            LogicalPlan::Window(window) => self.windowed(window),
            LogicalPlan::Union(union) => {
                let parts = union.inputs.iter().map(|input| self.dependent(input));
                self.united(parts.collect::<Result<Option<Vec<_>>>>()?, &union.schema)
            }
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::Join(join) => self.joined(join),
            _ => Ok(None),
        }
    }

    fn projected(&self, projection: &Projection, input: LogicalPlan) -> Result<LogicalPlan> {
        let exprs = self.called(&projection.expr, &projection.schema, 0)?;
        let exprs = self.keys().chain(exprs).collect();
        Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?))
    }

    fn unnested(&self, unnest: &Unnest) -> Result<Option<LogicalPlan>> {
        let Some(input) = self.dependent(&unnest.input)? else { return Ok(None) };
        let unnested = LogicalPlanBuilder::from(input)
            .unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?
            .build()?;
        renamed(unnested, &self.behind(&unnest.schema)?).map(Some)
    }

    fn aggregated(&self, aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
        if aggregate.group_expr.iter().any(|group| matches!(group, Expr::GroupingSet(_))) {
            return Ok(None);
        }
        let Some(input) = self.dependent(&aggregate.input)? else { return Ok(None) };
        let groups = self.called(&aggregate.group_expr, &aggregate.schema, 0)?;
        let functions = self.called(&aggregate.aggr_expr, &aggregate.schema, groups.len())?;
        if !groups.is_empty() {
            let groups = self.keys().chain(groups).collect();
            let plan = Aggregate::try_new(Arc::new(input), groups, functions)?;
            return Ok(Some(LogicalPlan::Aggregate(plan)));
        }
        let (rows, on) = self.other(input, "r", Some(lit(true).alias(MARK)))?;
        let joined = equal(Arc::new(self.plan.clone()), rows, on, None, JoinType::Left)?;
        let there = Expr::Column(Column::from_name(MARK)).is_not_null();
        let mut marked = Vec::with_capacity(functions.len());
        for (at, function) in functions.into_iter().enumerate() {
            let Expr::AggregateFunction(mut function) = function.unalias() else { return Ok(None) };
            let own = function.params.filter.take();
            let filter = own.into_iter().fold(there.clone(), |all, own| all.and(*own));
            function.params.filter = Some(Box::new(filter));
            let (qualifier, field) = aggregate.schema.qualified_field(at);
            let function = Expr::AggregateFunction(function);
            marked.push(function.alias_qualified(qualifier.cloned(), field.name()));
        }
        let plan = Aggregate::try_new(Arc::new(joined), self.keys().collect(), marked)?;
        Ok(Some(LogicalPlan::Aggregate(plan)))
    }

    /// What must be equal for columns to be those of the domain; null is null. Joins that take null for null cannot be
    /// used: DataFusion 55 moves other equalities into them, for which null is not null.
    pub(super) fn pairs(&self, others: impl Iterator<Item = Expr>) -> Result<Vec<(Expr, Expr)>> {
        let mut pairs = Vec::with_capacity(self.outer.len());
        for ((mine, theirs), field) in self.keys().zip(others).zip(self.plan.schema().fields()) {
            if !field.is_nullable() {
                pairs.push((theirs, mine));
                continue;
            }
            let null = lit(ScalarValue::new_default(field.data_type())?);
            let filled = |expr: Expr| coalesce(vec![expr, null.clone()]);
            pairs.push((filled(theirs.clone()), filled(mine.clone())));
            pairs.push((theirs.is_null(), mine.is_null()));
        }
        Ok(pairs)
    }

    /// A plan with the domain under another name, perhaps with a column more, and what is equal in the two.
    fn other(&self, plan: LogicalPlan, suffix: &str, more: Option<Expr>) -> Result<Keyed> {
        let alias = TableReference::bare(format!("{}{suffix}", self.alias.table()));
        let columns = plan.schema().columns();
        let count = self.outer.len();
        let theirs: Vec<Column> = self.named(&alias).collect();
        let named = columns.iter().take(count).zip(&theirs).map(|(column, theirs)| {
            Expr::Column(column.clone()).alias_qualified(theirs.relation.clone(), theirs.name.clone())
        });
        let rest = columns.iter().skip(count).cloned().map(Expr::Column);
        let exprs = named.chain(rest).chain(more).collect();
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
        let on = self.pairs(theirs.into_iter().map(Expr::Column))?.into_iter();
        Ok((Arc::new(plan), on.map(|(theirs, mine)| (mine, theirs)).collect()))
    }

    fn limited(&self, limit: &Limit) -> Result<Option<LogicalPlan>> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        self.first(&limit.input, skip, fetch)
    }

    /// So many rows of a plan, in the order that it gives them.
    fn first(&self, plan: &LogicalPlan, skip: usize, fetch: Option<usize>) -> Result<Option<LogicalPlan>> {
        match plan {
            // One row for each: the limit may be below.
            LogicalPlan::Projection(projection) => {
                let Some(input) = self.first(&projection.input, skip, fetch)? else { return Ok(None) };
                self.projected(projection, input).map(Some)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some(input) = self.first(&alias.input, skip, fetch)? else { return Ok(None) };
                renamed(input, &self.behind(&alias.schema)?).map(Some)
            }
            LogicalPlan::Sort(sort) => {
                let left = sort.fetch.map(|all| all.saturating_sub(skip));
                let fetch = fetch.into_iter().chain(left).min();
                self.numbered(&sort.input, &sort.expr, skip, fetch)
            }
            LogicalPlan::Limit(_) => Ok(None),
            _ => self.numbered(plan, &[], skip, fetch),
        }
    }

    fn numbered(
        &self,
        plan: &LogicalPlan,
        order: &[SortExpr],
        skip: usize,
        fetch: Option<usize>,
    ) -> Result<Option<LogicalPlan>> {
        let Some(input) = self.dependent(plan)? else { return Ok(None) };
        let schema = self.behind(plan.schema())?;
        let mut inside = Vec::with_capacity(order.len());
        for sort in order {
            inside.push(SortExpr { expr: self.inside(sort.expr.clone())?, ..sort.clone() });
        }
        let number = row_number().partition_by(self.keys().collect());
        let number = if inside.is_empty() { number } else { number.order_by(inside) };
        let number = number.build()?.alias(MARK);
        let numbered = LogicalPlan::Window(Window::try_new(vec![number], Arc::new(input))?);
        let place = Expr::Column(Column::from_name(MARK));
        let mut kept = place.clone().gt(lit(skip as u64));
        if let Some(fetch) = fetch {
            kept = kept.and(place.lt_eq(lit(skip.saturating_add(fetch) as u64)));
        }
        let kept = LogicalPlan::Filter(Filter::try_new(kept, Arc::new(numbered))?);
        // The number is the last column, and has no name to take.
        renamed(kept, &schema).map(Some)
    }

    fn windowed(&self, window: &Window) -> Result<Option<LogicalPlan>> {
        let Some(input) = self.dependent(&window.input)? else { return Ok(None) };
        let first = window.input.schema().fields().len();
        let mut functions = Vec::with_capacity(window.window_expr.len());
        for (at, expr) in self.all_inside(&window.window_expr)?.into_iter().enumerate() {
            let Expr::WindowFunction(mut function) = expr.unalias() else { return Ok(None) };
            function.params.partition_by.extend(self.keys());
            let (qualifier, field) = window.schema.qualified_field(first + at);
            let function = Expr::WindowFunction(function);
            functions.push(function.alias_qualified(qualifier.cloned(), field.name()));
        }
        Ok(Some(LogicalPlan::Window(Window::try_new(functions, Arc::new(input))?)))
    }

    fn united(&self, parts: Option<Vec<LogicalPlan>>, schema: &DFSchema) -> Result<Option<LogicalPlan>> {
        let Some(parts) = parts else { return Ok(None) };
        let union = Union::try_new_with_loose_types(parts.into_iter().map(Arc::new).collect())?;
        renamed(LogicalPlan::Union(union), &self.behind(schema)?).map(Some)
    }

    /// A row of literals is a projection of the domain.
    fn values(&self, values: &Values) -> Result<Option<LogicalPlan>> {
        let mut parts = Vec::with_capacity(values.values.len());
        for row in &values.values {
            let mut exprs: Vec<Expr> = self.keys().collect();
            for ((qualifier, field), expr) in values.schema.iter().zip(row) {
                let value = match expr {
                    Expr::Literal(ScalarValue::Null, _) => {
                        Expr::Literal(ScalarValue::try_new_null(field.data_type())?, None)
                    }
                    other => cast(self.inside(other.clone())?, field.data_type().clone()),
                };
                exprs.push(value.alias_qualified(qualifier.cloned(), field.name()));
            }
            let plan = Projection::try_new(exprs, Arc::new(self.plan.clone()))?;
            parts.push(LogicalPlan::Projection(plan));
        }
        match parts.len() {
            0 => Ok(None),
            1 => Ok(parts.pop()),
            _ => self.united(Some(parts), &values.schema),
        }
    }

    fn joined(&self, join: &Join) -> Result<Option<LogicalPlan>> {
        let keeps_left = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftMark => true,
            JoinType::LeftAnti if !join.null_aware => true,
            _ => return Ok(None),
        };
        let own = join.on.iter().flat_map(|(mine, theirs)| [mine, theirs]).chain(&join.filter);
        let condition = own.into_iter().any(|expr| refers(expr, &self.outer));
        let (left, right) = (self.depends(&join.left)?, self.depends(&join.right)?);
        // Whose nulls are equal differs from pair to pair now.
        let mut conditions = Vec::new();
        for (mine, theirs) in &join.on {
            let (mine, theirs) = (self.inside(mine.clone())?, self.inside(theirs.clone())?);
            conditions.push(match join.null_equality {
                NullEquality::NullEqualsNothing => mine.eq(theirs),
                NullEquality::NullEqualsNull => binary_expr(mine, Operator::IsNotDistinctFrom, theirs),
            });
        }
        if let Some(filter) = &join.filter {
            conditions.push(self.inside(filter.clone())?);
        }
        let condition_of_all = conditions.into_iter().reduce(Expr::and);
        let on_left = left || condition || keeps_left;
        let (mine, theirs) = match (on_left, right) {
            (true, false) => (self.dependent(&join.left)?, Some(join.right.as_ref().clone())),
            (true, true) => (self.dependent(&join.left)?, self.dependent(&join.right)?),
            (false, _) => (Some(join.left.as_ref().clone()), self.dependent(&join.right)?),
        };
        let (Some(mine), Some(theirs)) = (mine, theirs) else { return Ok(None) };
        let mine = Arc::new(mine);
        let plan = match (on_left, right) {
            (true, true) => {
                let (theirs, on) = self.other(theirs, "j", None)?;
                equal(mine, theirs, on, condition_of_all, join.join_type)?
            }
            _ => equal(mine, Arc::new(theirs), Vec::new(), condition_of_all, join.join_type)?,
        };
        // The domain first, and only once.
        let schema = self.behind(&join.schema)?;
        let kept = schema.columns().into_iter().map(Expr::Column).collect();
        Ok(Some(LogicalPlan::Projection(Projection::try_new(kept, Arc::new(plan))?)))
    }
}

/// Rows with equal keys that meet the condition.
pub(super) fn equal(
    left: Arc<LogicalPlan>,
    right: Arc<LogicalPlan>,
    on: Vec<(Expr, Expr)>,
    condition: Option<Expr>,
    join_type: JoinType,
) -> Result<LogicalPlan> {
    let (constraint, nulls) = (JoinConstraint::On, NullEquality::NullEqualsNothing);
    Join::try_new(left, right, on, condition, join_type, constraint, nulls, false).map(LogicalPlan::Join)
}
