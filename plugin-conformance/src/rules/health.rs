//! Rules about probes and metrics.

use bytes::Bytes;

use crate::{
    grpc::{Ending, Messages},
    rest::RestReply,
    session::Session,
    status::quoted,
    target::{http_error, successful},
    verdict::{Checked, ensure, failed, skipped},
};

const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// A HealthCheckResponse that says SERVING.
const SERVING: &[u8] = &[8, 1];

pub(super) async fn grpc_says_serving(session: &Session) -> Checked {
    if session.grpc_dialects().next().is_none() {
        return Err(skipped("needs gRPC"));
    }
    let messages = Messages::All(vec![Bytes::new()]);
    let reply = session.target.grpc(HEALTH, messages, Ending::Closed).await;
    let messages = reply.and_then(successful).map_err(|error| failed(error.to_string()))?;
    ensure(messages.first().is_some_and(|message| message == SERVING), || {
        "the answer is not SERVING".to_owned()
    })
}

async fn admin(session: &Session, path: &str) -> Checked<RestReply> {
    let reply = session.target.admin(path).await.ok_or_else(|| skipped("needs --admin-url"))?;
    let reply = reply.map_err(|error| failed(format!("{path}: {error}")))?;
    match reply.status {
        200 => Ok(reply),
        _ => Err(failed(format!("{path}: {}", http_error(&reply)))),
    }
}

pub(super) async fn readyz_is_ok(session: &Session) -> Checked {
    admin(session, "/readyz").await.map(drop)
}

pub(super) async fn metrics_can_be_read(session: &Session) -> Checked {
    let reply = admin(session, "/metrics").await?;
    let text = std::str::from_utf8(&reply.body);
    let text = text.map_err(|_| failed("/metrics: not UTF-8"))?;
    let mut samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    ensure(samples.clone().next().is_some(), || "/metrics: no sample".to_owned())?;
    match samples.find(|line| !is_sample(line)) {
        None => Ok(()),
        Some(line) => Err(failed(format!("/metrics: {} is no sample", quoted(line)))),
    }
}

/// Whether `line` is `name{labels} value [time]`, maybe with an exemplar.
fn is_sample(line: &str) -> bool {
    let end = line.find(|letter: char| !(letter.is_ascii_alphanumeric() || "_:".contains(letter)));
    let Some(end) = end.filter(|end| *end > 0) else { return false };
    if line.starts_with(|first: char| first.is_ascii_digit()) {
        return false;
    }
    let rest = &line[end..];
    let values = match rest.strip_prefix('{') {
        Some(labels) => labels_end(labels).map(|end| &labels[end..]),
        None => Some(rest),
    };
    let Some(values) = values.and_then(|values| values.strip_prefix(' ')) else { return false };
    let values = values.split(" # ").next().unwrap_or_default();
    let mut values = values.split(' ');
    let is_number = |text: &str| text.parse::<f64>().is_ok();
    values.next().is_some_and(is_number) && values.all(is_number)
}

/// Where labels end, after their brace; quotes may contain braces.
fn labels_end(labels: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in labels.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            '}' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_told_from_other_text() {
        for sample in [
            "a 1",
            "a_total{b=\"c\"} 1.5e3",
            "a{b=\"}\\\"\"} +Inf 1700000000",
            "a_bucket{le=\"1\"} 2 # {id=\"x\"} 0.5",
        ] {
            assert!(is_sample(sample), "{sample}");
        }
        for other in ["", "a", "a{b=\"c\" 1", "1a 1", "a one", "<html>", "a{} x"] {
            assert!(!is_sample(other), "{other}");
        }
    }
}
