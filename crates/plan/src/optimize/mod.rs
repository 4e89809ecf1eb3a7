//! Rules of our own for the physical plan, and where they stand among DataFusion's.
//!
//! DataFusion keeps the order of joins that the query is written in, and decides per join which side is hashed.
//! [`JoinOrder`] runs after it has: it takes a tree of joins apart into tables and equalities ([`graph`]),
//! guesses sizes from the statistics of the files ([`estimate`]), looks for the cheapest tree ([`search`]) and
//! builds it ([`build`]). Whatever a rule does not understand it leaves as it is.
//!
//! Groups of rows that a tree has anyway are made of those ([`joined`]), and joins of several aggregates run once ([`twice`]).
//!
//! Behind it [`EagerGroups`] makes groups before the join, where a table has many rows in few groups.
//!
//! [`CommonPlans`] runs late, when the plan
//! is complete but for its dynamic filters, and lets equal parts run once. [`AlikePlans`] makes parts equal that differ by a
//! filter, and [`WantedGroups`] makes only those groups that a join will ask for.
//!
//! [`RunningFilters`] keeps the filters that operators derive while they run from columns of the same name, and
//! [`RowFilters`] drops the rows that they rule out where they are read.
//!
//! Last, when nobody looks for DataFusion's expressions and operators any more, [`GroupingSets`] makes the groups of
//! several sets of those of all columns, [`Kernels`] puts faster expressions in and [`Groups`] finds the groups of
//! aggregates by packed keys.
//!
//! [`ClusteredGroups`] makes groups where the rows are in their order, one piece of it after another. [`PartedGroups`]
//! takes what is left of DataFusion's last aggregates, and spills their groups without sorting them.
//!
//! `SET trefoil.join_order = false` and the like turn them off ([`OptimizeOptions`]); the answers are the same
//! either way.

mod alike;
mod build;
mod clustered;
mod common;
mod conditions;
mod eager;
mod embed;
mod estimate;
mod filters;
mod graph;
mod grouped;
mod groups;
mod instead;
mod join_order;
mod joined;
mod kernels;
mod key_bits;
mod once;
mod options;
mod outer;
mod parted;
mod replace;
mod running;
mod scans;
mod search;
mod selectivity;
mod sets;
mod shared;
mod sideways;
mod twice;

pub(crate) use options::OptimizeOptions;
pub(crate) use replace::{only, replaced};

use alike::AlikePlans;
use clustered::ClusteredGroups;
use common::CommonPlans;
use eager::EagerGroups;
use filters::RunningFilters;
use groups::Groups;
use join_order::JoinOrder;
use kernels::Kernels;
use key_bits::KeyBits;
use parted::PartedGroups;
use running::RowFilters;
use scans::FilteredScans;
use sets::GroupingSets;
use sideways::WantedGroups;

use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use std::sync::Arc;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// DataFusion's rules with ours between them.
pub(crate) fn rules() -> Vec<Rule> {
    let mut rules = PhysicalOptimizer::new().rules;
    // After the choice of sides, which fills in what we leave alone, and before data is exchanged.
    let after = rules.iter().position(|rule| rule.name() == "join_selection").map_or(0, |at| at + 1);
    rules.insert(after, Arc::new(JoinOrder));
    rules.insert(after + 1, Arc::new(EagerGroups));
    // Before joins hand filters to scans that run by then: two uses of one part get different ones.
    let before = rules.iter().position(|rule| rule.name() == "FilterPushdown(Post)");
    if let Some(at) = before {
        rules[at] = Arc::new(RunningFilters::new());
        rules.insert(at + 1, Arc::new(RowFilters));
    }
    rules.push(Arc::new(GroupingSets));
    rules.push(Arc::new(Kernels));
    rules.push(Arc::new(Groups));
    rules.push(Arc::new(FilteredScans));
    rules.push(Arc::new(KeyBits));
    rules.push(Arc::new(ClusteredGroups));
    rules.push(Arc::new(PartedGroups));
    let before = before.unwrap_or(rules.len());
    rules.insert(before, Arc::new(AlikePlans));
    rules.insert(before + 1, Arc::new(CommonPlans));
    rules.insert(before + 2, Arc::new(WantedGroups));
    rules
}
