//! Data frames.

mod budgets;
mod divided;
mod errors;
mod expressions;
mod helpers;
mod more;
mod names;
mod namespaces;
mod pandas;
mod properties;
mod shapes;
mod stats;
mod tables;
mod tour;
mod values;
mod verbs;
mod windows;
