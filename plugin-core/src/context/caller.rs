//! Who is calling, and what they may do.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde::Deserialize;
use server_core::{
    Error, Kind, Result,
    digest::{hex, sha256},
};

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verb {
    /// Submit a job.
    Create,
    /// Look at a job.
    Get,
    /// Stop a job.
    Delete,
    /// Answer a task at once.
    Execute,
    /// See what is served: task types, schemas, API documents, gRPC reflection.
    List,
}

impl Verb {
    /// The verb in lower case, as policies, metrics and logs spell it.
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
    /// Flyte itself. Its `output_prefix` is believed.
    Propeller,
    /// A person or program. Sees its own jobs only.
    User,
    /// An operator. Sees every job.
    Admin,
    /// Nobody in particular: the service runs with `--insecure-no-auth`.
    #[serde(skip)]
    Anonymous,
}

impl Role {
    /// The role in lower case, as policies and logs spell it.
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

/// What a rule grants; an absent list grants everything.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    pub(crate) verbs: Option<BTreeSet<Verb>>,
    pub(crate) task_types: Option<BTreeSet<String>>,
    pub(crate) targets: Option<BTreeSet<String>>,
}

fn grants<T: Ord>(list: Option<&BTreeSet<T>>, item: impl FnOnce(&BTreeSet<T>) -> bool) -> bool {
    list.is_none_or(item)
}

/// Who is calling.
#[derive(Clone)]
pub struct Caller {
    issuer: Arc<str>,
    subject: Arc<str>,
    /// Tells subjects apart without naming them.
    subject_hash: Arc<str>,
    role: Role,
    grant: Arc<Grant>,
}

impl Caller {
    pub(crate) fn new(issuer: Arc<str>, subject: &str, role: Role, grant: Arc<Grant>) -> Self {
        let hash = sha256(&[subject.as_bytes()]);
        Self { issuer, subject: subject.into(), subject_hash: hex(&hash[..16]).into(), role, grant }
    }

    /// The caller of a service that runs without authentication: may do everything.
    pub(crate) fn anonymous() -> Self {
        Self::new("".into(), "anonymous", Role::Anonymous, Arc::default())
    }

    /// The configured name of the issuer that vouches for the caller; empty for an anonymous one.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Who the issuer says it is.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The first 16 bytes of the subject's SHA-256, in hex: names of people need not lie in Flyte's
    /// database or in logs.
    pub(crate) fn subject_hash(&self) -> &str {
        &self.subject_hash
    }

    /// How far the caller is trusted.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Checks that the caller may use `target`: a project, account or workspace at the vendor.
    ///
    /// # Errors
    /// `PermissionDenied` when the caller's rule lists targets and this is none of them.
    pub fn check_target(&self, target: &str) -> Result<()> {
        if grants(self.grant.targets.as_ref(), |targets| targets.contains(target)) {
            return Ok(());
        }
        Err(Self::denied(format!("your token does not allow the target {target}")))
    }

    pub(crate) fn check_verb(&self, verb: Verb) -> Result<()> {
        if grants(self.grant.verbs.as_ref(), |verbs| verbs.contains(&verb)) {
            return Ok(());
        }
        Err(Self::denied(format!("your token does not allow {}", verb.name())))
    }

    pub(crate) fn check_task_type(&self, task_type: &str) -> Result<()> {
        if grants(self.grant.task_types.as_ref(), |types| types.contains(task_type)) {
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
    fn a_list_grants_what_it_names_and_no_list_grants_all() {
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
