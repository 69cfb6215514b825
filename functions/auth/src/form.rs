//! Reads the bodies of this function.

use serde_json::{Map, Value};
use shared::http::Form as Fields;
use shared::identity::{Email, PASSWORD_MAX, PASSWORD_MIN, Person, Username};
use shared::identity::{LIFE_DEFAULT, LIFE_RANGE, NewServiceToken};
use shared::keyring::{MAX_TOKEN, Role};
use shared::number;
use shared::problem::Problem;

/// The longest name of somebody that is looked at, in characters.
const NAME_MAX: usize = 256;
/// The longest `sub` or `tenant`, in characters: a token has room for 256 bytes of each.
const CLAIM_MAX: usize = 64;

/// What somebody signs in with.
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// What an admin changes of a user; what is left out stays.
pub(crate) struct Change {
    pub(crate) disabled: Option<bool>,
    pub(crate) password: Option<String>,
    pub(crate) role: Option<Role>,
}

pub(crate) struct Form(Fields);

impl Form {
    /// `{emailOrUsername, password}`
    pub(crate) fn credentials(body: Map<String, Value>) -> Result<Credentials, Problem> {
        let mut form = Self(Fields::new(body));
        let name = form.required("emailOrUsername", NAME_MAX);
        let password = form.required("password", PASSWORD_MAX);
        form.0
            .finish(name.zip(password))
            .map(|(name, password)| Credentials { name, password })
    }

    /// `{refreshToken}`
    pub(crate) fn refresh_token(body: Map<String, Value>) -> Result<String, Problem> {
        let mut form = Self(Fields::new(body));
        let token = form.required("refreshToken", MAX_TOKEN);
        form.0.finish(token)
    }

    /// `{email, username?, password, role?, tenant?}`: the user and the password.
    pub(crate) fn person(body: Map<String, Value>) -> Result<(Person, String), Problem> {
        let mut form = Self(Fields::new(body));
        let email = form.email();
        let username = form.username();
        let password = form.required("password", PASSWORD_MAX);
        form.long_enough(password.as_deref());
        let role = form.role().unwrap_or_default();
        let tenant = form.text("tenant", CLAIM_MAX);
        let (email, password) = form.0.finish(email.zip(password))?;
        let person = Person {
            email,
            username,
            role,
            tenant,
        };
        Ok((person, password))
    }

    /// `{disabled?, password?, role?}`
    pub(crate) fn change(body: Map<String, Value>) -> Result<Change, Problem> {
        let mut form = Self(Fields::new(body));
        let disabled = form.0.switch("disabled");
        let password = form.text("password", PASSWORD_MAX);
        form.long_enough(password.as_deref());
        let role = form.role();
        form.0.finish(Some(Change {
            disabled,
            password,
            role,
        }))
    }

    /// `{sub, role?, expiresIn?}`
    pub(crate) fn service_token(body: Map<String, Value>) -> Result<NewServiceToken, Problem> {
        let mut form = Self(Fields::new(body));
        let sub = form.required("sub", CLAIM_MAX);
        let role = form.role().unwrap_or(Role::Orchestrator);
        if !role.is_service() {
            let detail = "A service is an orchestrator, system or worker.";
            form.0.refuse("role", "not_allowed", detail);
        }
        let expires_in = form.life();
        form.0.finish(sub.map(|sub| NewServiceToken {
            sub,
            role,
            expires_in,
        }))
    }

    /// 1 to `most` characters, if it is there.
    fn text(&mut self, name: &str, most: usize) -> Option<String> {
        match self.0.take(name)? {
            Value::String(text) if text.is_empty() => {
                self.0.refuse(name, "too_short", "This is empty.");
            }
            Value::String(text) if text.chars().count() > most => {
                let detail = format!("This has over {most} characters.");
                self.0.refuse(name, "too_long", detail);
            }
            Value::String(text) => return Some(text),
            _ => self.0.refuse(name, "wrong_type", "This must be a string."),
        }
        None
    }

    fn required(&mut self, name: &str, most: usize) -> Option<String> {
        if self.0.lacks(name) {
            self.0.refuse(name, "required", "This field is missing.");
        }
        self.text(name, most)
    }

    fn email(&mut self) -> Option<Email> {
        let text = self.required("email", NAME_MAX)?;
        let email = Email::parse(&text);
        if email.is_none() {
            self.0
                .refuse("email", "malformed", "This is no e-mail address.");
        }
        email
    }

