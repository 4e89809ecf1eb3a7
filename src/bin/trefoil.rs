//! The binary `trefoil`: the SQL shell. Everything is in the crate `trefoil-cli`; this is its process.

/// The library sets no allocator; this program is ours, and queries allocate a lot from many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    trefoil_cli::main()
}
