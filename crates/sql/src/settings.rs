//! Settings by Spark's names: `SET spark.sql.parser.escapedStringLiterals = true`.
//!
//! A setting is honoured or refused: what is not in the list, or has a value that would change the meaning
//! in a way that is not built, is an error.

use crate::zone::SessionZone;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use std::any::Any;
use trefoil_core::{Error, ErrorKind, suggest};

/// Names (without `spark.`), the value they start with, and the values they take: none for true and false, an
/// empty list for any text.
const SETTINGS: &[(&str, &str, Option<&[&str]>)] = &[
    // The first four are read by place.
    ("sql.parser.escapedStringLiterals", "false", None),
    ("sql.warehouse.dir", "spark-warehouse", Some(&[])),
    ("sql.sources.partitionOverwriteMode", "static", Some(&["static", "dynamic"])),
    ("sql.timestampNanosTypes.enabled", "false", None),
    ("sql.ansi.enabled", "true", Some(&["true"])),
    (TIME_ZONE, "UTC", Some(&[])),
    ("sql.caseSensitive", "false", Some(&["false"])),
    ("sql.storeAssignmentPolicy", "ANSI", Some(&["ANSI"])),
    (LEVELS, "100", Some(&[])),
    (ROWS, "1000000", Some(&[])),
];

/// The settings whose values are numbers: the most levels and rows of a recursive query, or -1.
const LEVELS: &str = "sql.cteRecursionLevelLimit";
const ROWS: &str = "sql.cteRecursionRowLimit";

/// The setting whose value is looked at by [`SessionZone`].
const TIME_ZONE: &str = "sql.session.timeZone";

/// The values of the settings, in the order of the list.
#[derive(Clone, Debug)]
pub(crate) struct SparkSettings {
    values: Vec<String>,
    /// Shared with the planners of the session.
    pub(crate) zone: SessionZone,
}

impl Default for SparkSettings {
    fn default() -> Self {
        let values = SETTINGS.iter().map(|(_, value, _)| (*value).to_owned()).collect();
        Self { values, zone: SessionZone::default() }
    }
}

impl SparkSettings {
    /// Whether backslashes in strings stand for themselves.
    pub(crate) fn raw_strings(&self) -> bool {
        self.values.first().is_some_and(|value| value == "true")
    }

    /// The directory of tables without a LOCATION.
    pub(crate) fn warehouse(&self) -> &str {
        self.values.get(1).map_or("spark-warehouse", String::as_str)
    }

    /// Whether INSERT OVERWRITE leaves partitions alone that it has no rows for.
    pub(crate) fn dynamic_overwrite(&self) -> bool {
        self.values.get(2).is_some_and(|value| value == "dynamic")
    }

    /// Whether literals of timestamps keep nanoseconds.
    pub(crate) fn nanoseconds(&self) -> bool {
        self.values.get(3).is_some_and(|value| value == "true")
    }
}

/// Tells the options of plans what the settings say of them.
pub(crate) fn pass_on(options: &mut ConfigOptions) {
    let Some(settings) = options.extensions.get::<SparkSettings>() else { return };
    // -1 is no limit.
    let limit = |wanted: &str| {
        let index = SETTINGS.iter().position(|(name, ..)| *name == wanted)?;
        settings.values.get(index)?.parse::<usize>().ok()
    };
    let (levels, rows) = (limit(LEVELS), limit(ROWS));
    trefoil_plan::limit_recursion(options, levels, rows);
}

/// The zone of the session that these options are of.
pub(crate) fn zone(options: &ConfigOptions) -> SessionZone {
    options.extensions.get::<SparkSettings>().map(|settings| settings.zone.clone()).unwrap_or_default()
}

impl ConfigExtension for SparkSettings {
    const PREFIX: &'static str = "spark";
}

fn refuse(kind: ErrorKind, name: &str, message: String, help: Option<String>) -> DataFusionError {
    let error = Error::new(kind, "SET", format!("spark.{name}: {message}"));
    DataFusionError::External(Box::new(match help {
        Some(help) => error.with_help(help),
        None => error,
    }))
}

impl ExtensionOptions for SparkSettings {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let names = SETTINGS.iter().map(|(name, ..)| *name);
        let Some(index) = names.clone().position(|known| known.eq_ignore_ascii_case(name)) else {
            let help = suggest(name, names).map(|near| format!("did you mean `spark.{near}`?"));
            return Err(refuse(ErrorKind::Unsupported, name, "there is no such setting here".into(), help));
        };
        let allowed = SETTINGS[index].2.unwrap_or(&["true", "false"]);
        if SETTINGS[index].0 == TIME_ZONE {
            self.zone.set(value).map_err(|error| DataFusionError::External(Box::new(error)))?;
        }
        let is_number = [LEVELS, ROWS].contains(&SETTINGS[index].0);
        if is_number && !value.parse::<i64>().is_ok_and(|number| number == -1 || number > 0) {
            let help = Some("it can be a number from 1 on, or -1 for no limit".into());
            return Err(refuse(ErrorKind::InvalidArgument, name, format!("`{value}` is no limit"), help));
        }
        if allowed.is_empty() {
            self.values[index] = value.to_owned();
            return Ok(());
        }
        let Some(known) = allowed.iter().find(|known| known.eq_ignore_ascii_case(value)) else {
            let help = format!("it can be {}", allowed.join(", "));
            return Err(refuse(
                ErrorKind::Unsupported,
                name,
                format!("`{value}` is not supported"),
                Some(help),
            ));
        };
        self.values[index] = (*known).to_owned();
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        SETTINGS
            .iter()
            .zip(&self.values)
            .map(|((name, ..), value)| ConfigEntry {
                key: format!("spark.{name}"),
                value: Some(value.clone()),
                description: "a setting by Spark's name",
            })
            .collect()
    }
}
