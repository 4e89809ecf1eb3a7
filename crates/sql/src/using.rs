//! Joins `USING` columns and `NATURAL` joins: the keys come first in `*`, once, and `k` without a table is the key of
//! whichever side has the row.
//!
//! DataFusion takes the left side's, leaves the columns where they are, and of three tables takes one by its name. Here
//! each table of such a join is planned by itself to see its columns; then `NATURAL` becomes `USING`, `*` the columns
//! that Spark gives, and `k` a column of one table, or `coalesce(a.k, b.k)` after a FULL join. Where a table cannot be
//! planned by itself, its joins are done as far as the text tells, and otherwise are DataFusion's.

use crate::clauses::{function, quoted};
use crate::{names, sets};
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{Statement as SqlStatement, *};
use std::ops::ControlFlow;

/// Whether a statement has such a join.
pub(crate) fn is_in(statement: &SqlStatement) -> bool {
    struct Joins;
    impl Visitor for Joins {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            if select.from.iter().any(is_keyed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    statement.visit(&mut Joins).is_break()
}

fn is_keyed(from: &TableWithJoins) -> bool {
    from.joins.iter().any(|join| {
        matches!(constraint(&join.join_operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
    })
}

/// Changes the selects over such joins, before the tree is given Spark's meaning, which `mean` does for a query.
pub(crate) async fn spell_out(
    state: &SessionState,
    statement: &mut SqlStatement,
    mean: impl Fn(&mut SqlStatement),
) {
    let mut found = Find { with: Vec::new(), probes: Vec::new() };
    let _ = VisitMut::visit(statement, &mut found);
    let mut columns = Vec::with_capacity(found.probes.len());
    for probes in found.probes {
        let mut of_select = Vec::with_capacity(probes.len());
        for probe in probes {
            of_select.push(match probe {
                Some(mut query) => {
                    mean(&mut query);
                    let columns = sets::planned(state, query).await;
                    columns.map(|columns| columns.into_iter().map(|(name, _)| name).collect())
                }
                None => None,
            });
        }
        columns.push(of_select);
    }
    columns.reverse();
    let _ = VisitMut::visit(statement, &mut Put(columns));
}

/// The columns of the tables of a select, from left to right; none for a table that cannot be planned by itself.
type Columns = Vec<Option<Vec<String>>>;

fn factors(select: &Select) -> impl Iterator<Item = &TableFactor> {
    select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)))
}

/// Finds the selects, the inner ones first, with queries for the columns of their tables.
struct Find {
    /// The CTEs around.
    with: Vec<Vec<Cte>>,
    probes: Vec<Vec<Option<SqlStatement>>>,
}

impl VisitorMut for Find {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.with.push(query.with.as_ref().map(|with| with.cte_tables.clone()).unwrap_or_default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.with.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.from.iter().any(is_keyed) {
            let with: Vec<Cte> = self.with.iter().flatten().cloned().collect();
            let probe = |factor: &TableFactor| {
                let mut query = crate::clauses::parsed("SELECT * FROM t")?;
                let SetExpr::Select(inner) = query.body.as_mut() else { return None };
                inner.from[0].relation = factor.clone();
                sets::probe(&with, *query.body)
            };
            self.probes.push(factors(select).map(probe).collect());
        }
        ControlFlow::Continue(())
    }
}

/// Changes the selects in the same order; the last of the columns are of the next one.
struct Put(Vec<Columns>);

impl VisitorMut for Put {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.from.iter().any(is_keyed)
            && let Some(columns) = self.0.pop()
        {
            change(select, columns);
        }
        ControlFlow::Continue(())
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on)
        | JoinOperator::CrossJoin(on)
        | JoinOperator::Semi(on)
        | JoinOperator::LeftSemi(on)
        | JoinOperator::Anti(on)
        | JoinOperator::LeftAnti(on) => Some(on),
        _ => None,
    }
}

/// A table of the joins.
struct Table {
    name: Ident,
    columns: Option<Vec<String>>,
    /// Its columns that are keys.
    keys: Vec<Ident>,
}

impl Table {
    fn has(&self, column: &Ident) -> Option<bool> {
        Some(self.columns.as_ref()?.contains(&column.value))
    }

    fn column(&self, column: &Ident) -> Expr {
        Expr::CompoundIdentifier(vec![self.name.clone(), column.clone()])
    }

    fn star(&self) -> SelectItem {
        let mut options = WildcardAdditionalOptions::default();
        if let [first, rest @ ..] = self.keys.as_slice() {
            options.opt_except =
                Some(ExceptSelectItem { first_element: first.clone(), additional_elements: rest.to_vec() });
        }
        let name = ObjectName::from(vec![self.name.clone()]);
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
    }

