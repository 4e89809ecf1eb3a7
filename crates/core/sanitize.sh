#!/usr/bin/env bash
# Runs the tests of the stem under the address and the thread sanitizer of the nightly toolchain; one of them
# if it is named. A report makes it fail. Not part of CI: it needs nightly with its sources (rust-src), and
# compiles the standard library anew, so that the synchronisation in there is seen as well.
# What uses a model checker (loom, shuttle) is left out: it switches stacks by hand, which sanitizers do not
# follow. The thread sanitizer knows no fences: those of `runtime/idle.rs` order nothing but atomics, and are
# loom's part; std and crossbeam do without theirs when they are compiled for it.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! rustup run nightly rustc --version >/dev/null 2>&1; then
  echo "sanitize.sh: no nightly toolchain; install it with: rustup toolchain install nightly -c rust-src"
  exit 1
fi
host=$(rustup run nightly rustc -vV | sed -n 's/^host: //p')
std=()
if [ -d "$(rustup run nightly rustc --print sysroot)/lib/rustlib/src/rust/library" ]; then
  std=(-Zbuild-std)
fi
left_out=0
for sanitizer in ${1:-address thread}; do
  if [ ${#std[@]} -eq 0 ]; then
    echo "sanitize.sh: nightly has no sources; add them with: rustup component add rust-src --toolchain nightly"
    if [ "$sanitizer" = thread ]; then
      # It would report what it does not see the order of.
      echo "sanitize.sh: the thread sanitizer is left out: nothing was checked with it"
      left_out=1
      continue
    fi
    echo "sanitize.sh: the standard library is not instrumented"
  fi
  echo "== $sanitizer"
  # The longest history: reports then tell both stacks.
  TSAN_OPTIONS="history_size=7 ${TSAN_OPTIONS:-}" RUSTFLAGS="-Zsanitizer=$sanitizer" \
    rustup run nightly cargo test "${std[@]}" -p trefoil-core --locked --target "$host" \
    --target-dir "target/sanitize-$sanitizer" --lib --test it -- --skip models:: --skip desk:: --skip schedules::
done
exit $left_out
