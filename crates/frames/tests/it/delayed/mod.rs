//! Delayed graphs.