    fn is_all_keys(&self) -> bool {
        self.columns
            .as_ref()
            .is_some_and(|columns| columns.iter().all(|column| self.keys.iter().any(|k| k.value == *column)))
    }
}

/// A key, and the tables that have it: the first that is not null.
#[derive(Clone)]
struct Key {
    column: Ident,
    of: Vec<usize>,
}

/// What `*` is made of.
#[derive(Clone)]
enum Part {
    Key(Key),
    Rest(usize),
}

/// The tables and keys of a FROM.
#[derive(Default)]
struct Keys {
    tables: Vec<Table>,
    parts: Vec<Part>,
    /// How deep in sub-queries a visit is; names there are of their tables.
    depth: usize,
}

/// The name of a table in the rest of its query.
pub(crate) fn name(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.clone())
        }
        TableFactor::Table { name, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

/// NATURAL joins as joins USING what both sides have; whatever is on the left, in its order.
fn natural(from: &mut TableWithJoins, columns: &[Option<Vec<String>>]) {
    let mut left = columns.first().cloned().flatten();
    for (join, right) in from.joins.iter_mut().zip(columns.iter().skip(1)) {
        let both: Option<Vec<String>> = match (&left, right) {
            (Some(left), Some(right)) => {
                Some(left.iter().filter(|name| right.contains(name)).cloned().collect())
            }
            _ => None,
        };
        let natural = matches!(constraint(&join.join_operator), Some(JoinConstraint::Natural));
        if natural && let Some(both) = both.filter(|both| !both.is_empty()) {
            let using =
                both.into_iter().map(|name| ObjectName::from(vec![Ident::with_quote('`', name)])).collect();
            if let Some(on) = constraint_mut(&mut join.join_operator) {
                *on = JoinConstraint::Using(using);
            }
        }
        left = match (left, right) {
            (Some(mut left), Some(right)) => {
                let more: Vec<String> = right.iter().filter(|name| !left.contains(name)).cloned().collect();
                left.extend(more);
                Some(left)
            }
            _ => None,
        };
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on)
        | JoinOperator::CrossJoin(on)
        | JoinOperator::Semi(on)
        | JoinOperator::LeftSemi(on)
        | JoinOperator::Anti(on)
        | JoinOperator::LeftAnti(on) => Some(on),
        _ => None,
    }
}

impl Keys {
    fn table(&mut self, factor: &TableFactor, columns: Option<Vec<String>>) -> Option<usize> {
        self.tables.push(Table { name: name(factor)?, columns, keys: Vec::new() });
        Some(self.tables.len() - 1)
    }

    fn key(&self, column: &Ident) -> Option<&Key> {
        self.parts.iter().find_map(|part| match part {
            Part::Key(key) if key.column.value.eq_ignore_ascii_case(&column.value) => Some(key),
            _ => None,
        })
    }

    /// Adds an item of FROM, and for each of its joins the condition if it is not one that DataFusion finds; none if the
    /// columns are not known well enough.
    fn add(
        &mut self,
        from: &TableWithJoins,
        columns: &mut impl Iterator<Item = Option<Vec<String>>>,
        conditions: &mut Vec<Option<Expr>>,
    ) -> Option<()> {
        let first = self.table(&from.relation, columns.next()?)?;
        let mut parts = vec![Part::Rest(first)];
        for join in &from.joins {
            let right = self.table(&join.relation, columns.next()?)?;
            let using = match constraint(&join.join_operator) {
                Some(JoinConstraint::Using(using)) => {
                    using.iter().map(|name| name.0.last()?.as_ident().cloned()).collect::<Option<Vec<_>>>()?
                }
                Some(JoinConstraint::Natural) => return None,
                _ => Vec::new(),
            };
            let mut made = Vec::with_capacity(using.len());
            let (mut condition, mut is_ours) = (None, false);
            for column in using {
                let left = self.source(&parts, &column)?;
                // DataFusion takes the first table that has such a column.
                let first_key = self.tables.iter().position(|table| table.keys.contains(&column));
                is_ours |= first_key.is_some_and(|at| left != [at]);
                let sides = [
                    self.value(&Key { column: column.clone(), of: left.clone() }),
                    self.tables.get(right)?.column(&column),
                ];
                let [a, b] = sides.map(Box::new);
                let equal = Expr::BinaryOp { left: a, op: BinaryOperator::Eq, right: b };
                condition = Some(match condition {
                    Some(all) => Expr::BinaryOp {
                        left: Box::new(all),
                        op: BinaryOperator::And,
                        right: Box::new(equal),
                    },
                    None => equal,
                });
                let of = match &join.join_operator {
                    JoinOperator::Right(_) | JoinOperator::RightOuter(_) => vec![right],
                    JoinOperator::FullOuter(_) => left.iter().copied().chain([right]).collect(),
                    _ => left.clone(),
                };
                for table in left.into_iter().chain([right]) {
                    if let Some(table) = self.tables.get_mut(table)
                        && !table.keys.contains(&column)
                    {
                        table.keys.push(column.clone());
                    }
                }
                parts.retain(|part| !matches!(part, Part::Key(key) if key.column.value == column.value));
                made.push(Part::Key(Key { column, of }));
            }
            made.append(&mut parts);
            parts = made;
            conditions.push(condition.filter(|_| is_ours));
            let only_left = matches!(
                join.join_operator,
                JoinOperator::Semi(_)
                    | JoinOperator::LeftSemi(_)
                    | JoinOperator::Anti(_)
                    | JoinOperator::LeftAnti(_)
            );
            if !only_left {
                parts.push(Part::Rest(right));
            }
        }
        self.parts.append(&mut parts);
        Some(())
    }

