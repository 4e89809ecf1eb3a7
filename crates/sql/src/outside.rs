//! Functions of Spark's that are left out on purpose, and said to be so by name.

/// Families by the start of their names, or whole names.
const FAMILIES: &[(&str, &[&str], &[&str])] = &[
    ("sketches in Java's bytes", &[], &["count_min_sketch"]),
    ("Avro and Protobuf", &["from_avro", "to_avro", "from_protobuf", "to_protobuf", "schema_of_avro"], &[]),
    ("Java methods", &[], &["java_method", "reflect", "try_reflect"]),
    ("metric views", &[], &["measure"]),
    ("windows of streams", &[], &["session_window", "window", "window_time"]),
    ("collations", &[], &["collations"]),
];

/// The family of a function that is left out.
pub(crate) fn family(name: &str) -> Option<&'static str> {
    let name = name.trim_matches('`').to_lowercase();
    FAMILIES
        .iter()
        .find(|(_, starts, names)| {
            starts.iter().any(|start| name.starts_with(start)) || names.contains(&name.as_str())
        })
        .map(|(family, ..)| *family)
}

/// The list, for the reference page: a family and how its names are recognised.
pub(crate) fn list() -> impl Iterator<Item = (&'static str, String)> {
    FAMILIES.iter().map(|(family, starts, names)| {
        let starts = starts.iter().map(|start| format!("`{start}..`"));
        let names = names.iter().map(|name| format!("`{name}`"));
        (*family, starts.chain(names).collect::<Vec<_>>().join(", "))
    })
}
