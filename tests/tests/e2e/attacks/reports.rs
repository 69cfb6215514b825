//! What may be said in the name of a model, or with a link, and must move nothing.

use jsonwebtoken::Algorithm;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::callback::{CallbackClaims, sign_link, verify_link};
use shared::job::{Fence, JobId, RenderKey};
use shared::keyring::{KeyRing, now};
use shared::stage::Stage;

use super::forge::{body, claims, derived, flipped, mac, with};
use super::{KID, SECRET, refusal};
use crate::app::App;
use crate::doors::{report, with_token};
use crate::routes::routes;

const UNAUTHENTICATED: (u16, &str) = (401, "unauthenticated");

fn ring() -> KeyRing {
    KeyRing::parse(&format!("{KID}:{SECRET}")).unwrap()
}

/// Tries everything; the names of the cases.
pub(super) async fn all(
    app: &App,
    held: &str,
    callback: &str,
    completed: &str,
) -> Vec<&'static str> {
    let mut names = tokens_that_nobody_gave(app, held, callback).await;
    names.extend(tokens_for_something_else(app, held, callback, completed).await);
    names.extend(links(app, completed, held).await);
    a_callback_token_opens_no_other_door(app, held, callback).await;
    names.push("callback token on another route");
    names
}

/// The three ways to say something of a job: a report, an upload, and the hook with its token in the path.
fn ways(app: &App, job: &str, token: &str) -> [RequestBuilder; 3] {
    let says = json!({"jobId": job, "type": "completed", "payload": {"uploaded": true}});
    let failed = json!({"id": "p", "status": "failed"});
    let in_path: String = token.bytes().map(escaped).collect();
    [
        with_token(app, Method::POST, "/jobs/report", Some(token)).json(&says),
        with_token(app, Method::PUT, &format!("/jobs/{job}/audio"), Some(token)).body("RIFF"),
        with_token(
            app,
            Method::POST,
            &format!("/hooks/cog/{in_path}"),
            Some("cog"),
        )
        .json(&failed),
    ]
}

