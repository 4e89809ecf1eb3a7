//! From Spark's syntax tree to one that DataFusion's planner gives Spark's meaning.
//!
//! What the planner would give a type or a meaning of its own (numbers, casts, intervals, functions that
//! need the types of their arguments) becomes a *mark*: a dictionary literal `{'#what': argument, ..}`,
//! which the planner hands to [`SparkPlanner`](crate::planner::SparkPlanner) together with the planned
//! arguments and the schema. Names of result columns are fixed here too, from the text as it was written.

use crate::names;
use datafusion::sql::sqlparser::ast::*;
use std::ops::ControlFlow;

/// Prefix of the keys of a mark.
pub(crate) const MARK: &str = "#";

/// The tree with Spark's meaning; `nanoseconds` says whether literals of timestamps keep them, `is_aggregate`
/// whether an aggregate function of the session has a name.
pub(crate) fn rewrite(statement: &mut Statement, nanoseconds: bool, is_aggregate: &dyn Fn(&str) -> bool) {
    // Values of settings are text.
    if matches!(statement, Statement::Set(_)) {
        return;
    }
    crate::inline::name_columns(statement);
    let _ = statement.visit(&mut crate::clauses::Scopes::default());
    let _ = statement.visit(&mut crate::clauses::Pipes);
    let _ = statement.visit(&mut crate::generate::Generators);
    let _ = statement.visit(&mut Names);
    if let Statement::Query(query) = statement {
        twice(&mut query.body);
    }
    let _ = statement.visit(&mut crate::clauses::Clauses { is_aggregate });
    let _ = statement.visit(&mut Rewriter { nanoseconds });
}

/// An expression with Spark's meaning.
pub(crate) fn expression(expr: &mut Expr) {
    let _ = expr.visit(&mut Rewriter { nanoseconds: false });
}

/// A call that is planned with its arguments' types known.
pub(crate) fn mark(what: &str, arguments: Vec<Expr>) -> Expr {
    let mut fields = vec![field(&format!("{MARK}{what}"), text(""))];
    fields.extend(arguments.into_iter().map(|argument| field("", argument)));
    Expr::Dictionary(fields)
}

/// A literal, kept as text.
fn literal(kind: &str, value: &str) -> Expr {
    Expr::Dictionary(vec![field(&format!("{MARK}={kind}"), text(value))])
}

fn field(key: &str, value: Expr) -> DictionaryField {
    DictionaryField { key: Ident::new(key), value: Box::new(value) }
}

fn text(value: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(value.to_owned()))
}

/// The text of a marked literal of a kind.
fn unmarked<'a>(expr: &'a Expr, kind: &str) -> Option<&'a str> {
    let Expr::Dictionary(fields) = expr else { return None };
    let [only] = fields.as_slice() else { return None };
    if only.key.value.strip_prefix(MARK)?.strip_prefix('=')? != kind {
        return None;
    }
    match only.value.as_ref() {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text),
        _ => None,
    }
}

/// Where a number is an ordinal or a count it stays a plain number.
fn plain(expr: &mut Expr) {
    if let Some(number) = unmarked(expr, "number") {
        let (digits, long) = match number.strip_suffix('L') {
            Some(digits) => (digits.to_owned(), false),
            None => (number.to_owned(), false),
        };
        *expr = Expr::value(Value::Number(digits, long));
    } else if let Some(interval) = unmarked(expr, "interval") {
        *expr = Expr::Interval(Interval {
            value: Box::new(text(interval)),
            leading_field: None,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        });
    }
}

