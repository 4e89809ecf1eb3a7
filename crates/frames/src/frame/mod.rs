//! Data frames: pandas-like verbs over the relational kernel.
