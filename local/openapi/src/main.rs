//! Writes docs/openapi.json anew.

use std::process::ExitCode;

fn main() -> ExitCode {
    let file = openapi::file();
    match std::fs::write(&file, openapi::text()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}
