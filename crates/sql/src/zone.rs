//! The time zone of a session: `SET TIME ZONE 'Europe/Berlin'`.
//!
//! In UTC, where every session begins, `TIMESTAMP` and `TIMESTAMP_NTZ` are one type without a zone. In any other zone
//! `TIMESTAMP` is a moment whose Arrow type names the zone of the session, and `TIMESTAMP_NTZ` is a reading of a clock. So
//! casts, texts and parts of dates find the zone in the types of their arguments. What is left to do is here, while a query is
//! planned: functions that make or take moments are given the type of theirs, and moments of tables, whose types name
//! any zone, that of the session.
//!
//! ```text
//!   hour(t)               t: a moment  ─> its reading in the zone of its type ─> 13
//!   now()                 no zone      ─> the same number, as a moment of the session
//!   date_trunc('day', t)  t ─> reading ─> 00:00 ─> a moment of the session
//! ```
//!
//! What would need more (JSON, CSV and XML with moments in them, sequences of moments) is refused in such a session.

use crate::functions;
use crate::planner::{cast_to, days, named};
use crate::value::{datetime, types};
use crate::{condition, settings};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    PlannedRelation, RawBinaryExpr, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator as Op, TableFactor, TableIndexHintType, TableIndexHints, TableIndexType,
};
use std::sync::{Arc, PoisonError, RwLock};
use trefoil_core::{Error, ErrorKind, suggest};

/// A zone: its name as it was set, and as types name it; none for UTC.
#[derive(Clone, Debug)]
struct Zone {
    name: String,
    label: Option<Arc<str>>,
}

/// The zone of a session, which its settings write and its planners read.
#[derive(Clone, Debug)]
pub(crate) struct SessionZone(Arc<RwLock<Zone>>);

impl Default for SessionZone {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Zone { name: "UTC".into(), label: None })))
    }
}

impl SessionZone {
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] with near names if there is no such zone.
    pub(crate) fn set(&self, name: &str) -> trefoil_core::Result<()> {
        let name = name.trim();
        let label = datetime::zone_label(name).ok().filter(|_| !name.is_empty()).ok_or_else(|| {
            let message = format!(
                "[INVALID_CONF_VALUE.TIME_ZONE] spark.sql.session.timeZone: there is no time zone `{name}` SQLSTATE: 22022"
            );
            let near = suggest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
            let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            Error::new(ErrorKind::InvalidArgument, "SET", message)
                .with_help(format!("{near}write a place (`Europe/Paris`) or an offset (`+02:00`)"))
        })?;
        let zone = Zone { name: name.to_owned(), label: label.map(Arc::from) };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = zone;
        Ok(())
    }

    pub(crate) fn name(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).name.clone()
    }

    /// As types name it; none for UTC.
    pub(crate) fn label(&self) -> Option<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).label.clone()
    }
}

/// The zone of this machine.
///
/// # Errors
/// [`ErrorKind::Io`] if it does not say.
pub(crate) fn local() -> trefoil_core::Result<String> {
    iana_time_zone::get_timezone().map_err(|error| {
        let message = format!("the time zone of this machine is not known: {error}");
        Error::new(ErrorKind::Io, "SET", message).with_help("name it: SET TIME ZONE 'Europe/Paris'")
    })
}

/// The type with moments of this session for the timestamps of the dialect.
pub(crate) fn of_session(data_type: &DataType, zone: &Arc<str>) -> DataType {
    types::with_timestamps(data_type, &|_| types::zoned(zone))
}

fn is_timestamp(data_type: &DataType) -> bool {
    types::has(data_type, &|t| matches!(t, DataType::Timestamp(..)))
}

/// Functions that read or write timestamps in ways of their own.
const REFUSED: &[&str] = &[
    "from_csv",
    "from_json",
    "from_xml",
    "sequence",
    "time_bucket",
    "to_csv",
    "to_json",
    "to_variant_object",
    "to_xml",
    "try_variant_get",
    "variant_get",
];

fn refused(name: &str) -> datafusion::error::DataFusionError {
    condition::unsupported(format!(
        "`{name}` with timestamps in a session whose time zone is not UTC; cast them to STRING or TIMESTAMP_NTZ, or SET \
         TIME ZONE 'UTC'."
    ))
}

/// A number of microseconds since 1970 as a moment of the session, without looking at a clock.
fn moment(micros: Expr, zone: &Arc<str>) -> Expr {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let known = Expr::Cast(Cast::new(Box::new(micros), utc));
    Expr::Cast(Cast::new(Box::new(known), types::zoned(zone)))
}

/// The other way.
fn micros(moment: Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(moment), types::TIMESTAMP))
}

