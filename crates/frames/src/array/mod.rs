//! Lazy, chunked, n-dimensional arrays.