    /// The tables that a key comes from on the left of a join.
    fn source(&self, parts: &[Part], column: &Ident) -> Option<Vec<usize>> {
        let key = parts.iter().find_map(|part| match part {
            Part::Key(key) if key.column.value == column.value => Some(key.of.clone()),
            _ => None,
        });
        if key.is_some() {
            return key;
        }
        let tables: Vec<usize> = parts
            .iter()
            .filter_map(|part| if let Part::Rest(at) = part { Some(*at) } else { None })
            .collect();
        if let [only] = tables.as_slice() {
            return Some(vec![*only]);
        }
        let mut with = Vec::new();
        for at in tables {
            if self.tables.get(at)?.has(column)? {
                with.push(at);
            }
        }
        (with.len() == 1).then_some(with)
    }

    fn value(&self, key: &Key) -> Expr {
        let column = |at: &usize| self.tables.get(*at).map(|table| table.column(&key.column));
        let mut columns: Vec<Expr> = key.of.iter().filter_map(column).collect();
        match columns.len() {
            1 => columns.swap_remove(0),
            _ => function("coalesce", columns),
        }
    }

    /// The key as a column; one of several tables needs a name.
    fn item(&self, key: &Key) -> SelectItem {
        match self.value(key) {
            expr @ Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(expr),
            expr => SelectItem::ExprWithAlias { expr, alias: key.column.clone() },
        }
    }

    /// `*`, without the columns of these names.
    fn star(&self, except: &[Ident]) -> Option<Vec<SelectItem>> {
        let mut items = Vec::new();
        for part in &self.parts {
            match part {
                Part::Key(key) if except.iter().any(|name| name.value == key.column.value) => {}
                Part::Key(key) => items.push(self.item(key)),
                Part::Rest(at) => {
                    let table = self.tables.get(*at)?;
                    let mut without = Table {
                        name: table.name.clone(),
                        columns: table.columns.clone(),
                        keys: table.keys.clone(),
                    };
                    for name in except {
                        if table.has(name)? && !without.keys.contains(name) {
                            without.keys.push(name.clone());
                        }
                    }
                    if !without.is_all_keys() {
                        items.push(without.star());
                    }
                }
            }
        }
        Some(items)
    }
}

impl VisitorMut for Keys {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Identifier(ident) = expr
            && let Some(key) = self.key(ident)
        {
            *expr = self.value(key);
        }
        ControlFlow::Continue(())
    }
}

fn change(select: &mut Select, columns: Columns) {
    let mut places = columns.as_slice();
    for from in &mut select.from {
        let (own, rest) = places.split_at((1 + from.joins.len()).min(places.len()));
        natural(from, own);
        places = rest;
    }
    let mut keys = Keys::default();
    let mut columns = columns.into_iter();
    let mut conditions = Vec::new();
    for from in &select.from {
        if keys.add(from, &mut columns, &mut conditions).is_none() {
            return;
        }
    }
    let joins = select.from.iter_mut().flat_map(|from| &mut from.joins);
    for (join, condition) in joins.zip(conditions) {
        if let (Some(condition), Some(on)) = (condition, constraint_mut(&mut join.join_operator)) {
            *on = JoinConstraint::On(condition);
        }
    }
    if select.flavor == SelectFlavor::FromFirstNoSelect {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        select.flavor = SelectFlavor::Standard;
    }
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        items.extend(changed(&mut keys, item));
    }
    distinct_names(&keys, &mut items);
    select.projection = items;
    for clause in [&mut select.selection, &mut select.having, &mut select.qualify].into_iter().flatten() {
        let _ = VisitMut::visit(clause, &mut keys);
    }
    if let GroupByExpr::Expressions(groups, _) = &mut select.group_by {
        let _ = VisitMut::visit(groups, &mut keys);
    }
    for view in &mut select.lateral_views {
        let _ = VisitMut::visit(&mut view.lateral_view, &mut keys);
    }
    for list in [&mut select.cluster_by, &mut select.distribute_by] {
        let _ = VisitMut::visit(list, &mut keys);
    }
    let _ = VisitMut::visit(&mut select.sort_by, &mut keys);
    let _ = VisitMut::visit(&mut select.named_window, &mut keys);
}

