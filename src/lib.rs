//! trefoil

#[cfg(any(doc, doctest))]
pub mod guide;
