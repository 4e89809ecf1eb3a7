#!/usr/bin/env bash
# Runs the tests of the stem under the address and the thread sanitizer of the nightly toolchain.
# Not part of CI: it needs nightly with its sources (rust-src), and compiles the standard library anew.
# The models are left out: the model checker switches stacks by hand, which sanitizers do not follow.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! rustup run nightly rustc --version >/dev/null 2>&1; then
  echo "sanitize.sh: no nightly toolchain; install it with: rustup toolchain install nightly -c rust-src"
  exit 0
fi
host=$(rustup run nightly rustc -vV | sed -n 's/^host: //p')
std=()
if [ -d "$(rustup run nightly rustc --print sysroot)/lib/rustlib/src/rust/library" ]; then
  std=(-Zbuild-std)
else
  echo "sanitize.sh: no rust-src for nightly; the standard library is not instrumented, the thread sanitizer is left out"
fi
for sanitizer in ${1:-address thread}; do
  if [ "$sanitizer" = thread ] && [ ${#std[@]} -eq 0 ]; then continue; fi
  echo "== $sanitizer"
  RUSTFLAGS="-Zsanitizer=$sanitizer" \
    rustup run nightly cargo test "${std[@]}" -p trefoil-core --locked --target "$host" \
    --target-dir "target/sanitize-$sanitizer" --lib --test it -- --skip models
done
