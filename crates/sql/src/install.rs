//! Installing the Spark dialect in a session: planners, types, functions and options of the planner.

use crate::functions;
use crate::planner::{SparkPlanner, SparkTypes};
use datafusion::execution::SessionStateBuilder;
use std::sync::Arc;
use trefoil_plan::Session;

/// Once per session, before its first query.
pub(crate) fn install(session: &Session) {
    session.extend("spark", spark);
}

fn spark(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    // First of all planners: the others would take what is ours.
    builder.expr_planners().get_or_insert_with(Vec::new).insert(0, Arc::new(SparkPlanner));
    builder.scalar_functions().get_or_insert_with(Vec::new).extend(functions::scalars().cloned());
    if let Some(config) = builder.config() {
        let parser = &mut config.options_mut().sql_parser;
        // The least value is null.
        parser.default_null_ordering = "nulls_min".into();
        parser.map_string_types_to_utf8view = false;
        parser.parse_float_as_decimal = true;
    }
    builder.with_type_planner(Arc::new(SparkTypes))
}
