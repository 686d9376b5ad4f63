# The usual commands; `just` lists them. `.ci/run` is what a change must pass.

_list:
    @just --list --unsorted

# The tests: of everything, or with arguments of cargo test (just test -p cdpo-grade)
test *args="--workspace":
    cargo test --locked {{ args }}

# Format and lints
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# The documentation of the crates
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Times of the engine's operations
bench:
    cargo bench --locked -p cdpo-model --bench ops

# The whole method on the built-in model (just quickstart --fast: a small part of it)
quickstart *args:
    cargo run --release --locked -p cdpo -- quickstart {{ args }}

# All that a change must pass
ci:
    .ci/run
