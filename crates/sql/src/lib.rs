//! The SQL leaf of trefoil