    fn username(&mut self) -> Option<Username> {
        let text = self.text("username", NAME_MAX)?;
        let username = Username::parse(&text);
        if username.is_none() {
            let detail = "A username is 1 to 64 letters, digits, '.', '_' or '-'.";
            self.0.refuse("username", "malformed", detail);
        }
        username
    }

    fn long_enough(&mut self, password: Option<&str>) {
        if password.is_some_and(|password| password.chars().count() < PASSWORD_MIN) {
            let detail = format!("A password has at least {PASSWORD_MIN} characters.");
            self.0.refuse("password", "too_short", detail);
        }
    }

    fn role(&mut self) -> Option<Role> {
        let text = self.text("role", NAME_MAX)?;
        let role = text.parse();
        if role.is_err() {
            let detail = "A role is user, admin, orchestrator, system or worker.";
            self.0.refuse("role", "unknown_value", detail);
        }
        role.ok()
    }

    fn life(&mut self) -> u64 {
        let default = LIFE_DEFAULT.as_secs();
        let Some(value) = self.0.take("expiresIn") else {
            return default;
        };
        match number::of(&value) {
            Some(seconds) if LIFE_RANGE.contains(&seconds) => return seconds,
            None if !value.is_number() => {
                let detail = "This must be a number of seconds.";
                self.0.refuse("expiresIn", "wrong_type", detail);
            }
            _ => {
                let (least, most) = LIFE_RANGE.into_inner();
                let detail = format!("This must be a whole number from {least} to {most} seconds.");
                self.0.refuse("expiresIn", "out_of_range", detail);
            }
        }
        default
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults<T>(result: Result<T, Problem>) -> Vec<(String, String)> {
        let problem = result.err().expect("a refusal");
        let errors = problem.errors().iter();
        errors
            .map(|e| (e.pointer.clone(), e.code.to_string()))
            .collect()
    }

    fn map(body: Value) -> Map<String, Value> {
        serde_json::from_value(body).unwrap()
    }

    fn are(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = pairs
            .iter()
            .map(|(p, c)| ((*p).to_owned(), (*c).to_owned()));
        owned.collect()
    }

    #[test]
    fn all_that_is_wrong_with_a_user_is_said_at_once() {
        let body = json!({"email": "nobody", "username": "a b", "password": "short", "role": "king", "tenant": 7, "a/b": 1});
        assert_eq!(
            faults(Form::person(map(body))),
            are(&[
                ("/email", "malformed"),
                ("/username", "malformed"),
                ("/password", "too_short"),
                ("/role", "unknown_value"),
                ("/tenant", "wrong_type"),
                ("/a~1b", "unknown_field"),
            ])
        );
        assert_eq!(
            faults(Form::person(map(json!({"email": null})))),
            are(&[("/email", "required"), ("/password", "required")])
        );
    }

    #[test]
    fn a_password_has_12_to_1024_characters() {
        let with = |password: String| Form::change(map(json!({"password": password})));
        for fits in [12, 1024] {
            assert!(with("é".repeat(fits)).is_ok());
        }
        let pointer = "/password";
        assert_eq!(faults(with("x".repeat(11))), are(&[(pointer, "too_short")]));
        assert_eq!(
            faults(with("x".repeat(1025))),
            are(&[(pointer, "too_long")])
        );
        let long = json!({"emailOrUsername": "a", "password": "x".repeat(1025)});
        assert_eq!(
            faults(Form::credentials(map(long))),
            are(&[(pointer, "too_long")])
        );
        let one = json!({"emailOrUsername": "a", "password": "x"});
        assert!(Form::credentials(map(one)).is_ok());
    }

    #[test]
    fn a_service_token_is_for_a_service_and_for_a_while() {
        let asked = Form::service_token(map(json!({"sub": "gpu-1"}))).unwrap();
        assert_eq!(asked.role, Role::Orchestrator);
        assert_eq!(asked.expires_in, 365 * 24 * 3600);
        for (field, value, code) in [
            ("role", json!("admin"), "not_allowed"),
            ("role", json!("user"), "not_allowed"),
            ("role", json!("king"), "unknown_value"),
            ("expiresIn", json!(59), "out_of_range"),
            ("expiresIn", json!(315_360_001), "out_of_range"),
            ("expiresIn", json!(60.5), "out_of_range"),
            ("expiresIn", json!(-60), "out_of_range"),
            ("expiresIn", json!("60"), "wrong_type"),
        ] {
            let body = json!({"sub": "gpu-1", field: value});
            let pointer = format!("/{field}");
            let expected = are(&[(pointer.as_str(), code)]);
            assert_eq!(
                faults(Form::service_token(map(body.clone()))),
                expected,
                "{body}"
            );
        }
    }
}