/// The columns that an item of the select list becomes.
fn changed(keys: &mut Keys, item: SelectItem) -> Vec<SelectItem> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => match keys.key(&ident) {
            Some(key) if ident.value == key.column.value => vec![keys.item(key)],
            Some(key) => {
                let expr = keys.value(key);
                vec![SelectItem::ExprWithAlias { expr, alias: quoted(&ident.value) }]
            }
            None => vec![SelectItem::UnnamedExpr(Expr::Identifier(ident))],
        },
        SelectItem::Wildcard(options) => {
            let plain = WildcardAdditionalOptions {
                wildcard_token: options.wildcard_token.clone(),
                opt_except: options.opt_except.clone(),
                ..Default::default()
            };
            let except: Vec<Ident> = options
                .opt_except
                .iter()
                .flat_map(|e| std::iter::once(&e.first_element).chain(&e.additional_elements))
                .cloned()
                .collect();
            match keys.star(&except) {
                Some(items) if plain == options => items,
                _ => vec![SelectItem::Wildcard(options)],
            }
        }
        // The keys of a table are its first columns.
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
            if options.opt_except.is_none()
                && options.opt_exclude.is_none()
                && options.opt_replace.is_none() =>
        {
            let last = name.0.last().and_then(ObjectNamePart::as_ident);
            let table = keys.tables.iter().find(|table| last.is_some_and(|l| l.value == table.name.value));
            match table.filter(|table| !table.keys.is_empty() && table.columns.is_some()) {
                Some(table) => {
                    let mut items: Vec<SelectItem> =
                        table.keys.iter().map(|key| SelectItem::UnnamedExpr(table.column(key))).collect();
                    if !table.is_all_keys() {
                        items.push(table.star());
                    }
                    items
                }
                None => {
                    let of = SelectItemQualifiedWildcardKind::ObjectName(name);
                    vec![SelectItem::QualifiedWildcard(of, options)]
                }
            }
        }
        SelectItem::UnnamedExpr(mut expr) => {
            // Named before it is changed, so that the name is what was written.
            let name = names::of(&expr);
            let before = expr.clone();
            let _ = VisitMut::visit(&mut expr, keys);
            vec![match name {
                Some(name) if before != expr && !names::is_generator(&expr) => {
                    SelectItem::ExprWithAlias { expr, alias: quoted(&name) }
                }
                _ => SelectItem::UnnamedExpr(expr),
            }]
        }
        SelectItem::ExprWithAlias { mut expr, alias } => {
            let _ = VisitMut::visit(&mut expr, keys);
            vec![SelectItem::ExprWithAlias { expr, alias }]
        }
        other => vec![other],
    }
}

/// A key beside the column of a table: the second of a name gets another one.
fn distinct_names(keys: &Keys, items: &mut [SelectItem]) {
    for key in keys.parts.iter().filter_map(|part| if let Part::Key(key) = part { Some(key) } else { None }) {
        let is_merged = |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, expr: Expr::Function(_) } if alias.value == key.column.value);
        let merged = items.iter().any(is_merged);
        let mut seen: Vec<Expr> = Vec::new();
        let mut number = 1;
        for item in items.iter_mut() {
            let SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(_)) = item else { continue };
            let Expr::CompoundIdentifier(parts) = &*expr else { continue };
            if parts.last().is_none_or(|last| last.value != key.column.value) {
                continue;
            }
            if merged || seen.contains(expr) {
                number += 1;
                let alias = quoted(&format!("{}_{number}", key.column.value));
                let expr = std::mem::replace(expr, Expr::value(Value::Null));
                *item = SelectItem::ExprWithAlias { expr, alias };
            } else {
                seen.push(expr.clone());
            }
        }
    }
}
