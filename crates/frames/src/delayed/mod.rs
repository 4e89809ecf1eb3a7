//! Delayed graphs out of closures: the Dask-delayed view over core calls.
