//! Rules about what no answer may contain. They look back at all calls of the rules before them.

use crate::{
    session::Session,
    verdict::{Checked, failed, skipped},
    watch::Leak,
};

fn expect_none(session: &Session, leak: Leak) -> Checked {
    match &session.target.watch.findings(leak)[..] {
        [] => Ok(()),
        [one] => Err(failed(one.clone())),
        [first, rest @ ..] => Err(failed(format!("{first}, and {} more", rest.len()))),
    }
}

pub(super) async fn no_stack_trace(session: &Session) -> Checked {
    expect_none(session, Leak::Trace)
}

pub(super) async fn no_canary(session: &Session) -> Checked {
    if !session.target.watch.has_canaries() {
        return Err(skipped("needs a token or --canary-file"));
    }
    // What was counted is known at the end.
    let _ = session.target.admin("/metrics").await;
    expect_none(session, Leak::Canary)
}
