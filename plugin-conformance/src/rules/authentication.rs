//! Rules about callers that a service does not know.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, header};
use plugin_core::testing::Dialect;
use secrecy::{ExposeSecret as _, SecretString};
use tonic::Code;

use crate::{
    discovery::list_path,
    grpc::{Ending, Messages},
    rest::RestBody,
    session::Session,
    target::{EXECUTE, Identity, http_error, job_path, method, successful},
    verdict::{Checked, ensure, failed, skipped},
};

fn token(session: &Session) -> Checked<&SecretString> {
    session.target.token().ok_or_else(|| skipped("needs --token or --token-file"))
}

/// The gRPC methods that need a token.
fn grpc_paths(session: &Session) -> Vec<String> {
    let mut paths = Vec::new();
    for dialect in session.grpc_dialects() {
        paths.push(list_path(dialect).to_owned());
        paths.extend(["CreateTask", "GetTask", "DeleteTask"].map(|name| method(dialect, name)));
        paths.extend((dialect == Dialect::Flyte1).then(|| EXECUTE.to_owned()));
    }
    paths
}

/// The REST operations that need a token.
fn rest_calls(session: &Session) -> Vec<(Method, String)> {
    let mut calls = vec![(Method::GET, list_path(Dialect::Rest).to_owned())];
    for served in session.types.iter().take(1) {
        let (path, job) = (served.path(), job_path(&served.path(), b"x"));
        calls.extend([(Method::PUT, path.clone()), (Method::POST, path)]);
        calls.extend([(Method::GET, job.clone()), (Method::DELETE, job)]);
    }
    calls.retain(|_| session.has_rest());
    calls
}

/// Expects every call of `identity` to be refused.
async fn expect_refused(session: &Session, identity: Identity<'_>, whose: &str) -> Checked {
    let (target, timeout) = (&session.target, session.target.timeout);
    for path in grpc_paths(session) {
        let messages = Messages::All(vec![Bytes::new()]);
        let reply = target.grpc_as(identity, &path, messages, Ending::Closed, timeout).await;
        match reply.and_then(successful) {
            Ok(_) => return Err(failed(format!("{path} is answered {whose}"))),
            Err(error) => ensure(error.is(&[Code::Unauthenticated], &[]), || {
                format!("{path} {whose}: {error}, not UNAUTHENTICATED")
            })?,
        }
    }
    for (method, path) in rest_calls(session) {
        let reply = target.rest_as(identity, method.clone(), &path, RestBody::Empty, timeout).await;
        let reply = reply.map_err(|error| failed(format!("{method} {path} {whose}: {error}")))?;
        ensure(reply.status == 401, || {
            format!("{method} {path} {whose}: {}, not 401", http_error(&reply))
        })?;
    }
    Ok(())
}

pub(super) async fn no_token_is_refused(session: &Session) -> Checked {
    token(session)?;
    expect_refused(session, Identity::Nobody, "without a token").await
}

pub(super) async fn forged_token_is_refused(session: &Session) -> Checked {
    for (name, forged) in forgeries(token(session)?) {
        let whose = format!("with {name}");
        expect_refused(session, Identity::Bearer(&forged), &whose).await?;
    }
    Ok(())
}

/// Tokens that nobody issued.
fn forgeries(token: &SecretString) -> Vec<(&'static str, SecretString)> {
    let token = token.expose_secret();
    let mut forgeries = vec![("a made-up token", "plugin-conformance".to_owned())];
    if let Some((signed, signature)) = token.rsplit_once('.')
        && let Some((_, claims)) = signed.split_once('.')
    {
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        bytes.iter_mut().for_each(|byte| *byte ^= 1);
        let other = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        forgeries.push(("the token under another signature", format!("{signed}.{other}")));
        let none = BASE64_URL_SAFE_NO_PAD.encode(br#"{"alg":"none","typ":"JWT"}"#);
        forgeries.push(("the token without a signature (alg none)", format!("{none}.{claims}.")));
    }
    forgeries.into_iter().map(|(name, token)| (name, SecretString::from(token))).collect()
}

/// RFC 9110 §15.5.2.
pub(super) async fn challenge_comes_with_401(session: &Session) -> Checked {
    token(session)?;
    if !session.has_rest() {
        return Err(skipped("needs REST"));
    }
    let (target, path) = (&session.target, list_path(Dialect::Rest));
    let (nobody, timeout) = (Identity::Nobody, target.timeout);
    let reply = target.rest_as(nobody, Method::GET, path, RestBody::Empty, timeout).await;
    let reply = reply.map_err(|error| failed(error.to_string()))?;
    if reply.status != 401 {
        return Err(skipped("it is not 401 (authentication/no-token-is-refused)"));
    }
    let challenge = reply.headers.contains_key(header::WWW_AUTHENTICATE);
    ensure(challenge, || format!("GET {path}: 401 without WWW-Authenticate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwt_is_forged_and_another_token_replaced() {
        let names = |token: &str| {
            let forged = forgeries(&SecretString::from(token));
            assert!(forged.iter().all(|(_, forged)| forged.expose_secret() != token));
            forged.len()
        };
        assert_eq!(names("opaque"), 1);
        assert_eq!(names("aGVhZGVy.Y2xhaW1z.c2lnbmF0dXJl"), 3);
    }
}