/// Gives every column of a result the name that Spark gives it.
struct Names;

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        named(&mut select.projection);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for operator in &mut query.pipe_operators {
            match operator {
                PipeOperator::Select { exprs } | PipeOperator::Extend { exprs } => named(exprs),
                PipeOperator::Aggregate { full_table_exprs, group_by_expr } => {
                    for ExprWithAliasAndOrderBy { expr, .. } in
                        full_table_exprs.iter_mut().chain(group_by_expr)
                    {
                        if expr.alias.is_none() {
                            expr.alias = names::of(&expr.expr).map(|name| Ident::with_quote('`', name));
                        }
                    }
                }
                _ => {}
            }
        }
        for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            as_written(&mut table.alias);
        }
        ControlFlow::Continue(())
    }

    /// The columns that PIVOT makes are named by the text of its values.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. } = factor
        {
            as_written(alias);
        }
        if let TableFactor::Pivot {
            aggregate_functions, value_source: PivotValueSource::List(values), ..
        } = factor
            && !values.is_empty()
        {
            for named in aggregate_functions.iter_mut().chain(values) {
                if named.alias.is_none() {
                    named.alias = Some(Ident::with_quote('`', names::pivoted(&named.expr)));
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn named(items: &mut [SelectItem]) {
    let mut taken: Vec<String> = Vec::new();
    for item in &mut *items {
        if let SelectItem::ExprWithAlias { alias, .. } = item {
            taken.push(alias.value.clone());
            // As it was written: a quoted name is not put into lower case.
            alias.quote_style = Some('`');
        }
    }
    for item in items {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if names::is_generator(expr) {
            continue;
        }
        let Some(mut name) = names::of(expr) else { continue };
        if taken.contains(&name) {
            let mut number = 2;
            while taken.contains(&format!("{name}_{number}")) {
                number += 1;
            }
            name = format!("{name}_{number}");
        }
        taken.push(name.clone());
        let expr = std::mem::replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) };
    }
}

/// A second column of the same alias in the result of a statement; DataFusion wants different names.
fn twice(body: &mut SetExpr) {
    let SetExpr::Select(select) = body else { return };
    let mut taken: Vec<String> = Vec::new();
    for item in &mut select.projection {
        if let SelectItem::ExprWithAlias { alias, .. } = item {
            let (name, mut number) = (alias.value.clone(), 2);
            while taken.contains(&alias.value) {
                alias.value = format!("{name}_{number}");
                number += 1;
            }
            taken.push(alias.value.clone());
        }
    }
}

/// The columns of `t(Id, Name)` keep their case.
fn as_written(alias: &mut TableAlias) {
    for column in &mut alias.columns {
        column.name.quote_style = Some('`');
    }
}

struct Rewriter {
    /// Whether literals of timestamps keep nanoseconds.
    nanoseconds: bool,
}

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // Before the parts are visited: they must stay as they are written.
        match expr {
            Expr::Interval(interval) => {
                if let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) =
                    interval.value.as_ref()
                    && interval.last_field.is_none()
                {
                    let text = match &interval.leading_field {
                        Some(unit) => format!("{text} {unit}"),
                        None => text.clone(),
                    };
                    *expr = literal("interval", &text);
                } else if let Some(unit) = interval.leading_field.clone() {
                    // INTERVAL expr unit
                    let value = std::mem::replace(interval.value.as_mut(), Expr::value(Value::Null));
                    *expr = mark("interval_of", vec![value, text(&unit.to_string())]);
                }
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
                if let Expr::Value(ValueWithSpan { value: Value::Number(number, long), .. }) = inner.as_ref()
                {
                    let suffix = if *long { "L" } else { "" };
                    *expr = literal("number", &format!("-{number}{suffix}"));
                }
            }
            Expr::TypedString(typed) => {
                if let Some(value) = typed.value.value.clone().into_string() {
                    let kind = match &typed.data_type {
                        DataType::Date => Some("date"),
                        DataType::Timestamp(..) | DataType::TimestampNtz(_) if self.nanoseconds => {
                            Some("timestamp_ns")
                        }
                        DataType::TimestampNtz(_) => Some("timestamp_ntz"),
                        DataType::Timestamp(..) => Some("timestamp"),
                        DataType::Custom(name, _)
                            if name.to_string().eq_ignore_ascii_case("timestamp_ltz") =>
                        {
                            Some("timestamp")
                        }
                        DataType::Time(..) => Some("time"),
                        _ => None,
                    };
                    if let Some(kind) = kind {
                        *expr = literal(kind, &value);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let taken = std::mem::replace(expr, Expr::value(Value::Null));
        *expr = convert(taken);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
            expressions.iter_mut().for_each(plain);
        }
        for named in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &mut named.1 {
                window(spec);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Values(values) = query.body.as_mut() {
            doubles(values);
        }
        if let Some(order_by) = &mut query.order_by {
            if let OrderByKind::Expressions(expressions) = &mut order_by.kind {
                expressions.iter_mut().for_each(|order| plain(&mut order.expr));
            }
            order_by_all(order_by, &query.body);
        }
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                limit.iter_mut().for_each(plain);
                offset.iter_mut().for_each(|offset| plain(&mut offset.value));
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                plain(offset);
                plain(limit);
            }
            None => {}
        }
        if let Some(Fetch { quantity: Some(quantity), .. }) = &mut query.fetch {
            plain(quantity);
        }
        ControlFlow::Continue(())
    }
}

