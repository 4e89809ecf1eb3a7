//! What misuse of the macros looks like to the user: snapshots of compiler output.
//!
//! `TRYBUILD=overwrite cargo test -p trefoil-tasks ui` writes them anew.

#[test]
fn compile_errors() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
