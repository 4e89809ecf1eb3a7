//! Clauses that DataFusion's planner lacks, said in clauses that it has.
//!
//! `TABLE t`, `FROM t` without a select list, `SORT BY`, `MINUS`, `EXCEPT ALL` and `INTERSECT ALL` (whose rows are
//! numbered, so that each counts once), `GROUP BY .. WITH ROLLUP`, `grouping_id()`, tuples in comparisons and
//! in `IN`, and the pipe operators `SET`, `DROP`, `TABLESAMPLE`, `PIVOT`, `UNPIVOT`.

use crate::dialect::TrefoilDialect;
use crate::{group_all, group_sets, membership, named_windows, names, rewrite};
use datafusion::sql::sqlparser::ast::*;
use datafusion::sql::sqlparser::parser::Parser;
use std::ops::ControlFlow;

/// Before all other passes: pipe operators, and `FROM t` without a select list.
pub(crate) struct Pipes;

impl VisitorMut for Pipes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        pipes(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.flavor == SelectFlavor::FromFirstNoSelect {
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        }
        select.flavor = SelectFlavor::Standard;
        ControlFlow::Continue(())
    }
}

/// After the columns have their names.
pub(crate) struct Clauses<'a> {
    /// Whether an aggregate function of the session has this name, in lower case.
    pub(crate) is_aggregate: &'a dyn Fn(&str) -> bool,
}

impl VisitorMut for Clauses<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        body(&mut query.body);
        if let SetExpr::Select(select) = query.body.as_mut() {
            sorted(select, &mut query.order_by);
            named_windows::write_out(select, query.order_by.as_mut());
            grouping(select, query.order_by.as_mut());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        group_all::spell_out(select, self.is_aggregate);
        membership::spell_out(select, self.is_aggregate);
        for join in select.from.iter_mut().flat_map(|from| &mut from.joins) {
            unconditional(&mut join.join_operator);
            // Without a side it is the left one that is kept.
            join.join_operator = match std::mem::replace(
                &mut join.join_operator,
                JoinOperator::CrossJoin(JoinConstraint::None),
            ) {
                JoinOperator::Semi(on) => JoinOperator::LeftSemi(on),
                JoinOperator::Anti(on) => JoinOperator::LeftAnti(on),
                other => other,
            };
        }
        for item in &mut select.projection {
            // A tuple that is a column is a struct.
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                && let Expr::Tuple(parts) = expr
            {
                *expr = function("struct", std::mem::take(parts));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        tuples(expr);
        if let Expr::Lambda(lambda) = expr {
            let names = match &lambda.params {
                OneOrManyWithParens::One(parameter) => vec![parameter.name.value.clone()],
                OneOrManyWithParens::Many(all) => all.iter().map(|p| p.name.value.clone()).collect(),
            };
            let _ = VisitMut::visit(lambda.body.as_mut(), &mut Parameters(names));
        }
        // `call(..).field`: DataFusion takes a text for the field.
        if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
            for access in access_chain {
                if let AccessExpr::Dot(field @ Expr::Identifier(_)) = access {
                    let Expr::Identifier(ident) = &*field else { continue };
                    *field = Expr::value(Value::SingleQuotedString(ident.value.clone()));
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// A join without a condition is one of all rows with all, and a CROSS JOIN with one is an inner join.
fn unconditional(operator: &mut JoinOperator) {
    match operator {
        JoinOperator::CrossJoin(constraint @ (JoinConstraint::On(_) | JoinConstraint::Using(_))) => {
            *operator = JoinOperator::Inner(std::mem::replace(constraint, JoinConstraint::None));
        }
        JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
            if matches!(constraint, JoinConstraint::None) =>
        {
            *constraint = JoinConstraint::On(Expr::value(Value::Boolean(true)));
        }
        _ => {}
    }
}

/// `x.field` of a lambda's parameter `x`: DataFusion would look for a table `x`.
struct Parameters(Vec<String>);

impl VisitorMut for Parameters {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [first, fields @ ..] = parts.as_slice()
            && self.0.iter().any(|name| name.eq_ignore_ascii_case(&first.value))
        {
            let field =
                |field: &Ident| AccessExpr::Dot(Expr::value(Value::SingleQuotedString(field.value.clone())));
            let access_chain = fields.iter().map(field).collect();
            *expr =
                Expr::CompoundFieldAccess { root: Box::new(Expr::Identifier(first.clone())), access_chain };
        }
        ControlFlow::Continue(())
    }
}

/// Gives a CTE another name if a query around it has one of that name; DataFusion knows one scope only.
#[derive(Default)]
pub(crate) struct Scopes {
    /// The names of the queries around.
    names: Vec<Vec<String>>,
    count: usize,
}

impl VisitorMut for Scopes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.names.push(tables.map(|table| table.alias.name.value.to_lowercase()).collect());
        ControlFlow::Continue(())
    }

    /// The innermost first: what is left of a name within then means the one that is renamed next.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let own = self.names.pop().unwrap_or_default();
        let recursive = query.with.as_ref().is_some_and(|with| with.recursive);
        for (index, name) in own.into_iter().enumerate() {
            let Some(with) = &mut query.with else { break };
            if !self.names.iter().flatten().any(|outer| *outer == name) {
                continue;
            }
            self.count += 1;
            let mut rename = Rename { from: name.clone(), to: format!("{name}#{}", self.count) };
            with.cte_tables[index].alias.name = quoted(&rename.to);
            // Its own query sees the outer one, unless it is recursive.
            for table in &mut with.cte_tables[index + usize::from(!recursive)..] {
                let _ = VisitMut::visit(&mut table.query, &mut rename);
            }
            let _ = VisitMut::visit(&mut query.body, &mut rename);
        }
        ControlFlow::Continue(())
    }
}

struct Rename {
    from: String,
    to: String,
}

impl VisitorMut for Rename {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: None, .. } = factor
            && let [ObjectNamePart::Identifier(only)] = name.0.as_mut_slice()
            && only.value.eq_ignore_ascii_case(&self.from)
        {
            alias.get_or_insert_with(|| alias_of(only.clone()));
            *only = quoted(&self.to);
        }
        ControlFlow::Continue(())
    }
}