/// A constant text.
pub(crate) fn text(value: &str) -> Expr {
    Expr::Literal(ScalarValue::from(value), None)
}

/// A call in a session whose zone is not UTC.
///
/// # Errors
/// Those of the function, and what is refused.
pub(crate) fn call(zone: &Arc<str>, name: &str, mut arguments: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
    let ltz = types::zoned(zone);
    let type_of = |expr: &Expr| expr.get_type(schema).map(|t| types::plain(&t));
    let to_moment = |expr: Expr| cast_to(expr, &ltz, schema, false);
    let now = || -> Result<Expr> { Ok(moment(crate::planner::now(), zone)) };
    let plain = |name: &str, arguments: Vec<Expr>| named(name, arguments, schema);
    if REFUSED.contains(&name) {
        let kinds = arguments.iter().map(type_of).collect::<Result<Vec<_>>>()?;
        let made = plain(name, arguments)?;
        return match kinds.iter().any(is_timestamp) || is_timestamp(&type_of(&made)?) {
            true => Err(refused(name)),
            false => Ok(made),
        };
    }
    match (name, arguments.len()) {
        ("typeof", 1) if matches!(type_of(&arguments[0])?, DataType::Timestamp(_, None)) => {
            Ok(text("timestamp_ntz"))
        }
        ("now" | "current_timestamp", _) => now(),
        ("localtimestamp", _) => cast_to(now()?, &types::TIMESTAMP, schema, false),
        ("current_date" | "curdate", 0) => cast_to(now()?, &DataType::Date32, schema, false),
        ("current_time" | "localtime", 0) => cast_to(now()?, &types::TIME, schema, false),
        ("current_time" | "localtime", _) => Err(refused(name)),
        ("timestamp_seconds" | "timestamp_millis" | "timestamp_micros", _) => {
            Ok(moment(plain(name, arguments)?, zone))
        }
        ("unix_seconds" | "unix_millis" | "unix_micros", 1) => {
            let when = to_moment(arguments.remove(0))?;
            plain(name, vec![micros(when)])
        }
        ("from_utc_timestamp" | "to_utc_timestamp", 2) => {
            arguments[0] = micros(to_moment(arguments[0].clone())?);
            Ok(moment(plain(name, arguments)?, zone))
        }
        ("to_timestamp" | "to_timestamp_ltz" | "try_to_timestamp" | "try_to_timestamp_ltz", 1 | 2) => {
            arguments.push(text(zone));
            let attempt = name.starts_with("try_");
            functions::call(if attempt { "#try_to_timestamp" } else { "#to_timestamp" }, arguments)
        }
        ("unix_timestamp" | "to_unix_timestamp", 1 | 2) => {
            let when = match type_of(&arguments[0])? {
                DataType::Utf8 => {
                    if arguments.len() == 1 {
                        arguments.push(text("yyyy-MM-dd HH:mm:ss"));
                    }
                    arguments.push(text(zone));
                    functions::call("#to_timestamp", arguments)?
                }
                _ => to_moment(arguments.remove(0))?,
            };
            plain("unix_seconds", vec![micros(when)])
        }
        ("from_unixtime", 1 | 2) => {
            let seconds = cast_to(arguments.remove(0), &DataType::Int64, schema, false)?;
            let when = moment(functions::call("timestamp_seconds", vec![seconds])?, zone);
            let pattern = arguments.pop().unwrap_or_else(|| text("yyyy-MM-dd HH:mm:ss"));
            functions::call("date_format", vec![when, pattern])
        }
        // A zone among the arguments makes a moment, the rest are readings.
        (
            "make_timestamp" | "make_timestamp_ltz" | "try_make_timestamp" | "try_make_timestamp_ltz",
            3 | 7,
        ) => Ok(moment(plain(name, arguments)?, zone)),
        ("make_timestamp" | "make_timestamp_ltz" | "try_make_timestamp" | "try_make_timestamp_ltz", _) => {
            to_moment(plain(name, arguments)?)
        }
        ("date_trunc", 2) => {
            let when = to_moment(arguments[1].clone())?;
            arguments[1] = cast_to(when, &types::TIMESTAMP, schema, false)?;
            to_moment(plain(name, arguments)?)
        }
        ("timestampadd" | "dateadd" | "date_add", 3) => {
            if !matches!(type_of(&arguments[2])?, DataType::Timestamp(_, None)) {
                arguments[2] = to_moment(arguments[2].clone())?;
            }
            plain(name, arguments)
        }
        ("convert_timezone", 2) => {
            arguments.insert(0, text(zone));
            plain(name, arguments)
        }
        // Text may name a zone of its own.
        ("hour" | "minute" | "second" | "date_format", 1 | 2)
            if type_of(&arguments[0])? == DataType::Utf8 =>
        {
            arguments[0] = to_moment(arguments[0].clone())?;
            plain(name, arguments)
        }
        _ => plain(name, arguments),
    }
}

