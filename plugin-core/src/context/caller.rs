//! The authenticated caller, and what it is authorised to do.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde::Deserialize;
use server_core::{
    Error, Kind, Result,
    digest::{hex, sha256},
};

/// The operation of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verb {
    /// Submit a job.
    Create,
    /// Read a job's status.
    Get,
    /// Cancel a job.
    Delete,
    /// Run a task within the call.
    Execute,
    /// Discovery: task types, schemas, API documents, gRPC reflection.
    List,
}

impl Verb {
    /// The verb in lower case, as in policies, metrics and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::Execute => "execute",
            Self::List => "list",
        }
    }
}

/// A caller's role, which decides how far it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Flyte itself, whose `output_prefix` is trusted.
    Propeller,
    /// A person or program, with access to its own jobs only.
    User,
    /// An operator, with access to every job.
    Admin,
    /// An unauthenticated caller of a service that runs with `--insecure-no-auth`.
    #[serde(skip)]
    Anonymous,
}

impl Role {
    /// The role in lower case, as in policies and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Propeller => "propeller",
            Self::User => "user",
            Self::Admin => "admin",
            Self::Anonymous => "anonymous",
        }
    }
}

/// What a rule grants; a missing list grants everything.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    pub(crate) verbs: Option<BTreeSet<Verb>>,
    pub(crate) task_types: Option<BTreeSet<String>>,
    pub(crate) targets: Option<BTreeSet<String>>,
}

/// Who a token is about: its `sub`, or the client that it was issued to if it has none.
///
/// The two are never equal, whatever their text: a client that calls itself `root` is not the subject
/// `root`, nor is a subject that calls itself `client:root` the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    Sub(String),
    Client(String),
}

impl Identity {
    /// The identity of a token with these claims; `None` if it has neither.
    pub(crate) fn of(sub: Option<String>, client: Option<String>) -> Option<Self> {
        sub.map(Self::Sub).or(client.map(Self::Client))
    }

    /// The token's `sub`.
    pub(crate) fn sub(&self) -> Option<&str> {
        match self {
            Self::Sub(sub) => Some(sub),
            Self::Client(_) => None,
        }
    }

    /// The identity as text, a different one for each. It is part of handles and of idempotency keys, so it
    /// must stay as it is.
    fn name(&self) -> String {
        match self {
            Self::Client(client) => format!("client:{client}"),
            Self::Sub(sub) if sub.starts_with("client:") || sub.starts_with("sub:") => {
                format!("sub:{sub}")
            }
            Self::Sub(sub) => sub.clone(),
        }
    }
}

/// The authenticated caller.
#[derive(Clone)]
pub struct Caller {
    issuer: Arc<str>,
    subject: Arc<str>,
    /// Distinguishes subjects without naming them.
    subject_hash: Arc<str>,
    role: Role,
    grant: Arc<Grant>,
}

impl Caller {
    pub(crate) fn new(
        issuer: Arc<str>,
        identity: &Identity,
        role: Role,
        grant: Arc<Grant>,
    ) -> Self {
        let subject = identity.name();
        let hash = sha256(&[subject.as_bytes()]);
        Self { issuer, subject: subject.into(), subject_hash: hex(&hash[..16]).into(), role, grant }
    }

    /// The caller of a service without authentication, authorised to do everything.
    pub(crate) fn anonymous() -> Self {
        let identity = Identity::Sub("anonymous".to_owned());
        Self::new("".into(), &identity, Role::Anonymous, Arc::default())
    }

    /// The configured name of the issuer of the caller's token; empty for an anonymous caller.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `sub` of the caller's token, or `client:` and its client if it has none. A `sub` that begins with
    /// `client:` or `sub:` has `sub:` before it, so that no two identities have the same subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The first 16 bytes of the subject's SHA-256, in hex: it keeps names of people out of Flyte's database
    /// and logs.
    pub(crate) fn subject_hash(&self) -> &str {
        &self.subject_hash
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The caller's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Checks that the caller is authorised to use `target`: a project, account or workspace of the vendor.
    ///
    /// # Errors
    /// `PermissionDenied` when the caller's rule lists targets and `target` is not among them.
    pub fn check_target(&self, target: &str) -> Result<()> {
        if self.grant.targets.as_ref().is_none_or(|targets| targets.contains(target)) {
            return Ok(());
        }
        Err(Self::denied(format!("your token does not allow the target {target}")))
    }

    pub(crate) fn check_verb(&self, verb: Verb) -> Result<()> {
        if self.grant.verbs.as_ref().is_none_or(|verbs| verbs.contains(&verb)) {
            return Ok(());
        }
        Err(Self::denied(format!("your token does not allow {}", verb.name())))
    }

    pub(crate) fn check_task_type(&self, task_type: &str) -> Result<()> {
        if self.grant.task_types.as_ref().is_none_or(|types| types.contains(task_type)) {
            return Ok(());
        }
        Err(Self::denied(format!("your token does not allow the task type {task_type}")))
    }

    fn denied(message: String) -> Error {
        Error::new(Kind::PermissionDenied, message).with_code("insufficient_scope")
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {:?}", self.role.name(), self.subject, self.issuer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_identities_have_the_same_name() {
        let names = ["root", "client:root", "sub:root", "sub:client:root", "client:client:root"];
        let subs = names.map(|name| Identity::Sub(name.to_owned()));
        let clients = names.map(|name| Identity::Client(name.to_owned()));
        let all = subs.iter().chain(&clients).map(Identity::name).collect::<BTreeSet<_>>();
        assert_eq!(all.len(), 10, "{all:?}");
        assert_eq!(subs[0].name(), "root", "handles of earlier releases have this");
    }

    #[test]
    fn a_list_grants_its_items_and_a_missing_list_grants_everything() {
        let mut caller = Caller::anonymous();
        assert!(caller.check_target("any").is_ok());
        caller.grant = Arc::new(Grant {
            verbs: Some([Verb::Get].into()),
            task_types: Some(["spark".to_owned()].into()),
            targets: Some(["p".to_owned()].into()),
        });
        assert!(caller.check_verb(Verb::Get).is_ok());
        assert!(caller.check_task_type("spark").is_ok());
        assert!(caller.check_target("p").is_ok());
        for refused in [
            caller.check_verb(Verb::Create),
            caller.check_task_type("databricks"),
            caller.check_target("q"),
        ] {
            assert_eq!(refused.unwrap_err().kind(), Kind::PermissionDenied);
        }
    }
}
