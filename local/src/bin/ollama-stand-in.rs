//! Ollama's stand-in as a process.

use std::convert::Infallible;
use std::net::SocketAddr;

use clap::Parser;
use local::stand_ins::{ollama, serve};

/// Speaks Ollama's protocol, and writes song plans by rules.
#[derive(Parser)]
struct Flags {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:9103")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse();
    serve::log();
    serve::run(flags.listen, |_| Ok::<_, Infallible>(ollama::router())).await
}