/// A query of the text, without parameters; the texts are ours.
pub(crate) fn parsed(text: &str) -> Option<Query> {
    let query = Parser::new(&TrefoilDialect).try_with_sql(text).ok()?.parse_query().ok()?;
    Some(*query)
}

pub(crate) fn quoted(name: &str) -> Ident {
    Ident::with_quote('`', name)
}

/// A call of a function.
pub(crate) fn function(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a))).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

// --- bodies ----------------------------------------------------------------------------------------------------

fn body(body: &mut SetExpr) {
    match body {
        SetExpr::Table(table) => {
            let name = match (&table.schema_name, &table.table_name) {
                (Some(schema), Some(name)) => format!("{schema}.{name}"),
                (_, name) => name.clone().unwrap_or_default(),
            };
            if let Some(query) = parsed(&format!("SELECT * FROM {name}")) {
                *body = *query.body;
            }
        }
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            self::body(left);
            self::body(right);
            if *op == SetOperator::Minus {
                *op = SetOperator::Except;
            }
            let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
            if all
                && matches!(op, SetOperator::Except | SetOperator::Intersect)
                && let Some(numbered) = numbered(*op, left, right)
            {
                *body = numbered;
            }
        }
        _ => {}
    }
}

/// The names of the columns of a body, where the text tells them.
pub(crate) fn columns(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::Select(select) => {
            if let [SelectItem::Wildcard(_)] = select.projection.as_slice()
                && let [from] = select.from.as_slice()
                && from.joins.is_empty()
                && let TableFactor::Derived { alias: Some(alias), .. }
                | TableFactor::Table { alias: Some(alias), .. } = &from.relation
                && !alias.columns.is_empty()
            {
                return Some(alias.columns.iter().map(|c| c.name.value.clone()).collect());
            }
            let name = |item: &SelectItem| match item {
                SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
                SelectItem::UnnamedExpr(expr) if !names::is_generator(expr) => {
                    Some(names::of(expr).unwrap_or_else(|| match expr {
                        Expr::Identifier(ident) => ident.value.clone(),
                        Expr::CompoundIdentifier(parts) => {
                            parts.last().map(|p| p.value.clone()).unwrap_or_default()
                        }
                        other => other.to_string(),
                    }))
                }
                _ => None,
            };
            select.projection.iter().map(name).collect()
        }
        SetExpr::Query(query) => columns(&query.body),
        SetExpr::SetOperation { left, .. } => columns(left),
        SetExpr::Values(values) => {
            let width = values.rows.first()?.len();
            Some((1..=width).map(|index| format!("col{index}")).collect())
        }
        _ => None,
    }
}

