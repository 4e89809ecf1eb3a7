//! Oracles, strategies and helpers for trefoil's own tests (unpublished)
