//! Behind a proxy: nobody gets in beside it, and each caller has the address that it tells.

use local::StackOptions;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use super::{quiet, refused};
use crate::app::{ALICE, App};

const SECRET: &str = "a-secret-between-the-proxy-and-the-api";

#[tokio::test]
async fn behind_a_proxy_nobody_goes_round_it_and_each_caller_has_an_address() {
    let variables = [("PROXY_SECRETS", SECRET), ("LOGIN_ADDRESS_RATE", "2")];
    let app = App::with(StackOptions {
        env: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..quiet()
    })
    .await;
    let by_proxy = |request: RequestBuilder, address: &str| {
        request
            .header("x-proxy-secret", SECRET)
            .header("x-client-address", address)
    };
    for path in ["/jobs", "/compose", "/auth/users", "/admin/overview"] {
        let beside = || app.request(Method::GET, path, ALICE);
        let forged = beside().header("x-client-address", "192.0.2.1");
        let guessed = beside().header("x-proxy-secret", &SECRET[1..]);
        for request in [beside(), forged, guessed] {
            refused(request.send().await.unwrap(), 403, "forbidden").await;
        }
    }
    let list = by_proxy(app.request(Method::GET, "/jobs", ALICE), "192.0.2.1");
    assert_eq!(list.send().await.unwrap().status(), StatusCode::OK);

    let login = async |address: &str| {
        let request = app.http.post(format!("{}/auth/login", app.stack.api()));
        let nobody = json!({"emailOrUsername": address, "password": "a wrong password"});
        let request = by_proxy(request, address).json(&nobody);
        request.send().await.unwrap()
    };
    for _ in 0..2 {
        refused(login("2001:db8::1").await, 401, "wrong_credentials").await;
    }
    // The same network.
    refused(login("2001:db8::2").await, 429, "rate_limited").await;
    refused(login("192.0.2.2").await, 401, "wrong_credentials").await;
    app.stop().await;
}
