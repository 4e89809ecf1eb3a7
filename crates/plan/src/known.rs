//! Aggregate functions that physical rules know by their names.
//!
//! DataFusion tells a physical rule no more of a function than its name. Whoever registers a function of their own under
//! one of these would have it taken for the built-in one. So every name that a rule knows is in this list, which the
//! registration of closures asks; those that calculate differently by name (`windows`, `optimize/conditions`) name them again.

/// What a rule knows of a function.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Trait {
    /// Keeps a number or two, whatever it sees.
    Small,
    /// Gives the same if all rows of a group come twice.
    Twice,
    /// Gives the same whatever the order of its rows is, and does not say so.
    AnyOrder,
    /// Has an operator of its own over running windows.
    Running,
}

use Trait::{AnyOrder, Running, Small, Twice};

/// The names, and what is known of them.
const KNOWN: &[(&str, &[Trait])] = &[
    ("approx_distinct", &[AnyOrder]),
    ("avg", &[Small, Twice, AnyOrder, Running]),
    ("bit_and", &[AnyOrder]),
    ("bit_or", &[AnyOrder]),
    ("bit_xor", &[AnyOrder]),
    ("bool_and", &[Twice]),
    ("bool_or", &[Twice]),
    ("corr", &[AnyOrder]),
    ("count", &[Small, AnyOrder, Running]),
    ("covar_pop", &[AnyOrder]),
    ("covar_samp", &[AnyOrder]),
    ("max", &[Small, Twice, Running]),
    ("mean", &[Small]),
    ("median", &[AnyOrder, Running]),
    ("min", &[Small, Twice, Running]),
    (crate::windows::QUANTILE, &[Running]),
    ("stddev", &[AnyOrder]),
    ("stddev_pop", &[AnyOrder]),
    ("sum", &[Small, Running]),
    ("var", &[AnyOrder, Running]),
    ("var_pop", &[AnyOrder]),
];

/// Whether a rule may rely on this of the function of a name.
pub(crate) fn is(name: &str, what: Trait) -> bool {
    KNOWN.iter().any(|(known, traits)| *known == name && traits.contains(&what))
}

/// Whether plans take any aggregate function of this name for the built-in one.
///
/// ```
/// assert!(trefoil_plan::is_known_aggregate("Max") && !trefoil_plan::is_known_aggregate("my_max"));
/// ```
pub fn is_known_aggregate(name: &str) -> bool {
    KNOWN.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
}
