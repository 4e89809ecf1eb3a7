//! Hints: `SELECT /*+ BROADCAST(t), COALESCE(4) */ ..`.
//!
//! A hint of a join steers all joins of the statement: `BROADCAST` has their smaller sides gathered in one
//! table that all workers read, `SHUFFLE_HASH` has both sides parted by key, `MERGE` sorts both.
//! `REPARTITION(n)`, `COALESCE(n)` and `REBALANCE(n)` plan the statement with `n` partitions. Every other
//! hint is refused.

use datafusion::common::config::ConfigOptions;
use datafusion::sql::sqlparser::ast::{Select, Statement, Visit, Visitor};
use std::ops::ControlFlow;
use trefoil_core::{Error, ErrorKind, Result, suggest};

/// What the hints of a statement ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Hints {
    join: Option<Join>,
    partitions: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Join {
    Broadcast,
    ShuffleHash,
    Merge,
}

const NAMES: [&str; 10] = [
    "BROADCAST",
    "BROADCASTJOIN",
    "MAPJOIN",
    "SHUFFLE_HASH",
    "MERGE",
    "MERGEJOIN",
    "SHUFFLE_MERGE",
    "COALESCE",
    "REPARTITION",
    "REBALANCE",
];

/// The hints of a statement.
///
/// # Errors
/// For a hint that is not known, or with arguments it does not take.
pub(crate) fn read(statement: &Statement) -> Result<Hints> {
    struct Found(Vec<String>);
    impl Visitor for Found {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            self.0.extend(select.optimizer_hints.iter().map(|hint| hint.text.clone()));
            ControlFlow::Continue(())
        }
    }
    let mut found = Found(Vec::new());
    let _ = statement.visit(&mut found);
    let mut hints = Hints::default();
    for text in &found.0 {
        for (name, arguments) in parts(text) {
            hints.add(&name, &arguments)?;
        }
    }
    Ok(hints)
}

/// Names with the arguments in parentheses.
fn parts(text: &str) -> Vec<(String, Vec<String>)> {
    let mut out = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',', '\n', '\t']);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = rest[..end].to_uppercase();
        let after = rest[end..].trim_start();
        let (arguments, after) = match after.strip_prefix('(') {
            Some(inside) => match inside.split_once(')') {
                Some((inside, after)) => {
                    let list = inside.split(',').map(|part| part.trim().to_owned());
                    (list.filter(|part| !part.is_empty()).collect(), after)
                }
                None => (vec![inside.to_owned()], ""),
            },
            None => (Vec::new(), after),
        };
        if name.is_empty() {
            out.push((rest.to_owned(), Vec::new()));
            break;
        }
        out.push((name, arguments));
        rest = after.trim_start_matches([' ', ',', '\n', '\t']);
    }
    out
}

impl Hints {
    fn add(&mut self, name: &str, arguments: &[String]) -> Result<()> {
        let refuse = |message: String, help: String| {
            Err(Error::new(ErrorKind::Unsupported, "sql", message).with_help(help))
        };
        match name {
            "BROADCAST" | "BROADCASTJOIN" | "MAPJOIN" => self.join = Some(Join::Broadcast),
            "SHUFFLE_HASH" => self.join = Some(Join::ShuffleHash),
            "MERGE" | "MERGEJOIN" | "SHUFFLE_MERGE" => self.join = Some(Join::Merge),
            "COALESCE" | "REPARTITION" | "REBALANCE" => match arguments {
                [n] if n.parse::<usize>().is_ok_and(|n| (1..=4096).contains(&n)) => {
                    self.partitions = n.parse().ok();
                }
                _ => {
                    return refuse(
                        format!(
                            "the hint {name} takes a number of partitions from 1 to 4096, and no columns"
                        ),
                        format!("write /*+ {name}(4) */"),
                    );
                }
            },
            other => {
                let help = match suggest(other, NAMES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", NAMES.join(", ")),
                };
                return refuse(format!("the optimizer hint {other} is not supported"), help);
            }
        }
        Ok(())
    }

    /// Sets what they ask for in the options of one statement.
    pub(crate) fn apply(&self, options: &mut ConfigOptions) {
        let optimizer = &mut options.optimizer;
        match self.join {
            Some(Join::Broadcast) => {
                optimizer.prefer_hash_join = true;
                optimizer.repartition_joins = false;
            }
            Some(Join::ShuffleHash) => {
                optimizer.prefer_hash_join = true;
                optimizer.hash_join_single_partition_threshold = 0;
                optimizer.hash_join_single_partition_threshold_rows = 0;
            }
            Some(Join::Merge) => {
                optimizer.prefer_hash_join = false;
                // DataFusion plans sort-merge joins only over several partitions.
                options.execution.target_partitions = options.execution.target_partitions.max(2);
            }
            None => {}
        }
        if let Some(partitions) = self.partitions {
            options.execution.target_partitions = partitions;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let check = |text: &str, expect: Option<Hints>| {
            let mut hints = Hints::default();
            let found = parts(text).iter().try_for_each(|(name, arguments)| hints.add(name, arguments));
            assert_eq!(found.is_ok().then_some(hints), expect, "{text}");
        };
        check("", Some(Hints::default()));
        check(" BROADCAST(a, b) ", Some(Hints { join: Some(Join::Broadcast), partitions: None }));
        check("merge(t), coalesce(3)", Some(Hints { join: Some(Join::Merge), partitions: Some(3) }));
        check(
            "SHUFFLE_HASH (t) REPARTITION(2)",
            Some(Hints { join: Some(Join::ShuffleHash), partitions: Some(2) }),
        );
        check("COALESCE(0)", None);
        check("REPARTITION(a)", None);
        check("SKEW('t')", None);
        check("???", None);
    }
}