/// A value of `TIMESTAMP'..'` and its like in a session whose zone is not UTC; none for other literals.
///
/// # Errors
/// For a text that is no timestamp, and for nanoseconds.
pub(crate) fn literal(kind: &str, text: &str, zone: &Arc<str>) -> Result<Option<ScalarValue>> {
    let bad = || condition::cast_invalid_input(text, "STRING", "TIMESTAMP");
    Ok(match kind {
        "timestamp_ns" if datetime::parse_nanos(text).is_some() => {
            return Err(condition::unsupported("nanoseconds in a session whose time zone is not UTC."));
        }
        "timestamp" | "timestamp_ns" => {
            let micros = datetime::parse_timestamp_in(text, Some(zone)).ok_or_else(bad)?;
            Some(ScalarValue::TimestampMicrosecond(Some(micros), Some(Arc::clone(zone))))
        }
        _ => None,
    })
}

/// Dates and texts beside intervals are moments, unless the date stays a date.
///
/// # Errors
/// For a text that is no timestamp.
pub(crate) fn beside_intervals(
    mut raw: RawBinaryExpr,
    zone: &Arc<str>,
    schema: &DFSchema,
) -> Result<RawBinaryExpr> {
    if !matches!(raw.op, Op::Plus | Op::Minus) {
        return Ok(raw);
    }
    let (a, b) = (types::plain(&raw.left.get_type(schema)?), types::plain(&raw.right.get_type(schema)?));
    let becomes = |when: &DataType, interval: &DataType, by: &Expr| match when {
        DataType::Utf8 => types::is_interval(interval),
        DataType::Date32 => {
            types::is_interval(interval) && interval != &types::YEAR_MONTH && days(by).is_none()
        }
        _ => false,
    };
    if becomes(&a, &b, &raw.right) {
        raw.left = cast_to(raw.left, &types::zoned(zone), schema, false)?;
    } else if becomes(&b, &a, &raw.left) {
        raw.right = cast_to(raw.right, &types::zoned(zone), schema, false)?;
    }
    Ok(raw)
}

/// The relation, with its moments in the zone of the session; none if they are.
///
/// # Errors
/// Those of planning the relation.
pub(crate) fn relation(
    relation: &mut TableFactor,
    context: &mut dyn RelationPlannerContext,
) -> Result<Option<RelationPlanning>> {
    let TableFactor::Table { name, args: None, index_hints, .. } = &mut *relation else { return Ok(None) };
    // A mark of ours: the second time the others have it.
    if index_hints.iter().any(|hint| hint.index_names.is_empty()) {
        index_hints.clear();
        return Ok(None);
    }
    let zone = settings::zone(context.context_provider().options()).label().unwrap_or_else(|| "UTC".into());
    let reference = context.object_name_to_table_reference(name.clone())?;
    let Ok(source) = context.context_provider().get_table_source(reference) else { return Ok(None) };
    if !source.schema().fields().iter().any(|field| is_elsewhere(field.data_type(), &zone)) {
        return Ok(None);
    }
    index_hints.push(TableIndexHints {
        hint_type: TableIndexHintType::Use,
        index_type: TableIndexType::Index,
        for_clause: None,
        index_names: Vec::new(),
    });
    let plan = in_zone(context.plan(relation.clone())?, &zone)?;
    Ok(Some(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None)))))
}

/// Whether a type holds moments of another zone.
fn is_elsewhere(data_type: &DataType, zone: &Arc<str>) -> bool {
    types::has(data_type, &|t| {
        matches!(t, DataType::Timestamp(_, Some(there)) if there != zone
        && !(zone.as_ref() == "UTC" && types::zone_of(t).is_none()))
    })
}

fn in_zone(plan: LogicalPlan, zone: &Arc<str>) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    let columns = schema.iter().map(|(qualifier, field)| {
        let column = Expr::from((qualifier, field));
        if !is_elsewhere(field.data_type(), zone) {
            return column;
        }
        let to = types::with_timestamps(field.data_type(), &|t| match t {
            DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some(Arc::clone(zone))),
            other => other.clone(),
        });
        Expr::Cast(Cast::new(Box::new(column), to)).alias_qualified(qualifier.cloned(), field.name())
    });
    LogicalPlanBuilder::from(plan).project(columns.collect::<Vec<_>>())?.build()
}
