//! What misuse of the macros looks like to the user: snapshots of compiler output.
//!
//! `TRYBUILD=overwrite cargo test -p trefoil-tasks ui` writes them anew. The
//! compiler's wording changes between releases, so the snapshots are compared
//! with the release that wrote them only.

use std::process::Command;

/// The release of the snapshots.
const RELEASE: &str = "rustc 1.95.";

#[test]
fn compile_errors() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8_lossy(&version);
    if version.starts_with(RELEASE) {
        trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
    } else {
        println!("not compared: the snapshots are of {RELEASE}x, this is {version}");
    }
}
