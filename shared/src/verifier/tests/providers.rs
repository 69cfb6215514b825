//! Tokens as identity providers write them, and what the operator says of them.

use super::*;

#[tokio::test]
async fn tokens_of_identity_providers_are_taken_as_they_come() {
    let pair = Pair::new(Algorithm::RS256, "a");
    let verifier = of(&[pair.jwk()]).await;
    let from = now();
    for changes in [
        json!({"exp": from + 4500, "ver": "2.0", "scp": "jobs.write", "role": null}),
        json!({"exp": from + 86_400, "aud": ["tutti", "https://tenant.example/userinfo"], "role": null}),
        json!({"role": "authenticated", "aal": "aal1", "exp": from + 3600}),
        json!({"role": "member"}),
        json!({"role": ["viewer"], "tenant": null, "email": 7, "jti": 7, "nbf": null, "iat": null}),
        json!({"role": {"name": "admin"}}),
        json!({"role": "ADMIN"}),
    ] {
        let mut said = claims();
        for (name, value) in changes.as_object().unwrap() {
            said[name] = value.clone();
        }
        let token = pair.token(&pair.header(), &said);
        let claims = verdict(&verifier, &token).await;
        let claims = claims.unwrap_or_else(|why| panic!("{changes}: {why}"));
        assert_eq!(
            (claims.role, claims.tenant),
            (Role::User, None),
            "{changes}"
        );
    }
}

#[tokio::test]
async fn a_long_token_of_the_issuer_is_not_looked_up_among_those_taken_back_here() {
    let pair = Pair::new(Algorithm::ES256, "a");
    let verifier = of(&[pair.jwk()]).await;
    let mut said = claims();
    (said["jti"], said["exp"]) = (json!("an-id"), json!(now() + 80_000));
    let token = pair.token(&pair.header(), &said);
    assert_eq!(verifier.admit(&token).await.unwrap().jti, None);
}

#[tokio::test]
async fn the_role_comes_from_the_claim_that_the_operator_names() {
    let pair = Pair::new(Algorithm::ES256, "a");
    for (claim, said, role) in [
        ("roles", json!({"roles": ["worker"]}), Role::Worker),
        (
            "roles",
            json!({"roles": ["user", "admin"], "role": "worker"}),
            Role::Admin,
        ),
        ("roles", json!({"role": "admin"}), Role::User),
        (
            "realm_access.roles",
            json!({"realm_access": {"roles": ["x", "admin"]}}),
            Role::Admin,
        ),
        (
            "realm_access.roles",
            json!({"realm_access": "admin"}),
            Role::User,
        ),
        (
            "https://a.example/role",
            json!({"https://a.example/role": "admin"}),
            Role::Admin,
        ),
        (
            "a.b",
            json!({"a.b": "admin", "a": {"b": "worker"}}),
            Role::Admin,
        ),
        ("role", json!({"role": "not an admin"}), Role::User),
    ] {
        let verifier = with(&[pair.jwk()], &[("JWT_ROLE_CLAIM", claim)]).await;
        let mut all = json!({"iss": ISSUER, "aud": "tutti", "sub": "zoe", "exp": now() + 600});
        for (name, value) in said.as_object().unwrap() {
            all[name] = value.clone();
        }
        let token = pair.token(&pair.header(), &all);
        let found = verdict(&verifier, &token).await.unwrap().role;
        assert_eq!(found, role, "{claim} of {said}");
    }
}

#[tokio::test]
async fn the_operator_bounds_the_life_of_the_tokens_of_the_issuer() {
    let pair = Pair::new(Algorithm::ES256, "a");
    let verifier = with(&[pair.jwk()], &[("JWT_MAX_LIFETIME", "600")]).await;
    for (typ, life, verdict_is) in [
        ("JWT", 600, Ok(())),
        ("JWT", 700, refused(Refused::TooLongLived(600))),
        ("at+jwt", 700, refused(Refused::TooLongLived(600))),
    ] {
        let (mut header, mut said) = (pair.header(), claims());
        header.typ = Some(typ.to_owned());
        (said["iat"], said["exp"]) = (json!(now()), json!(now() + life));
        let judged = verdict(&verifier, &pair.token(&header, &said)).await;
        assert_eq!(judged.map(drop), verdict_is, "{typ} {life}");
    }
}
