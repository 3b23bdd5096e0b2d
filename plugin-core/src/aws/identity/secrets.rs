//! Keys in secrets: the author's, sent with the task, or the operator's.

use secrecy::{ExposeSecret as _, SecretString};
use server_core::{Error, Kind, Result, digest::Fingerprint};

use crate::{
    aws::keys::{Keys, Part, UNUSABLE},
    context::Context,
};

const ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const SESSION: &str = "aws_session_token";

/// The keys in secrets, if there are any. All parts come from one source: an author's key never gets the
/// operator's session, nor the other way round.
///
/// # Errors
/// `FailedPrecondition` when only one half is found, when one cannot be a key, or the operator forbids secrets in requests.
pub(super) async fn keys(cx: &Context) -> Result<Option<Keys>> {
    let (id, secret) = (cx.connection_secret(ID)?, cx.connection_secret(SECRET)?);
    if id.is_some() || secret.is_some() {
        return pair(id, secret, cx.connection_secret(SESSION)?).map(Some);
    }
    let (id, secret) = (cx.find_secret(ID).await?, cx.find_secret(SECRET).await?);
    if id.is_none() && secret.is_none() {
        return Ok(None);
    }
    pair(id, secret, cx.find_secret(SESSION).await?).map(Some)
}

/// Whether the task's author sent keys, or a part of them.
pub(super) fn are_authors(cx: &Context) -> bool {
    [ID, SECRET].into_iter().any(|name| !matches!(cx.connection_secret(name), Ok(None)))
}

/// Lets the next call read changed secrets.
pub(super) fn forget(cx: &Context) {
    [ID, SECRET, SESSION].into_iter().for_each(|name| cx.forget_secret(name));
}

fn pair(
    id: Option<SecretString>,
    secret: Option<SecretString>,
    session: Option<SecretString>,
) -> Result<Keys> {
    let incomplete = |there: &str, missing: &str| {
        let message = format!("secret {missing} not found, although there is a secret {there}");
        Error::new(Kind::FailedPrecondition, message).about_credentials()
    };
    let id = id.ok_or_else(|| incomplete(SECRET, ID))?;
    let secret = secret.ok_or_else(|| incomplete(ID, SECRET))?;
    let session = session.filter(|token| !token.expose_secret().is_empty());
    let keys = Keys { id: id.expose_secret().to_owned(), secret, session };
    let Some(part) = keys.unusable() else { return Ok(keys) };
    let name = match part {
        Part::Id => ID,
        Part::Secret => SECRET,
        Part::Session => SESSION,
    };
    let message = format!("secret {name} {UNUSABLE}");
    Err(Error::new(Kind::FailedPrecondition, message).about_credentials())
}

impl Keys {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let session = self.session.as_ref().map_or("", |token| token.expose_secret());
        Fingerprint::of(&[&self.id, self.secret.expose_secret(), session])
    }
}
