//! Nothing. The manifest of this crate turns features on, so that builds of the workspace cover them.