/// `EXCEPT ALL`: the rows with their number among their equals, and `EXCEPT` of these.
fn numbered(op: SetOperator, left: &SetExpr, right: &SetExpr) -> Option<SetExpr> {
    let mut names = columns(left)?;
    for index in 1..names.len() {
        if names[..index].contains(&names[index]) {
            names[index] = format!("{}_{}", names[index], index + 1);
        }
    }
    let list = names.iter().map(|name| format!("`{}`", name.replace('`', ""))).collect::<Vec<_>>().join(", ");
    let side = format!(
        "SELECT {list}, row_number() OVER (PARTITION BY {list}) AS `#n` FROM (SELECT 1) AS `#side` ({list})"
    );
    let mut query = parsed(&format!("SELECT {list} FROM ({side} {op} {side}) AS `#all`"))?;
    let mut sides = Sides(vec![right.clone(), left.clone()]);
    let _ = VisitMut::visit(&mut query, &mut sides);
    sides.0.is_empty().then_some(*query.body)
}

/// Puts bodies in the places of `#side`, the last one first.
struct Sides(Vec<SetExpr>);

impl VisitorMut for Sides {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, alias: Some(alias), .. } = factor
            && alias.name.value == "#side"
            && let Some(body) = self.0.pop()
        {
            *subquery.body = body;
        }
        ControlFlow::Continue(())
    }
}

/// What is sorted as a whole is sorted in each of its parts: `SORT BY` and `CLUSTER BY` become `ORDER BY`. And rows in one
/// order are together with their like, which is what `DISTRIBUTE BY` asks for.
fn sorted(select: &mut Select, order_by: &mut Option<OrderBy>) {
    let mut keys = std::mem::take(&mut select.sort_by);
    let distributed = std::mem::take(&mut select.distribute_by);
    let together = std::mem::take(&mut select.cluster_by).into_iter();
    let together = together.chain(distributed.into_iter().filter(|_| keys.is_empty()));
    let together: Vec<OrderByExpr> = together
        .map(|expr| OrderByExpr { expr, options: OrderByOptions::default(), with_fill: None })
        .collect();
    keys.extend(together);
    if !keys.is_empty() && order_by.is_none() {
        *order_by = Some(OrderBy { kind: OrderByKind::Expressions(keys), interpolate: None });
    }
}

// --- grouping --------------------------------------------------------------------------------------------------

/// Whether a select groups by more than one set of columns.
pub(crate) fn has_sets(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::All(modifiers) => !modifiers.is_empty(),
        GroupByExpr::Expressions(expressions, modifiers) => {
            !modifiers.is_empty()
                || expressions
                    .iter()
                    .any(|e| matches!(e, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)))
        }
    }
}

fn grouping(select: &mut Select, order_by: Option<&mut OrderBy>) {
    let GroupByExpr::Expressions(expressions, modifiers) = &mut select.group_by else { return };
    // GROUP BY a, b GROUPING SETS (..): the list before it says no more than the sets do.
    if let [GroupByWithModifier::GroupingSets(sets @ Expr::GroupingSets(_))] = modifiers.as_slice() {
        *expressions = vec![sets.clone()];
        modifiers.clear();
    }
    if let [modifier @ (GroupByWithModifier::Rollup | GroupByWithModifier::Cube)] = modifiers.as_slice() {
        let columns = std::mem::take(expressions).into_iter().map(|e| vec![e]).collect();
        expressions.push(match modifier {
            GroupByWithModifier::Rollup => Expr::Rollup(columns),
            _ => Expr::Cube(columns),
        });
        modifiers.clear();
    }
    if !has_sets(select) {
        return;
    }
    group_sets::flatten(select);
    group_sets::by_position(select);
    group_sets::of_no_rows(select);
    let GroupByExpr::Expressions(expressions, _) = &select.group_by else { return };
    let mut columns: Vec<Expr> = Vec::new();
    let mut add = |expr: &Expr| {
        if !columns.contains(expr) {
            columns.push(expr.clone());
        }
    };
    for expression in expressions {
        match expression {
            Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
                sets.iter().flatten().for_each(&mut add);
            }
            other => add(other),
        }
    }
    let mut calls = GroupingCalls(&columns);
    for item in &mut select.projection {
        let _ = VisitMut::visit(item, &mut calls);
    }
    let _ = VisitMut::visit(&mut select.having, &mut calls);
    let _ = VisitMut::visit(&mut select.qualify, &mut calls);
    if let Some(order_by) = order_by {
        let _ = VisitMut::visit(order_by, &mut calls);
    }
}

/// `grouping_id()` is the grouping of all columns; the types are Spark's.
struct GroupingCalls<'a>(&'a [Expr]);

