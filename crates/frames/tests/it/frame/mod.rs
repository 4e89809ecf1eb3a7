//! Data frames.

mod divided;
mod errors;
mod expressions;
mod helpers;
mod more;
mod namespaces;
mod pandas;
mod properties;
mod tables;
mod tour;
mod verbs;
mod windows;
