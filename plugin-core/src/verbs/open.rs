//! Opening handles, and checking that they belong to the caller.

use server_core::{Error, Kind, Result, digest::Fingerprint};

use super::{Incoming, Served, ServedAsync, Verbs};
use crate::{
    context::Verb,
    handle::{Handle, Job},
};

/// The code of a handle that this service cannot read.
pub(crate) const UNREADABLE_HANDLE: &str = "UNREADABLE_HANDLE";

/// A handle that belongs to the caller, and the plugin that created it.
pub(crate) struct Opened {
    pub(crate) handle: Handle,
    pub(crate) served: ServedAsync,
    /// Identifies the job in this replica's memory. The idempotency key alone may name two jobs, in
    /// two accounts of a vendor.
    pub(super) fingerprint: Fingerprint,
}

impl Verbs {
    /// Opens a handle, and checks that it belongs to the caller.
    ///
    /// # Errors
    /// `InvalidArgument` with the code [`UNREADABLE_HANDLE`], or `PermissionDenied`.
    pub(crate) fn open(
        &self,
        incoming: &Incoming,
        verb: Verb,
        sealed: &[u8],
        task_type: Option<&str>,
    ) -> Result<Opened> {
        incoming.caller.check_verb(verb)?;
        let opened = self.read(sealed, task_type).inspect_err(|_| {
            self.shared.metrics.unreadable_handle(verb);
        })?;
        let task_type = opened.served.task_type.name;
        incoming.note(task_type, &opened.handle.execution, opened.handle.key);
        incoming.caller.check_task_type(task_type)?;
        if !opened.handle.owner.authorises(&incoming.caller) {
            let message = "this job belongs to another caller";
            return Err(Error::new(Kind::PermissionDenied, message));
        }
        Ok(opened)
    }

    fn read(&self, sealed: &[u8], task_type: Option<&str>) -> Result<Opened> {
        let with_jobs = |served: &Served| {
            served.asynchronous().map_err(|error| unreadable(error.message().to_owned()))
        };
        // Whatever the handle is, a synchronous task type has no jobs.
        task_type.and_then(|name| self.served.get(name)).map(with_jobs).transpose()?;
        // A longer one is not decrypted: no plugin here has made it.
        let sealed = Some(sealed).filter(|sealed| sealed.len() < self.handle_limit);
        let handle = sealed.and_then(|sealed| Handle::open(sealed, &self.shared.keys));
        let handle = handle.ok_or_else(|| {
            unreadable(
                "the job's handle cannot be read: it was created by another service, sealed with \
                 a key that is no longer configured, or altered"
                    .to_owned(),
            )
        })?;
        let other = &handle.task_type;
        if let Some(task_type) = task_type.filter(|task_type| task_type != other) {
            return Err(unreadable(format!(
                "the job's handle is for a {other} task, not {task_type}"
            )));
        }
        let served = self.served.get(other.as_str()).ok_or_else(|| {
            unreadable(format!("the job's handle is for a {other} task, which is not served here"))
        })?;
        let fingerprint = self.fingerprint(&handle);
        Ok(Opened { served: with_jobs(served)?, fingerprint, handle })
    }

    fn fingerprint(&self, handle: &Handle) -> Fingerprint {
        match &handle.job {
            Job::Created(meta) => self.shared.hash.fingerprint(&(handle.key.as_bytes(), meta)),
            Job::Refused { .. } => Fingerprint::from_bytes(*handle.key.as_bytes()),
        }
    }
}

fn unreadable(message: String) -> Error {
    Error::invalid(message).with_code(UNREADABLE_HANDLE)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        context::{Caller, IdempotencyKey},
        handle::{HANDLE_BYTES, Owner},
        verbs::tests::{Vendor, incoming},
    };

    #[tokio::test]
    async fn a_handle_longer_than_the_plugins_make_is_not_opened() {
        let (_, verbs) = Vendor::served();
        let handle = |meta: usize| Handle {
            task_type: "sql".to_owned(),
            owner: Owner::of(&Caller::anonymous()),
            created_at: Timestamp::now(),
            key: IdempotencyKey::random(),
            execution: Default::default(),
            job: Job::Created(vec![b'x'; meta]),
        };
        let incoming = incoming(Duration::from_secs(10));
        for (meta, code) in [(HANDLE_BYTES / 2, None), (HANDLE_BYTES, Some(UNREADABLE_HANDLE))] {
            let sealed = handle(meta).seal(&verbs.shared.keys, usize::MAX).unwrap();
            let opened = verbs.open(&incoming, Verb::Get, &sealed, None);
            assert_eq!(opened.as_ref().err().and_then(Error::code), code, "{meta}");
        }
    }
}