impl VisitorMut for GroupingCalls<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let name = call.name.to_string().to_lowercase();
        let arguments = rewrite::positional(call).unwrap_or_default();
        let (arguments, data_type) = match name.as_str() {
            "grouping_id" if arguments.is_empty() => (self.0.to_vec(), DataType::BigInt(None)),
            "grouping_id" => (arguments, DataType::BigInt(None)),
            "grouping" => (arguments, DataType::TinyInt(None)),
            _ => return ControlFlow::Continue(()),
        };
        let call = function("grouping", arguments);
        *expr =
            Expr::Cast { kind: CastKind::Cast, expr: Box::new(call), data_type, array: false, format: None };
        ControlFlow::Continue(())
    }
}

// --- tuples ----------------------------------------------------------------------------------------------------

fn both(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn joined(parts: impl Iterator<Item = Expr>, op: &BinaryOperator) -> Option<Expr> {
    parts.reduce(|left, right| both(left, op.clone(), right)).map(nested)
}

fn equal(left: &[Expr], right: &[Expr]) -> Option<Expr> {
    let pairs = left.iter().zip(right);
    joined(pairs.map(|(l, r)| both(l.clone(), BinaryOperator::Eq, r.clone())), &BinaryOperator::And)
}

/// `(a, b) < (c, d)`: the first part that differs decides.
fn ordered(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    let strict = match op {
        BinaryOperator::Lt | BinaryOperator::LtEq => BinaryOperator::Lt,
        _ => BinaryOperator::Gt,
    };
    let last = left.len() - 1;
    let case = |index: usize| {
        let op = if index == last { op.clone() } else { strict.clone() };
        let here = both(left[index].clone(), op, right[index].clone());
        match equal(&left[..index], &right[..index]) {
            Some(before) => nested(both(before, BinaryOperator::And, here)),
            None => here,
        }
    };
    joined((0..left.len()).map(case), &BinaryOperator::Or)
}

fn tuples(expr: &mut Expr) {
    let made = match expr {
        Expr::BinaryOp { left, op, right } => match (left.as_ref(), op, right.as_ref()) {
            (Expr::Tuple(l), op, Expr::Tuple(r)) if l.len() == r.len() && !l.is_empty() => match op {
                BinaryOperator::Eq => equal(l, r),
                BinaryOperator::NotEq => {
                    equal(l, r).map(|same| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(same) })
                }
                BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq => {
                    ordered(l, op, r)
                }
                _ => None,
            },
            _ => None,
        },
        Expr::InList { expr: tuple, list, negated } => match tuple.as_ref() {
            Expr::Tuple(l) => {
                let cases: Option<Vec<Expr>> = list
                    .iter()
                    .map(|item| match item {
                        Expr::Tuple(r) if r.len() == l.len() => equal(l, r),
                        _ => None,
                    })
                    .collect();
                cases.and_then(|cases| joined(cases.into_iter(), &BinaryOperator::Or)).map(|any| {
                    if *negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(any) } } else { any }
                })
            }
            _ => None,
        },
        Expr::InSubquery { expr: tuple, subquery, negated } => match tuple.as_ref() {
            Expr::Tuple(parts) => in_subquery(parts, subquery, *negated),
            _ => None,
        },
        _ => None,
    };
    if let Some(made) = made {
        *expr = made;
    }
}

/// `(a, b) IN (query)` is `EXISTS`. It is not in it if no row could be equal, were its nulls known.
pub(crate) fn in_subquery(parts: &[Expr], subquery: &Query, negated: bool) -> Option<Expr> {
    let names: Vec<String> = (1..=parts.len()).map(|index| format!("#in{index}")).collect();
    let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut query = parsed(&format!("SELECT 1 FROM (SELECT 1) AS `#in` ({list})"))?;
    let tests = parts.iter().zip(&names).map(|(part, name)| {
        let column = Expr::CompoundIdentifier(vec![quoted("#in"), quoted(name)]);
        let test = both(column, BinaryOperator::Eq, part.clone());
        if negated { Expr::IsNotFalse(Box::new(nested(test))) } else { test }
    });
    let test = joined(tests, &BinaryOperator::And);
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    select.selection = test;
    if let Some(TableFactor::Derived { subquery: inner, .. }) =
        select.from.first_mut().map(|from| &mut from.relation)
    {
        **inner = subquery.clone();
    }
    Some(Expr::Exists { subquery: Box::new(query), negated })
}

// --- pipes -----------------------------------------------------------------------------------------------------

