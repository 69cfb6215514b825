//! What no log may hold: every stack of these tests looks through its own when it ends.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use local::Stack;

/// Passwords that the tests of signing in use, and how a hash begins.
pub(crate) const PASSWORDS: [&str; 3] = ["correct horse battery", "another password", "$argon2id$"];

/// Looks through a stack's log when it is dropped, even after the file was removed.
pub(crate) struct LogGuard {
    log: File,
    secrets: Vec<String>,
}

impl LogGuard {
    pub(crate) fn of(stack: &Stack) -> Self {
        let mut secrets = vec![stack.secret().to_owned()];
        let password = url::Url::parse(stack.redis_url()).unwrap();
        secrets.extend(password.password().map(str::to_owned));
        Self {
            log: open(stack.logs()),
            secrets,
        }
    }
}

fn open(log: &Path) -> File {
    File::open(log).expect("a running stack has a log")
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut text = String::new();
        self.log.seek(SeekFrom::Start(0)).unwrap();
        self.log.read_to_string(&mut text).unwrap();
        let told = text
            .lines()
            .find_map(|line| Some((told(line, &self.secrets)?, line)));
        if let Some((what, line)) = told {
            panic!("the log holds {what}: {line}");
        }
    }
}

/// The name of the first secret in the line.
fn told(line: &str, secrets: &[String]) -> Option<&'static str> {
    if secrets.iter().any(|secret| line.contains(secret.as_str())) {
        return Some("a configured secret");
    }
    if PASSWORDS.iter().any(|password| line.contains(password)) {
        return Some("a password");
    }
    if line.contains("whsec_") {
        return Some("the secret of a webhook");
    }
    if line.contains("sig=") {
        return Some("a signed link");
    }
    holds_token(line).then_some("a token")
}

/// Whether a JWT stands in the line: two JSON objects in base64url and a signature, with dots between.
fn holds_token(line: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    line.split(|c| !word(c)).any(|word| {
        let parts: Vec<&str> = word.rsplitn(3, '.').collect();
        matches!(parts[..], [signature, claims, header]
            if signature.len() >= 20 && claims.starts_with("eyJ") && header.contains("eyJ"))
    })
}

#[test]
fn a_line_that_tells_a_secret_is_found() {
    let secrets = ["s3cret".to_owned()];
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLWl0LWFsbA";
    assert_eq!(
        told(&format!("\"/hooks/cog/{token}\""), &secrets),
        Some("a token")
    );
    assert_eq!(
        told("redis://:s3cret@host", &secrets),
        Some("a configured secret")
    );
    assert_eq!(
        told("/jobs/1/audio?exp=1&sig=abc", &secrets),
        Some("a signed link")
    );
    assert_eq!(
        told("login with correct horse battery", &secrets),
        Some("a password")
    );
    assert_eq!(
        told("signed with whsec_MfKQ9r8G", &secrets),
        Some("the secret of a webhook")
    );
    assert_eq!(told("functions 1.2.3 at 127.0.0.1", &secrets), None);
}
