//! Arrays against ndarray.
