//! Data frames.

mod errors;
mod expressions;
mod helpers;
mod namespaces;
mod pandas;
mod properties;
mod tables;
mod tour;
mod verbs;
mod windows;
