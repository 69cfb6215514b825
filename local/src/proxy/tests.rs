use std::time::Duration;

use super::*;

/// Answers each byte with the next one, over any number of connections, and counts what it heard.
async fn counter() -> (u16, watch::Receiver<u64>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, hears) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                while let Ok(byte) = stream.read_u8().await {
                    heard.send_modify(|count| *count += 1);
                    stream.write_u8(byte + 1).await.unwrap();
                }
            });
        }
    });
    (port, hears)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()))
        .await
        .unwrap()
}

/// The answer, if one comes within a time in which one would surely come.
async fn ask(stream: &mut TcpStream, byte: u8) -> Option<std::io::Result<u8>> {
    stream.write_u8(byte).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(300), stream.read_u8());
    answer.await.ok()
}

fn answers(answer: Option<std::io::Result<u8>>, byte: u8) -> bool {
    matches!(answer, Some(Ok(answer)) if answer == byte)
}

#[tokio::test]
async fn bytes_pass_in_both_directions() {
    let (port, _) = counter().await;
    let proxy = Proxy::start(port).await.unwrap();
    let mut stream = connect(&proxy).await;
    assert!(answers(ask(&mut stream, 7).await, 8));
    assert!(answers(ask(&mut stream, 8).await, 9));
}

#[tokio::test]
async fn a_swallowing_wire_keeps_its_connections_open_and_they_never_heal() {
    let (port, heard) = counter().await;
    let proxy = Proxy::start(port).await.unwrap();
    let mut old = connect(&proxy).await;
    assert!(answers(ask(&mut old, 1).await, 2));
    proxy.swallow();
    assert!(ask(&mut old, 1).await.is_none());
    let mut meanwhile = connect(&proxy).await;
    assert!(ask(&mut meanwhile, 1).await.is_none());
    proxy.mend();
    assert!(ask(&mut old, 1).await.is_none());
    assert!(ask(&mut meanwhile, 1).await.is_none());
    let mut new = connect(&proxy).await;
    assert!(answers(ask(&mut new, 4).await, 5));
    assert_eq!(*heard.borrow(), 2);
}

#[tokio::test]
async fn a_server_whose_replies_are_swallowed_still_hears() {
    let (port, mut heard) = counter().await;
    let proxy = Proxy::start(port).await.unwrap();
    let mut stream = connect(&proxy).await;
    proxy.swallow_replies();
    assert!(ask(&mut stream, 1).await.is_none());
    heard.wait_for(|count| *count == 1).await.unwrap();
    proxy.mend();
    assert!(answers(ask(&mut connect(&proxy).await, 1).await, 2));
}

#[tokio::test]
async fn a_cut_closes_the_connections_of_now_and_no_later_one() {
    let (port, _) = counter().await;
    let proxy = Proxy::start(port).await.unwrap();
    let mut old = connect(&proxy).await;
    assert!(answers(ask(&mut old, 1).await, 2));
    proxy.cut();
    let closed = tokio::time::timeout(Duration::from_secs(5), old.read_u8());
    assert!(closed.await.expect("it is closed").is_err());
    assert!(answers(ask(&mut connect(&proxy).await, 1).await, 2));
}

#[tokio::test]
async fn a_server_that_is_away_closes_the_connection() {
    let proxy = Proxy::start(free_port().unwrap()).await.unwrap();
    let mut stream = connect(&proxy).await;
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_u8());
    assert!(closed.await.expect("it is closed").is_err());
}