/// A byte as it stands in a path.
fn escaped(byte: u8) -> String {
    match byte {
        b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

async fn all_refuse(app: &App, job: &str, name: &str, token: &str) {
    for request in ways(app, job, token) {
        let (status, code) = refusal(request).await;
        // In a path a token may be too long to be looked at.
        let too_long = token.len() > 8192 && (status, code.as_str()) == (414, "uri_too_long");
        assert!(
            too_long || (status, code.as_str()) == UNAUTHENTICATED,
            "{name}: {status} {code}"
        );
    }
}

async fn tokens_that_nobody_gave(app: &App, held: &str, callback: &str) -> Vec<&'static str> {
    let said = CallbackClaims::verify(&ring(), callback).unwrap();
    let sound = json!(said);
    let header = json!({"alg": "HS256", "typ": "tutti-callback+jwt", "kid": KID});
    let secret = SECRET.as_bytes();
    let key = derived(secret, b"callback");
    let signed = |header: &Value, claims: &Value| mac(&body(header, claims), &key);
    // The control: by hand, it is the very token that the worker made.
    assert_eq!(
        CallbackClaims::verify(&ring(), &signed(&header, &sound)),
        Ok(said)
    );
    let refresh = json!({"sub": "alice", "family": "f", "n": 1, "exp": now() + 900});
    let refresh = body(&with(&header, "typ", json!("tutti-refresh+jwt")), &refresh);
    let access = |typ: &str, role: &str, key: &[u8]| {
        mac(&body(&with(&header, "typ", json!(typ)), &claims(role)), key)
    };
    let without = |member: &str| signed(&header, &with(&sound, member, json!(null)));
    let with_claim = |member: &str, value: Value| signed(&header, &with(&sound, member, value));
    let none = with(&header, "alg", json!("none"));
    let hs512 = with(&header, "alg", json!("HS512"));
    let hs512 = super::forge::signed(
        &body(&hs512, &sound),
        &jsonwebtoken::EncodingKey::from_secret(&key),
        Algorithm::HS512,
    );
    let cases = [
        (
            "callback token after its deadline",
            with_claim("exp", json!(now() - 60)),
        ),
        (
            "callback token not yet valid",
            with_claim("nbf", json!(now() + 120)),
        ),
        ("callback token without an end", without("exp")),
        ("callback token without a job", without("job")),
        ("callback token without a fence", without("fence")),
        ("callback token without a render", without("render")),
        (
            "callback token of a job that is no UUID",
            with_claim("job", json!("../x")),
        ),
        (
            "callback token of an unknown stage",
            with_claim("stage", json!("all")),
        ),
        (
            "callback token, signed with the secret itself",
            mac(&body(&header, &sound), secret),
        ),
        (
            "callback token, signed with the key of links",
            mac(&body(&header, &sound), &derived(secret, b"link")),
        ),
        (
            "callback token, unsigned",
            format!("{}.", body(&none, &sound)),
        ),
        ("callback token by HS512", hs512),
        (
            "callback token by another key of the ring's name",
            signed(&with(&header, "kid", json!("two")), &sound),
        ),
        (
            "callback token typed access",
            signed(&with(&header, "typ", json!("at+jwt")), &sound),
        ),
        (
            "callback token without a type",
            signed(&with(&header, "typ", json!(null)), &sound),
        ),
        (
            "refresh token as a callback token",
            mac(&refresh, &derived(secret, b"refresh")),
        ),
        (
            "access token typed callback",
            access("tutti-callback+jwt", "worker", secret),
        ),
        (
            "claims of an access token under the key of callbacks",
            access("tutti-callback+jwt", "worker", &key),
        ),
        ("callback token and more", format!("{callback}x")),
        (
            "callback token cut short",
            callback[..callback.len() - 1].to_owned(),
        ),
        ("16 KB as a callback token", "x".repeat(16 * 1024)),
    ];
    for (name, token) in &cases {
        all_refuse(app, held, name, token).await;
    }
    for token in flipped(callback).iter().step_by(7) {
        all_refuse(app, held, "callback token with a bit turned", token).await;
    }
    // Sound, and not for the path.
    for role in ["user", "admin", "orchestrator", "system", "worker"] {
        let token = access("at+jwt", role, secret);
        let [.., hook] = ways(app, held, &token);
        let (status, code) = refusal(hook).await;
        assert_eq!(
            (status, code.as_str()),
            UNAUTHENTICATED,
            "{role} in the path"
        );
    }
    let mut names: Vec<_> = cases.map(|(name, _)| name).into();
    names.extend([
        "callback token with a bit turned",
        "access token in the path",
    ]);
    names
}

/// Sound tokens of ours: for another job, run, render or stage.
async fn tokens_for_something_else(
    app: &App,
    held: &str,
    callback: &str,
    completed: &str,
) -> Vec<&'static str> {
    let said = CallbackClaims::verify(&ring(), callback).unwrap();
    let signed = |claims: &CallbackClaims| claims.sign(&ring()).unwrap();
    let other: JobId = completed.parse().unwrap();
    let for_other = signed(&CallbackClaims {
        job: other,
        render: RenderKey::new(other, Stage::Audio, 1, 0),
        ..said.clone()
    });
    let [reports, uploads, _] = ways(app, held, &for_other);
    for request in [reports, uploads] {
        let refused = refusal(request).await;
        assert_eq!(refused, (403, "forbidden".to_owned()), "for another job");
    }
    // The hook knows no job but the token's: that one has ended.
    let [.., hook] = ways(app, held, &for_other);
    assert_eq!(refusal(hook).await, (409, "job_ended".to_owned()));

    let other_render = signed(&CallbackClaims {
        render: RenderKey::new(said.job, Stage::Audio, 1, 9),
        ..said.clone()
    });
    let completes = json!({"jobId": held, "type": "completed", "payload": {"audioUrl": "http://127.0.0.1:9/a.wav"}});
    let answer = report(app, &other_render, completes).await;
    assert_eq!(answer.status(), 409);
    assert!(answer.text().await.unwrap().contains("wrong_render"));

    let other_run = signed(&CallbackClaims {
        fence: Fence("1-x".to_owned()),
        ..said.clone()
    });
    for kind in ["status", "progress", "failed"] {
        let says =
            json!({"jobId": held, "type": kind, "progress": {"percentage": 50}, "payload": {}});
        let answer = report(app, &other_run, says).await;
        assert_eq!(answer.status(), 409, "{kind}");
        assert!(answer.text().await.unwrap().contains("stale_fence"));
    }
    let [.., hook] = ways(app, held, &other_run);
    assert_eq!(refusal(hook).await, (409, "stale_fence".to_owned()));

    let other_stage = signed(&CallbackClaims {
        stage: Stage::Plan,
        render: RenderKey::new(said.job, Stage::Plan, 1, 0),
        ..said
    });
    let [reports, uploads, _] = ways(app, held, &other_stage);
    for request in [reports, uploads] {
        assert_eq!(refusal(request).await, (409, "not_rendering".to_owned()));
    }
    for role in ["user", "admin"] {
        let token = mac(
            &body(&json!({"alg": "HS256", "typ": "at+jwt"}), &claims(role)),
            SECRET.as_bytes(),
        );
        let [reports, uploads, _] = ways(app, held, &token);
        for request in [reports, uploads] {
            assert_eq!(
                refusal(request).await,
                (403, "forbidden".to_owned()),
                "{role}"
            );
        }
    }
    vec![
        "callback token for another job",
        "callback token for another render",
        "callback token of another run",
        "callback token of another stage",
        "user's token as a callback token",
    ]
}

