//! Data frames.

mod errors;
mod expressions;
mod helpers;
mod properties;
mod tour;
mod verbs;