/// In a column of `VALUES` where one number is a double, decimals are doubles; DataFusion makes them all decimals.
fn doubles(values: &mut Values) {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    let is_double = |text: &str| text.ends_with('D') && !text.ends_with("BD") || text.contains(['e', 'E']);
    for column in 0..width {
        let cells = || values.rows.iter().filter_map(|row| row.content.get(column));
        if !cells().any(|cell| unmarked(cell, "number").is_some_and(is_double)) {
            continue;
        }
        for row in &mut values.rows {
            if let Some(cell) = row.content.get_mut(column)
                && let Some(text) = unmarked(cell, "number")
                && text.contains('.')
                && text.ends_with(|c: char| c.is_ascii_digit() || c == '.')
                && !is_double(text)
            {
                *cell = literal("number", &format!("{text}D"));
            }
        }
    }
}

/// `ORDER BY ALL` is by all columns from left to right.
fn order_by_all(order_by: &mut OrderBy, body: &SetExpr) {
    let OrderByKind::All(options) = &order_by.kind else { return };
    let Some(select) = first_select(body) else { return };
    let wild = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    if wild {
        return;
    }
    order_by.kind = by_all_columns(select.projection.len(), *options);
}

/// The order by this many columns from left to right.
pub(crate) fn by_all_columns(count: usize, options: OrderByOptions) -> OrderByKind {
    let ordinal = |index: usize| OrderByExpr {
        expr: Expr::value(Value::Number((index + 1).to_string(), false)),
        options,
        with_fill: None,
    };
    OrderByKind::Expressions((0..count).map(ordinal).collect())
}

fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { left, .. } => first_select(left),
        SetExpr::Query(query) => first_select(&query.body),
        _ => None,
    }
}

fn window(spec: &mut WindowSpec) {
    if let Some(frame) = &mut spec.window_frame {
        for bound in [Some(&mut frame.start_bound), frame.end_bound.as_mut()].into_iter().flatten() {
            if let WindowFrameBound::Preceding(Some(expr)) | WindowFrameBound::Following(Some(expr)) = bound {
                plain(expr);
            }
        }
    }
}

/// The plain positional arguments of a call.
pub(crate) fn positional(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return matches!(function.args, FunctionArguments::None).then(Vec::new);
    };
    if !list.clauses.is_empty() || list.duplicate_treatment.is_some() {
        return None;
    }
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

