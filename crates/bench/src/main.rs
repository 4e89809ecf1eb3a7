//! Benchmarks of trefoil beside its peers.
fn main() {}