/// Folds what is before an operator that DataFusion does not plan into a sub-query.
fn pipes(query: &mut Query) {
    let planned = |operator: &PipeOperator| {
        !matches!(
            operator,
            PipeOperator::Set { .. }
                | PipeOperator::Drop { .. }
                | PipeOperator::TableSample { .. }
                | PipeOperator::Pivot { .. }
                | PipeOperator::Unpivot { .. }
        ) && !matches!(
            operator,
            PipeOperator::Select { exprs } | PipeOperator::Extend { exprs } if exprs.iter().any(has_window)
        )
    };
    // The first SELECT or EXTEND over a table is its select list.
    if let (Some(PipeOperator::Select { .. } | PipeOperator::Extend { .. }), SetExpr::Select(select)) =
        (query.pipe_operators.first(), query.body.as_mut())
        && match select.projection.as_slice() {
            [SelectItem::Wildcard(options)] => *options == WildcardAdditionalOptions::default(),
            [] => select.flavor == SelectFlavor::FromFirstNoSelect,
            _ => false,
        }
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && select.distinct.is_none()
    {
        select.flavor = SelectFlavor::Standard;
        if select.projection.is_empty() {
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        }
        match query.pipe_operators.remove(0) {
            PipeOperator::Select { exprs } => select.projection = exprs,
            PipeOperator::Extend { exprs } => select.projection.extend(exprs),
            _ => {}
        }
    }
    while let Some(at) = query.pipe_operators.iter().position(|operator| !planned(operator)) {
        let Some(mut outer) = parsed("SELECT * FROM (SELECT 1) AS `#pipe`") else { return };
        let SetExpr::Select(select) = outer.body.as_mut() else { return };
        let [from] = select.from.as_mut_slice() else { return };
        let TableFactor::Derived { subquery, sample, .. } = &mut from.relation else { return };
        let mut rest = query.pipe_operators.split_off(at);
        let operator = rest.remove(0);
        std::mem::swap(subquery.as_mut(), query);
        let mut options = WildcardAdditionalOptions::default();
        match operator {
            PipeOperator::Set { assignments } => {
                // One at a time: a later one sees the columns of an earlier one.
                let mut assignments = assignments.into_iter();
                if let Some(first) = assignments.next() {
                    options.opt_replace = Some(ReplaceSelectItem { items: vec![Box::new(replaced(first))] });
                }
                let later: Vec<Assignment> = assignments.collect();
                if !later.is_empty() {
                    rest.insert(0, PipeOperator::Set { assignments: later });
                }
            }
            PipeOperator::Select { exprs } => {
                select.projection = exprs;
                outer.pipe_operators = rest;
                *query = outer;
                continue;
            }
            PipeOperator::Extend { exprs } => {
                select.projection.extend(exprs);
                outer.pipe_operators = rest;
                *query = outer;
                continue;
            }
            PipeOperator::Drop { columns } => {
                let mut columns = columns.into_iter();
                if let Some(first_element) = columns.next() {
                    options.opt_except =
                        Some(ExceptSelectItem { first_element, additional_elements: columns.collect() });
                }
            }
            PipeOperator::TableSample { sample: taken } => {
                *sample = Some(TableSampleKind::BeforeTableAlias(taken));
            }
            PipeOperator::Pivot { aggregate_functions, value_column, value_source, alias } => {
                let table = Box::new(from.relation.clone());
                from.relation = TableFactor::Pivot {
                    table,
                    aggregate_functions,
                    value_column: value_column.into_iter().map(Expr::Identifier).collect(),
                    value_source,
                    default_on_null: None,
                    alias: alias.map(alias_of),
                };
            }
            PipeOperator::Unpivot { value_column, name_column, unpivot_columns, alias } => {
                let table = Box::new(from.relation.clone());
                from.relation = TableFactor::Unpivot {
                    table,
                    value: Expr::Identifier(value_column),
                    name: name_column,
                    columns: unpivot_columns
                        .into_iter()
                        .map(|column| ExprWithAlias { expr: Expr::Identifier(column), alias: None })
                        .collect(),
                    null_inclusion: None,
                    alias: alias.map(alias_of),
                };
            }
            _ => {}
        }
        select.projection = vec![SelectItem::Wildcard(options)];
        outer.pipe_operators = rest;
        *query = outer;
    }
}

/// Whether a column is made by a window function; DataFusion plans none in an operator.
fn has_window(item: &SelectItem) -> bool {
    struct Windows;
    impl Visitor for Windows {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(Function { over: Some(_), .. }) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    item.visit(&mut Windows).is_break()
}

fn alias_of(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

fn replaced(assignment: Assignment) -> ReplaceSelectElement {
    let column_name = match assignment.target {
        AssignmentTarget::ColumnName(name) => {
            name.0.last().and_then(ObjectNamePart::as_ident).cloned().unwrap_or_else(|| quoted(""))
        }
        AssignmentTarget::Tuple(_) => quoted(""),
    };
    ReplaceSelectElement { expr: assignment.value, column_name, as_keyword: true }
}
