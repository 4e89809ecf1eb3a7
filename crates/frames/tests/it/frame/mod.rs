//! Data frames.

mod errors;
mod expressions;
mod helpers;
mod pandas;
mod properties;
mod tour;
mod verbs;
