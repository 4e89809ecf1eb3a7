//! The frames leaf of trefoil: data frames, chunked arrays, delayed graphs
