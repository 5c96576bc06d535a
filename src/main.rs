//! The `quell` command. Everything it does is in the library.

fn main() -> std::process::ExitCode {
    quell::cli::main()
}
