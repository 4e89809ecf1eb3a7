//! The macros of trefoil: #[task] and #[actor]
