//! A vendor, or a proxy before it, may echo what it was sent: our own secrets are masked in what it says.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, header};
use memchr::memmem;
use secrecy::{ExposeSecret as _, SecretString};

/// What stands for a secret.
const MASK: &[u8] = b"***";
/// Shorter values are no secrets, and would be found in any text.
const SHORTEST: usize = 6;
/// The fields of forms with secrets (RFC 6749, 7523 and 8693).
const SECRET_FIELDS: [&str; 7] = [
    "assertion",
    "client_assertion",
    "client_secret",
    "password",
    "refresh_token",
    "subject_token",
    "actor_token",
];

/// The secrets of a request.
#[derive(Default)]
pub(super) struct Secrets(Vec<Box<[u8]>>);

impl Secrets {
    /// Those in the headers that sign a request.
    pub(super) fn of_headers(headers: &HeaderMap) -> Self {
        let mut this = Self::default();
        for (name, value) in headers {
            if name == header::AUTHORIZATION {
                this.add_authorization(value.as_bytes());
            } else if value.is_sensitive() {
                this.add(value.as_bytes());
            }
        }
        this
    }

    /// Adds those in the fields of a form.
    pub(super) fn add_form(&mut self, body: &[u8]) {
        for (name, value) in url::form_urlencoded::parse(body) {
            if SECRET_FIELDS.contains(&&*name) {
                self.add(value.as_bytes());
            }
        }
    }

    /// Adds one that no header shows, but from which one was made.
    pub(super) fn add_secret(&mut self, secret: &SecretString) {
        self.add(secret.expose_secret().as_bytes());
    }

    fn add_authorization(&mut self, value: &[u8]) {
        let (scheme, token) = match memchr::memchr(b' ', value) {
            Some(at) => (&value[..at], &value[at + 1..]),
            None => (&[][..], value),
        };
        self.add(token);
        if scheme.eq_ignore_ascii_case(b"basic")
            && let Ok(pair) = STANDARD.decode(token)
            && let Some(at) = memchr::memchr(b':', &pair)
        {
            self.add(&pair[at + 1..]);
        }
    }

    fn add(&mut self, secret: &[u8]) {
        if secret.len() >= SHORTEST {
            self.0.push(secret.into());
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// `text` without the secrets.
    pub(super) fn masked(&self, text: Bytes) -> Bytes {
        self.0.iter().fold(text, |text, secret| mask(text, secret))
    }
}

fn mask(text: Bytes, secret: &[u8]) -> Bytes {
    let mut found = memmem::find_iter(&text, secret).peekable();
    if found.peek().is_none() {
        return text;
    }
    let mut masked = Vec::with_capacity(text.len());
    let mut rest = 0;
    for at in found {
        masked.extend_from_slice(&text[rest..at]);
        masked.extend_from_slice(MASK);
        rest = at + secret.len();
    }
    masked.extend_from_slice(&text[rest..]);
    masked.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_are() {
        let headers = HeaderMap::from_iter([(
            header::AUTHORIZATION,
            "Basic dXNlcjpoZWxsby1zZWNyZXQ=".parse().unwrap(),
        )]);
        let mut secrets = Secrets::of_headers(&headers);
        secrets.add_form(b"grant_type=password&client_secret=a%2Bb%2Bc%2Bd&password=abc");
        let text = "dXNlcjpoZWxsby1zZWNyZXQ=, hello-secret hello-secret a+b+c+d password abc";
        let masked = secrets.masked(text.into());
        assert_eq!(masked, "***, *** *** *** password abc");
        assert_eq!(secrets.masked(Bytes::from_static(b"none")), "none");
    }
}
