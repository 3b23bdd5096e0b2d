//! What the verbs' tests stand on.

use super::*;
use crate::{run::ServiceInfo, secrets::SecretArgs};

pub(super) fn shared() -> Shared {
    let sources = SecretArgs {
        secret_prefix: "_NONE_".to_owned(),
        secrets_dir: "/nowhere".into(),
        forbid_connection_secrets: false,
    };
    Shared {
        keys: HandleKeys::repeated(&[7]),
        secrets: Arc::new(SecretReader::new(sources)),
        metrics: Arc::new(Metrics::new(ServiceInfo { name: "test", version: "0" })),
        tasks: TaskTracker::new(),
        request_timeout: Duration::from_secs(30),
        refused_grace: Duration::from_secs(600),
        poll_window: Duration::from_millis(50),
    }
}

/// A call that has `time` left.
pub(super) fn incoming(time: Duration) -> Incoming {
    let mut extensions = http::Extensions::new();
    extensions.insert(Caller::anonymous());
    extensions.insert(Deadline::after(time));
    Incoming::of(&extensions).unwrap()
}
