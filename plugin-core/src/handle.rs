//! Handles: they identify a job, and are sealed so that only their owner can use them.
//!
//! `resource_meta` (gRPC) and `job_id` (REST, base64url) are the same bytes:
//! `0x01 ‖ key id (4) ‖ nonce (12) ‖ AES-256-GCM-SIV(contents) ‖ tag (16)`. SIV makes random nonces of
//! many replicas safe. Handles do not expire: a job that runs for weeks must stay pollable.

mod job_id;
mod keys;

use std::sync::Arc;

use jiff::Timestamp;
use prost::Message;
use server_core::{Error, Result, text::cut};

pub(crate) use self::{
    job_id::{from_job_id, to_job_id},
    keys::HandleKeys,
};
use crate::context::{Caller, Execution, IdempotencyKey, Role};

/// The limit on a handle, unless its plugin has another. Flyte 1 stores handles in a Kubernetes object and logs
/// them.
pub(crate) const HANDLE_BYTES: usize = 1024;
/// The limit on the vendor's message in the handle of a refused job, in bytes.
const MAX_MESSAGE: usize = 440;
/// The limit on each of Flyte's names and on an error code, in bytes. They are for logs and labels only.
const MAX_NAME: usize = 40;
/// The limit on a namespace, in bytes: Kubernetes' own, because secrets are looked up by namespace.
const MAX_NAMESPACE: usize = 63;

/// The contents of a handle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Handle {
    pub(crate) task_type: String,
    pub(crate) owner: Owner,
    pub(crate) created_at: Timestamp,
    pub(crate) key: IdempotencyKey,
    pub(crate) execution: Arc<Execution>,
    pub(crate) job: Job,
}

/// The job of a handle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Job {
    /// The vendor accepted it: the plugin's `Meta` as JSON.
    Created(Vec<u8>),
    /// It was refused permanently; a get reports it as failed.
    Refused { code: Option<String>, message: String },
}

/// The owner of a handle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Owner {
    issuer: String,
    subject: String,
    pub(crate) role: Role,
}

impl Owner {
    pub(crate) fn of(caller: &Caller) -> Self {
        Self {
            issuer: caller.issuer().to_owned(),
            subject: caller.subject_hash().to_owned(),
            role: caller.role(),
        }
    }

    /// Whether `caller` may use the handle.
    ///
    /// A job created while authentication was off belongs to Flyte once it is turned on.
    pub(crate) fn authorises(&self, caller: &Caller) -> bool {
        match caller.role() {
            Role::Admin | Role::Anonymous => true,
            Role::Propeller if self.role == Role::Anonymous => true,
            Role::Propeller | Role::User => {
                self.role == caller.role()
                    && self.issuer == caller.issuer()
                    && self.subject == caller.subject_hash()
            }
        }
    }
}

/// The wire form of [`Handle`]. Fields may be added, never renumbered: old handles must open.
#[derive(Clone, PartialEq, Message)]
struct Contents {
    #[prost(string, tag = "1")]
    task_type: String,
    #[prost(bytes = "vec", optional, tag = "2")]
    meta: Option<Vec<u8>>,
    #[prost(message, optional, tag = "3")]
    refusal: Option<Refusal>,
    #[prost(string, tag = "4")]
    issuer: String,
    #[prost(string, tag = "5")]
    subject: String,
    #[prost(int32, tag = "6")]
    role: i32,
    #[prost(int64, tag = "7")]
    created_at_ms: i64,
    #[prost(bytes = "vec", tag = "8")]
    key: Vec<u8>,
    #[prost(string, tag = "9")]
    project: String,
    #[prost(string, tag = "10")]
    domain: String,
    #[prost(string, tag = "11")]
    execution: String,
    #[prost(string, tag = "12")]
    node: String,
    #[prost(uint32, tag = "13")]
    attempt: u32,
    #[prost(string, tag = "14")]
    namespace: String,
    #[prost(string, tag = "15")]
    task: String,
}

#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(string, optional, tag = "1")]
    code: Option<String>,
    #[prost(string, tag = "2")]
    message: String,
}

