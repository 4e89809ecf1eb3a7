//! Installing the Spark dialect in a session: planners, types, functions and options of the planner.

use crate::functions;
use crate::generate::SparkRelations;
use crate::lateral::Laterals;
use crate::map_keys::MapKeys;
use crate::planner::{SparkPlanner, SparkTypes};
use crate::settings::SparkSettings;
use crate::statements::SparkState;
use crate::zone::SessionZone;
use datafusion::execution::SessionStateBuilder;
use std::sync::Arc;
use trefoil_plan::Session;

/// Once per session, before its first query.
pub(crate) fn install(session: &Session) {
    session.extend("spark", spark);
}

/// Whether backslashes in strings stand for themselves in this session.
pub(crate) fn raw_strings(session: &Session) -> bool {
    set(session, SparkSettings::raw_strings)
}

/// Whether literals of timestamps keep nanoseconds in this session.
pub(crate) fn nanoseconds(session: &Session) -> bool {
    set(session, SparkSettings::nanoseconds)
}

/// The time zone of this session.
pub(crate) fn zone(session: &Session) -> SessionZone {
    crate::settings::zone(session.context().state_ref().read().config().options())
}

fn set(session: &Session, setting: impl Fn(&SparkSettings) -> bool) -> bool {
    // Read in place: a copy of the state copies the names of a thousand functions.
    let state = session.context().state_ref();
    let state = state.read();
    state.config().options().extensions.get::<SparkSettings>().is_some_and(setting)
}

fn spark(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let settings = SparkSettings::default();
    let zone = settings.zone.clone();
    // First of all planners: the others would take what is ours.
    builder
        .expr_planners()
        .get_or_insert_with(Vec::new)
        .insert(0, Arc::new(SparkPlanner { zone: zone.clone() }));
    builder.scalar_functions().get_or_insert_with(Vec::new).extend(functions::scalars().cloned());
    builder.aggregate_functions().get_or_insert_with(Vec::new).extend(
        functions::aggregate::all()
            .into_iter()
            .chain(functions::sketch::all())
            .chain([functions::sum::sum()]),
    );
    builder.window_functions().get_or_insert_with(Vec::new).push(functions::counter::counter_diff());
    builder.higher_order_functions().get_or_insert_with(Vec::new).extend(functions::lambda::all());
    if let Some(optimizer) = builder.optimizer() {
        Laterals::add_to(&mut optimizer.rules);
        MapKeys::add_to(&mut optimizer.rules);
    }
    builder.relation_planners().get_or_insert_with(Vec::new).insert(0, Arc::new(SparkRelations));
    if let Some(config) = builder.config() {
        config.set_extension(Arc::new(SparkState::default()));
        config.options_mut().extensions.insert(settings);
        crate::settings::pass_on(config.options_mut());
        let parser = &mut config.options_mut().sql_parser;
        // The least value is null.
        parser.default_null_ordering = "nulls_min".into();
        parser.map_string_types_to_utf8view = false;
        parser.parse_float_as_decimal = true;
    }
    builder.with_type_planner(Arc::new(SparkTypes { zone }))
}
