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
    pub(crate) fn new(issuer: Arc<str>, subject: &str, role: Role, grant: Arc<Grant>) -> Self {
        let hash = sha256(&[subject.as_bytes()]);
        Self { issuer, subject: subject.into(), subject_hash: hex(&hash[..16]).into(), role, grant }
    }

    /// The caller of a service without authentication, authorised to do everything.
    pub(crate) fn anonymous() -> Self {
        Self::new("".into(), "anonymous", Role::Anonymous, Arc::default())
    }

    /// The configured name of the issuer of the caller's token; empty for an anonymous caller.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The subject of the caller's token.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The first 16 bytes of the subject's SHA-256, in hex: it keeps names of people out of Flyte's database
    /// and logs.
    pub(crate) fn subject_hash(&self) -> &str {
        &self.subject_hash
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
