//! Keys that sign requests.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// Keys that sign requests.
pub(super) struct Keys {
    /// The id of the access key, which is no secret.
    pub(super) id: String,
    pub(super) secret: SecretString,
    /// The token of temporary keys.
    pub(super) session: Option<SecretString>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Keys {
    /// The part that cannot be one of AWS's: it is empty, or no header can carry it.
    pub(super) fn unusable(&self) -> Option<Part> {
        let is_text = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let session = self.session.as_ref().map(|token| token.expose_secret());
        match () {
            () if !is_text(&self.id) => Some(Part::Id),
            () if self.secret.expose_secret().is_empty() => Some(Part::Secret),
            () if !session.is_none_or(is_text) => Some(Part::Session),
            () => None,
        }
    }
}

/// What is wrong with a part that is unusable.
pub(super) const UNUSABLE: &str = "is empty, or has a space, a line break or a letter beyond ASCII";

/// A part of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Id,
    Secret,
    Session,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "the id of the access key",
            Self::Secret => "the secret access key",
            Self::Session => "the session token",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_header_can_carry_is_no_key() {
        for (id, secret, session, unusable) in [
            ("AKIAIOSFODNN7EXAMPLE", "s", None, None),
            ("ASIA", "s", Some("t/+="), None),
            ("", "s", None, Some(Part::Id)),
            ("AKIA\r\nX: y", "s", None, Some(Part::Id)),
            ("AKIA \u{e9}", "s", None, Some(Part::Id)),
            ("AKIA", "", None, Some(Part::Secret)),
            ("AKIA", "s", Some("a\nb"), Some(Part::Session)),
            ("AKIA", "s", Some(""), Some(Part::Session)),
        ] {
            let session = session.map(SecretString::from);
            let keys = Keys { id: id.to_owned(), secret: secret.into(), session };
            assert_eq!(keys.unusable(), unusable, "{id:?}");
        }
    }
}
