//! The tasks leaf of trefoil: remote functions, refs, actors