async fn a_callback_token_opens_no_other_door(app: &App, held: &str, callback: &str) {
    for route in routes() {
        if route.status("nobody") == 401 && route.status("model") == 401 {
            let request = route.request(app, held, callback, "").bearer_auth(callback);
            let (status, code) = refusal(request).await;
            assert_eq!((status, code.as_str()), UNAUTHENTICATED, "{}", route.name);
        }
    }
}

async fn links(app: &App, completed: &str, held: &str) -> Vec<&'static str> {
    let path = |job: &str| format!("/jobs/{job}/audio");
    let (own, exp) = (path(completed), now() + 600);
    let query = |path: &str, exp: u64| {
        let link = sign_link(&ring(), path, exp);
        link.split_once('?').unwrap().1.to_owned()
    };
    let good = query(&own, exp);
    let sig = good.split_once("sig=").unwrap().1;
    assert_eq!(verify_link(&ring(), &own, exp, sig), Ok(()));
    let answer = app.http.get(format!("{}{own}?{good}", app.stack.api()));
    assert_eq!(answer.send().await.unwrap().status(), 200, "the control");
    let turned = flipped(sig);
    let cases = [
        (
            "link that was lengthened",
            format!("exp={}&sig={sig}", exp + 1),
        ),
        ("link that has expired", query(&own, now() - 1)),
        ("link for another job", query(&path(held), exp)),
        (
            "link for another path",
            query(&format!("/jobs/{completed}"), exp),
        ),
        ("link without a signature", format!("exp={exp}")),
        ("link with an empty signature", format!("exp={exp}&sig=")),
        ("link and more", format!("{good}A")),
        ("link cut short", good[..good.len() - 1].to_owned()),
        (
            "link with a bit turned",
            format!("exp={exp}&sig={}", turned[turned.len() / 2]),
        ),
        (
            "link signed as a cursor",
            format!(
                "exp={exp}&sig={}",
                &shared::callback::seal(&ring(), &own, b"x")[..43]
            ),
        ),
    ];
    for (name, query) in &cases {
        let request = app.http.get(format!("{}{own}?{query}", app.stack.api()));
        let (status, code) = refusal(request).await;
        assert_eq!((status, code.as_str()), UNAUTHENTICATED, "{name}");
    }
    let other = app.http.get(format!(
        "{}/jobs/{completed}/events?{good}",
        app.stack.api()
    ));
    let (status, code) = refusal(other).await;
    assert_eq!((status, code.as_str()), UNAUTHENTICATED);
    let mut names: Vec<_> = cases.map(|(name, _)| name).into();
    names.push("link on another route");
    names
}

/// The control: the token itself is listened to on all three ways.
pub(super) async fn the_unspoilt_callback_token_is_accepted(app: &App, held: &str, callback: &str) {
    let [completes, uploads, fails] = ways(app, held, callback);
    for (request, code) in [
        (completes, Some("not_uploaded")),
        (uploads, None),
        (fails, None),
    ] {
        let (status, answered) = refusal(request).await;
        match code {
            Some(code) => assert_eq!((status, answered.as_str()), (409, code)),
            None => assert_eq!(status, 200, "{answered}"),
        }
    }
}
