//! jen1's stand-in as a process.

use std::net::SocketAddr;

use clap::Parser;
use local::stand_ins::{jen1, serve};

/// Writes a song plan by rules from the words of a narrative.
#[derive(Parser)]
struct Flags {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:9101")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse();
    serve::log();
    serve::run(flags.listen, |_| jen1::router()).await
}
