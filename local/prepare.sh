# Sourced by the scripts beside it: where things are, what is built, and how they speak.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$here")

functions=(compose jobs report health admin auth worker sweep live notify deliver)
# What the demo needs; `up` and the tests have one more.
models=(jen1-stand-in muscgen-stand-in)
all_models=("${models[@]}" ollama-stand-in)

# Everything but a result goes to the error stream: `local/token` prints one token and nothing else.
say() { printf '%s\n' "$*" >&2; }

give_up() {
  say ""
  say "  $*"
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# As the tests look for one.
browser() { [ -n "${CHROMIUM:-}" ] || has chromium || has google-chrome || has google-chrome-stable || has chromium-browser; }

# build PROGRAM...: in the whole workspace, so that every script builds the same dependencies the same way.
build() {
  local flags=() name
  for name in "$@"; do flags+=(--bin "$name"); done
  build_targets "${flags[@]}"
}

# build_targets FLAG...: as `cargo build` takes them.
build_targets() {
  (cd "$top" && cargo build --workspace --profile "$profile" "$@" ${quiet[@]+"${quiet[@]}"}) >&2 ||
    give_up "The build failed; the first error above says where. Rust ${rust_version} or newer is needed: rustup update"
}
quiet=()
profile=dev
# What makes the next build quicker makes the first one a third slower: only where somebody builds that way already is it kept up.
[ -n "$(ls -A "${CARGO_TARGET_DIR:-$top/target}/debug/incremental" 2>/dev/null)" ] || export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
rust_version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$top/Cargo.toml")

# The folder of built programs, wherever Cargo has been told to put it.
programs() {
  local target
  target=$(cd "$top" && cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
  printf '%s/%s\n' "$target" "${profile/#dev/debug}"
}