fn convert(expr: Expr) -> Expr {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(number, long), .. }) => {
            literal("number", &if long { format!("{number}L") } else { number })
        }
        Expr::Cast { kind, expr, data_type, array, format } if !array && format.is_none() => {
            let what =
                if matches!(kind, CastKind::TryCast | CastKind::SafeCast) { "try_cast" } else { "cast" };
            let digits = match data_type {
                DataType::Time(Some(digits), _) if digits < 6 => Some(digits),
                _ => None,
            };
            let cast = mark(what, vec![*expr, typed_null(data_type)]);
            match digits.and_then(|digits| i64::try_from(digits).ok()) {
                Some(digits) => mark("#time_digits", vec![cast, number(digits)]),
                None => cast,
            }
        }
        Expr::UnaryOp { op, expr } => match op {
            UnaryOperator::Minus => mark("negative", vec![*expr]),
            UnaryOperator::Plus => mark("positive", vec![*expr]),
            UnaryOperator::BitwiseNot => mark("~", vec![*expr]),
            UnaryOperator::BangNot => Expr::UnaryOp { op: UnaryOperator::Not, expr },
            op => Expr::UnaryOp { op, expr },
        },
        Expr::Extract { field, expr, .. } => mark("date_part", vec![text(&field.to_string()), *expr]),
        Expr::Ceil { expr, field } => rounded("ceil", *expr, field),
        Expr::Floor { expr, field } => rounded("floor", *expr, field),
        Expr::Position { expr, r#in } => mark("locate", vec![*expr, *r#in]),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let mut arguments = vec![*expr];
            match (substring_from, substring_for) {
                (from, Some(length)) => {
                    arguments.push(from.map_or_else(|| number(1), |from| *from));
                    arguments.push(*length);
                }
                (Some(from), None) => arguments.push(*from),
                (None, None) => {}
            }
            mark("substring", arguments)
        }
        Expr::Trim { expr, trim_where, trim_what, trim_characters } => {
            let name = match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            };
            let mut arguments = vec![*expr];
            arguments.extend(trim_what.map(|what| *what));
            arguments.extend(trim_characters.into_iter().flatten());
            mark(name, arguments)
        }
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            let mut arguments = vec![*expr, *overlay_what, *overlay_from];
            arguments.extend(overlay_for.map(|length| *length));
            mark("overlay", arguments)
        }
        Expr::RLike { negated, expr, pattern, .. } => not_if(negated, mark("rlike", vec![*expr, *pattern])),
        Expr::Like { negated, any: false, expr, pattern, escape_char } => {
            not_if(negated, mark("like", like(*expr, *pattern, escape_char)))
        }
        Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
            not_if(negated, mark("ilike", like(*expr, *pattern, escape_char)))
        }
        Expr::Like { negated, any: true, expr, pattern, escape_char } => {
            like_each("like", negated, *expr, *pattern, escape_char)
        }
        Expr::ILike { negated, any: true, expr, pattern, escape_char } => {
            like_each("ilike", negated, *expr, *pattern, escape_char)
        }
        Expr::Array(array) => mark("array", array.elem),
        Expr::Struct { values, fields } if fields.is_empty() => structure(values),
        // The texts beside a column of CHAR are filled up.
        Expr::InList { expr, list, negated }
            if matches!(*expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                && list.iter().any(is_text) =>
        {
            let arguments = std::iter::once(*expr).chain(list).collect();
            not_if(negated, mark("#in", arguments))
        }
        Expr::Between { expr, negated, low, high } => {
            let both = Expr::BinaryOp {
                left: Box::new(compare(expr.clone(), BinaryOperator::GtEq, low)),
                op: BinaryOperator::And,
                right: Box::new(compare(expr, BinaryOperator::LtEq, high)),
            };
            not_if(negated, Expr::Nested(Box::new(both)))
        }
        Expr::Case { operand, conditions, else_result, .. } => case(operand, conditions, else_result),
        Expr::Collate { expr, collation } => mark("collate", vec![*expr, text(&collation.to_string())]),
        Expr::Function(function) => call(function),
        other => other,
    }
}

/// A CASE, whose branches take the type that Spark gives them: the operand if there is one, the branches, the rest.
fn case(operand: Option<Box<Expr>>, conditions: Vec<CaseWhen>, otherwise: Option<Box<Expr>>) -> Expr {
    let what = if operand.is_some() { "case_of" } else { "case" };
    let mut arguments: Vec<Expr> = operand.into_iter().map(|operand| *operand).collect();
    arguments.extend(conditions.into_iter().flat_map(|when| [when.condition, when.result]));
    arguments.extend(otherwise.map(|otherwise| *otherwise));
    mark(what, arguments)
}

/// `struct(a, 1, b AS c)`: fields are named as they are written, or by their place.
fn structure(values: Vec<Expr>) -> Expr {
    let mut fields = Vec::with_capacity(values.len() * 2);
    for (index, value) in values.into_iter().enumerate() {
        let (name, value) = match value {
            Expr::Named { expr, name } => (name.value, *expr),
            Expr::Identifier(ident) => (ident.value.clone(), Expr::Identifier(ident)),
            Expr::CompoundIdentifier(parts) => (
                parts.last().map(|part| part.value.clone()).unwrap_or_default(),
                Expr::CompoundIdentifier(parts),
            ),
            other => (format!("col{}", index + 1), other),
        };
        fields.extend([text(&name), value]);
    }
    mark("named_struct", fields)
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(_), .. }))
}

fn compare(left: Box<Expr>, op: BinaryOperator, right: Box<Expr>) -> Expr {
    Expr::BinaryOp { left, op, right }
}

fn not_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) } } else { expr }
}

fn like(expr: Expr, pattern: Expr, escape: Option<ValueWithSpan>) -> Vec<Expr> {
    let mut arguments = vec![expr, pattern];
    arguments.extend(escape.and_then(|e| e.value.into_string()).map(|e| text(&e)));
    arguments
}

