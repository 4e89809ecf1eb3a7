//! The stem of trefoil: executor, object store, memory budget, refs and calls
