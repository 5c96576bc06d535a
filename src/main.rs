//! The `quell` command. Everything it does is in the library.

/// Runs make and drop many small values; the system's allocator took a quarter of their time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    quell::cli::main()
}
