//! muscgen's stand-in as a process.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use local::stand_ins::{muscgen, serve};

/// Plays song plans on a SoundFont, and pretends to need a GPU for it.
#[derive(Parser)]
struct Flags {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:9102")]
    listen: SocketAddr,
    /// How many tracks are rendered at a time; beyond that the answer is 503.
    #[arg(long, default_value_t = 4)]
    gpus: usize,
    /// The SoundFont to play on; without it TimGM6mb.sf2 from the usual places.
    #[arg(long)]
    soundfont: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse();
    serve::log();
    let font = music::font::load(flags.soundfont.as_deref()).map_err(|error| {
        // The debug text that main prints would hide which package to install.
        tracing::error!("{error}");
        error
    })?;
    serve::run(flags.listen, |address| {
        muscgen::router(font, flags.gpus, address)
    })
    .await
}