impl Handle {
    /// The job of `error`, a permanent refusal.
    pub(crate) fn refusal(error: &Error) -> Job {
        Job::Refused {
            code: error.code().map(|code| cut(code, MAX_NAME).into_owned()),
            message: cut(error.message(), MAX_MESSAGE).into_owned(),
        }
    }

    /// A handle of less than `limit` bytes. Flyte's names are left out if there is no room for them: only logs show
    /// them.
    ///
    /// # Errors
    /// `Internal` when it is too large all the same, which cannot be with a `Meta` of
    /// [`MAX_META_BYTES`](crate::context::MAX_META_BYTES).
    pub(crate) fn seal(&self, keys: &HandleKeys, limit: usize) -> Result<Vec<u8>> {
        let sealed = keys.seal(Contents::of(self, MAX_NAME).encode_to_vec())?;
        if sealed.len() < limit {
            return Ok(sealed);
        }
        let sealed = keys.seal(Contents::of(self, 0).encode_to_vec())?;
        if sealed.len() < limit {
            return Ok(sealed);
        }
        let size = sealed.len();
        Err(Error::internal(format!(
            "the handle has {size} bytes, which is not under {limit}: the plugin's Meta is too large"
        )))
    }

    /// `None` if no key opens `sealed`, or its contents are invalid.
    pub(crate) fn open(sealed: &[u8], keys: &HandleKeys) -> Option<Self> {
        let contents = keys.open(sealed)?;
        Contents::decode(contents.as_slice()).ok()?.read()
    }
}

impl Contents {
    /// With Flyte's names cut to `max_name` bytes; none at zero.
    fn of(handle: &Handle, max_name: usize) -> Self {
        let (meta, refusal) = match &handle.job {
            Job::Created(meta) => (Some(meta.clone()), None),
            Job::Refused { code, message } => {
                (None, Some(Refusal { code: code.clone(), message: message.clone() }))
            }
        };
        let name = |name: &str| match max_name {
            0 => String::new(),
            max => cut(name, max).into_owned(),
        };
        let execution = &handle.execution;
        Self {
            task_type: handle.task_type.clone(),
            meta,
            refusal,
            issuer: handle.owner.issuer.clone(),
            subject: handle.owner.subject.clone(),
            role: role_number(handle.owner.role),
            created_at_ms: handle.created_at.as_millisecond(),
            key: handle.key.as_bytes().to_vec(),
            project: name(&execution.project),
            domain: name(&execution.domain),
            execution: name(&execution.name),
            node: name(&execution.node),
            attempt: execution.attempt,
            namespace: cut(&execution.namespace, MAX_NAMESPACE).into_owned(),
            task: name(&execution.task),
        }
    }

    fn read(self) -> Option<Handle> {
        let job = match (self.meta, self.refusal) {
            (Some(meta), None) => Job::Created(meta),
            (None, Some(refusal)) => Job::Refused { code: refusal.code, message: refusal.message },
            _ => return None,
        };
        let role = role_of(self.role)?;
        Some(Handle {
            task_type: self.task_type,
            owner: Owner { issuer: self.issuer, subject: self.subject, role },
            created_at: Timestamp::from_millisecond(self.created_at_ms).ok()?,
            key: IdempotencyKey::from_bytes(self.key.try_into().ok()?),
            execution: Arc::new(Execution {
                project: self.project,
                domain: self.domain,
                name: self.execution,
                node: self.node,
                attempt: self.attempt,
                task: self.task,
                namespace: self.namespace,
            }),
            job,
        })
    }
}

fn role_number(role: Role) -> i32 {
    match role {
        Role::Anonymous => 0,
        Role::Propeller => 1,
        Role::User => 2,
        Role::Admin => 3,
    }
}

fn role_of(number: i32) -> Option<Role> {
    [Role::Anonymous, Role::Propeller, Role::User, Role::Admin]
        .into_iter()
        .find(|role| role_number(*role) == number)
}

#[cfg(test)]
mod tests;
