use std::time::Duration;

use super::*;
use crate::{testing::context, verbs::tests::Vendor};

fn refused(kind: Kind) -> Error {
    Error::new(kind, "Access Denied: Dataset acme:hr").with_code("accessDenied").upstream()
}

/// The errors that mean that the vendor does not know, or not allow, who is calling.
fn about_credentials() -> [Error; 4] {
    [
        refused(Kind::Unauthenticated),
        refused(Kind::PermissionDenied),
        Error::new(Kind::FailedPrecondition, "no access token was issued").about_credentials(),
        Error::invalid("the key is no key").about_credentials(),
    ]
}

#[tokio::test]
async fn refused_credentials_of_the_service_are_an_outage_with_the_vendors_message() {
    let (_, verbs) = Vendor::served();
    let cx = context(Duration::from_secs(1));
    for error in about_credentials() {
        let outage = verbs.refusal(cx.task_type(), &cx, error.clone()).unwrap_err();
        assert_eq!((outage.kind(), outage.code()), (Kind::Unavailable, error.code()), "{error:?}");
        assert!(outage.message().ends_with(error.message()), "{outage}");
    }
}

#[tokio::test]
async fn refused_credentials_of_the_author_are_final() {
    let (_, verbs) = Vendor::served();
    let cx = context(Duration::from_secs(1));
    cx.0.secrets.chosen.note();
    for error in about_credentials() {
        let refusal = verbs.refusal(cx.task_type(), &cx, error.clone()).unwrap();
        assert_eq!((refusal.kind(), refusal.message()), (error.kind(), error.message()));
    }
}

#[tokio::test]
async fn other_errors_are_what_their_kind_says() {
    let (_, verbs) = Vendor::served();
    let cx = context(Duration::from_secs(1));
    for (error, is_final) in [
        (Error::invalid("x"), true),
        (Error::new(Kind::FailedPrecondition, "x"), true),
        (refused(Kind::NotFound), true),
        (refused(Kind::AlreadyExists), true),
        (refused(Kind::ResourceExhausted), false),
        (Error::not_found("x"), false),
        (Error::new(Kind::PermissionDenied, "the caller's rule"), false),
        (Error::unavailable("x").about_credentials(), false),
        (Error::internal("x").about_credentials(), false),
    ] {
        let (kind, message) = (error.kind(), error.message().to_owned());
        let outcome = verbs.refusal(cx.task_type(), &cx, error);
        assert_eq!(outcome.is_ok(), is_final, "{outcome:?}");
        let error = outcome.unwrap_or_else(|error| error);
        assert_eq!((error.kind(), error.message()), (kind, &*message), "unchanged");
    }
}