/// `x LIKE ANY (a, b)` is `x LIKE a OR x LIKE b`.
fn like_each(name: &str, negated: bool, expr: Expr, patterns: Expr, escape: Option<ValueWithSpan>) -> Expr {
    let patterns = match patterns {
        Expr::Tuple(patterns) => patterns,
        Expr::Nested(one) => vec![*one],
        one => vec![one],
    };
    let each =
        patterns.into_iter().map(|p| not_if(negated, mark(name, like(expr.clone(), p, escape.clone()))));
    let any = each.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::Or,
        right: Box::new(right),
    });
    Expr::Nested(Box::new(any.unwrap_or_else(|| Expr::value(Value::Boolean(negated)))))
}

fn rounded(name: &str, expr: Expr, field: CeilFloorKind) -> Expr {
    match field {
        CeilFloorKind::Scale(scale) => mark(name, vec![expr, number_of(scale)]),
        CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => mark(name, vec![expr]),
        CeilFloorKind::DateTimeField(unit) => mark(name, vec![expr, text(&unit.to_string())]),
    }
}

fn number_of(value: ValueWithSpan) -> Expr {
    match value.value {
        Value::Number(n, _) => literal("number", &n),
        other => Expr::value(other),
    }
}

/// A whole number.
pub(crate) fn number(n: i64) -> Expr {
    literal("number", &n.to_string())
}

fn typed_null(data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::value(Value::Null)),
        data_type,
        array: false,
        format: None,
    }
}

/// Calls: names in lower case, Spark's functions by mark, the others left to the registry.
fn call(mut function: Function) -> Expr {
    // IDENTIFIER('name') is the name.
    if function.name.to_string().eq_ignore_ascii_case("identifier")
        && let Some([Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(name), .. })]) =
            positional(&function).as_deref()
    {
        let mut parts: Vec<Ident> = name.split('.').map(|part| Ident::new(part.trim_matches('`'))).collect();
        return match (parts.len(), parts.pop()) {
            (1, Some(only)) => Expr::Identifier(only),
            (_, last) => {
                parts.extend(last);
                Expr::CompoundIdentifier(parts)
            }
        };
    }
    if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
        window(spec);
    }
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_mut_slice() else {
        return Expr::Function(function);
    };
    name.value = name.value.to_lowercase();
    name.quote_style = None;
    let name = name.value.clone();
    unit(&mut function, &name);
    let bare = function.over.is_none() && function.filter.is_none() && function.within_group.is_empty();
    if bare && let Some(arguments) = positional(&function) {
        let lambda = arguments.iter().any(|argument| matches!(argument, Expr::Lambda(_)));
        if let Some(target) = conversion(&name)
            && let [argument] = arguments.as_slice()
        {
            return mark("cast", vec![argument.clone(), typed_null(target)]);
        }
        if !lambda && crate::planner::is_planned(&name) {
            return mark(&name, arguments);
        }
        if lambda {
            function.name = ObjectName::from(vec![Ident::new(format!("{name}_lambda"))]);
            return Expr::Function(function);
        }
    }
    crate::aggregates::rename(&mut function, &name);
    Expr::Function(function)
}

/// `dateadd(DAY, ..)`: the unit is a word, not a column.
fn unit(function: &mut Function, name: &str) {
    let with_unit =
        matches!(name, "dateadd" | "date_add" | "timestampadd" | "datediff" | "date_diff" | "timestampdiff");
    if let FunctionArguments::List(list) = &mut function.args
        && with_unit
        && list.args.len() == 3
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.first_mut()
        && let Expr::Identifier(word) = first
        && word.quote_style.is_none()
    {
        *first = text(&word.value);
    }
}

/// `int(x)` is a cast.
fn conversion(name: &str) -> Option<DataType> {
    Some(match name {
        "boolean" => DataType::Boolean,
        "tinyint" => DataType::TinyInt(None),
        "smallint" => DataType::SmallInt(None),
        "int" => DataType::Int(None),
        "bigint" => DataType::BigInt(None),
        "float" => DataType::Float(ExactNumberInfo::None),
        "double" => DataType::Double(ExactNumberInfo::None),
        "decimal" => DataType::Decimal(ExactNumberInfo::None),
        "string" => DataType::String(None),
        "binary" => DataType::Binary(None),
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "time" => DataType::Time(None, TimezoneInfo::None),
        _ => return None,
    })
}
