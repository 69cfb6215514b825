//! A stand-in as a process: one line when ready, an end on SIGTERM or SIGINT.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long calls in flight may go on after the signal.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves on an address (port 0: any free one) until a signal comes. `router` is given the address that it got.
pub async fn run<E>(
    listen: SocketAddr,
    router: impl FnOnce(SocketAddr) -> Result<Router, E>,
) -> Result<(), Box<dyn std::error::Error>>
where
    E: Into<Box<dyn std::error::Error>>,
{
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let router = router(address).map_err(Into::into)?;
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(
        axum::serve(listener, router)
            .with_graceful_shutdown(async {
                // A dropped sender means the same.
                let _ = stopped.await;
            })
            .into_future(),
    );

    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    drop(stop);
    if tokio::time::timeout(FAREWELL, server).await.is_err() {
        tracing::info!("ending with calls in flight");
    }
    Ok(())
}

/// Logs JSON lines to standard error.
pub fn log() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::stderr)
        .init();
}
