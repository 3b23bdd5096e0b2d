//! The clusters, workgroups, databases and users that an operator lets tasks use.

use plugin_core::{Context, Error, Result, clap};
use serde::{Deserialize, Serialize};

use crate::custom::Custom;

/// Where statements run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// A provisioned cluster, by its identifier.
    Cluster(String),
    /// A workgroup of Redshift Serverless, by its name.
    Workgroup(String),
}

impl Target {
    /// `cluster` or `workgroup`, and its name.
    pub(crate) fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Cluster(name) => ("cluster", name),
            Self::Workgroup(name) => ("workgroup", name),
        }
    }
}

/// As which database user statements run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum User {
    /// The one in a secret of Secrets Manager, by its ARN or name.
    Secret(String),
    /// This one, with temporary credentials.
    Named(String),
    /// The IAM identity's own, with temporary credentials.
    Iam,
}

/// Where and as whom statements run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) target: Target,
    pub(crate) database: String,
    pub(crate) user: User,
}

/// What tasks may name. Nothing else is sent to AWS.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Allowed {
    /// Provisioned clusters that tasks may use, by their identifiers.
    #[arg(long, env = "REDSHIFT_CLUSTERS", value_name = "NAME", value_delimiter = ',')]
    clusters: Vec<String>,

    /// Workgroups of Redshift Serverless that tasks may use, by their names.
    #[arg(long, env = "REDSHIFT_WORKGROUPS", value_name = "NAME", value_delimiter = ',')]
    workgroups: Vec<String>,

    /// Databases that tasks may use; the first is that of tasks that name none.
    #[arg(
        long,
        env = "REDSHIFT_DATABASES",
        value_name = "NAME",
        value_delimiter = ',',
        required = true
    )]
    databases: Vec<String>,

    /// Secrets of Secrets Manager that tasks may name, by their ARNs; the first is that of tasks that name neither a
    /// secret nor a user.
    #[arg(long, env = "REDSHIFT_SECRETS", value_name = "ARN", value_delimiter = ',')]
    secrets: Vec<String>,

    /// Database users of clusters that tasks may name. With none and no secret, tasks run as the service's IAM identity.
    #[arg(long, env = "REDSHIFT_DB_USERS", value_name = "NAME", value_delimiter = ',')]
    db_users: Vec<String>,
}

impl Allowed {
    /// The same lists without blanks around names, and without empty names.
    ///
    /// # Errors
    /// `InvalidArgument` with the setting that is missing, or has a name that AWS would refuse of every task.
    pub(crate) fn checked(self) -> Result<Self> {
        let Self { clusters, workgroups, databases, secrets, db_users } = self;
        let [clusters, workgroups, databases, secrets, db_users] =
            [clusters, workgroups, databases, secrets, db_users].map(trimmed);
        if clusters.is_empty() && workgroups.is_empty() {
            return Err(Error::invalid(
                "--clusters (REDSHIFT_CLUSTERS), --workgroups (REDSHIFT_WORKGROUPS): one of them must name something that \
                 tasks may use",
            ));
        }
        for (names, is_name, setting, form) in [
            (&clusters, is_cluster as fn(&str) -> bool, "--clusters (REDSHIFT_CLUSTERS)", CLUSTER),
            (&workgroups, is_workgroup, "--workgroups (REDSHIFT_WORKGROUPS)", WORKGROUP),
        ] {
            if let Some(name) = names.iter().find(|name| !is_name(name)) {
                return Err(Error::invalid(format!("{setting}: {name:?} must be {form}")));
            }
        }
        if databases.is_empty() {
            return Err(Error::invalid("--databases (REDSHIFT_DATABASES): missing"));
        }
        Ok(Self { clusters, workgroups, databases, secrets, db_users })
    }

    /// Where and as whom a task with `custom` runs. Nothing is called.
    ///
    /// # Errors
    /// `InvalidArgument`, with the field, for what the operator does not allow; `PermissionDenied` for what the caller may
    /// not use.
    pub(crate) fn choose(&self, cx: &Context, custom: &Custom) -> Result<Login> {
        let target = self.target(custom)?;
        cx.caller().check_target(target.parts().1)?;
        let asked = text(&custom.database);
        let list = ("database", self.databases.as_slice(), "--databases (REDSHIFT_DATABASES)");
        let database = match (asked, self.databases.first()) {
            (Some(name), _) => allowed(name, list)?,
            (None, Some(first)) => first.clone(),
            (None, None) => return Err(Error::invalid("custom.database: missing")),
        };
        let user = self.user(custom, &target)?;
        if let User::Secret(name) | User::Named(name) = &user
            && (text(&custom.secret).is_some() || text(&custom.db_user).is_some())
        {
            cx.caller().check_target(name)?;
        }
        Ok(Login { target, database, user })
    }

    fn target(&self, custom: &Custom) -> Result<Target> {
        let clusters = ("cluster", self.clusters.as_slice(), "--clusters (REDSHIFT_CLUSTERS)");
        let workgroups =
            ("workgroup", self.workgroups.as_slice(), "--workgroups (REDSHIFT_WORKGROUPS)");
        match (text(&custom.cluster), text(&custom.workgroup)) {
            (Some(_), Some(_)) => Err(Error::invalid(
                "custom.workgroup: a task cannot have both it and custom.cluster",
            )),
            (Some(name), None) => allowed(name, clusters).map(Target::Cluster),
            (None, Some(name)) => allowed(name, workgroups).map(Target::Workgroup),
            (None, None) => match (self.clusters.as_slice(), self.workgroups.as_slice()) {
                ([only], []) => Ok(Target::Cluster(only.clone())),
                ([], [only]) => Ok(Target::Workgroup(only.clone())),
                _ => Err(Error::invalid(
                    "custom.cluster, custom.workgroup: one of them must be set, because the service may use several",
                )),
            },
        }
    }

    fn user(&self, custom: &Custom, target: &Target) -> Result<User> {
        let secrets = ("secret", self.secrets.as_slice(), "--secrets (REDSHIFT_SECRETS)");
        let users = ("db_user", self.db_users.as_slice(), "--db-users (REDSHIFT_DB_USERS)");
        match (text(&custom.secret), text(&custom.db_user), target) {
            (Some(_), Some(_), _) => {
                Err(Error::invalid("custom.db_user: a task cannot have both it and custom.secret"))
            }
            (None, Some(_), Target::Workgroup(_)) => Err(Error::invalid(
                "custom.db_user: on a workgroup the database user follows from the IAM identity; set custom.role or \
                 custom.secret instead",
            )),
            (Some(arn), None, _) => allowed(arn, secrets).map(User::Secret),
            (None, Some(name), Target::Cluster(_)) => allowed(name, users).map(User::Named),
            (None, None, target) => {
                Ok(match (self.secrets.first(), self.db_users.first(), target) {
                    (Some(arn), _, _) => User::Secret(arn.clone()),
                    (None, Some(name), Target::Cluster(_)) => User::Named(name.clone()),
                    _ => User::Iam,
                })
            }
        }
    }
}

const CLUSTER: &str =
    "the identifier of a cluster: up to 63 lower-case letters, digits and single hyphens";
const WORKGROUP: &str =
    "the name of a workgroup, 3 to 63 lower-case letters, digits and hyphens, or its ARN";

/// The model's `ClusterIdentifierString`: `[a-z][a-z0-9]*(-[a-z0-9]+)*`, 1 to 63 characters.
fn is_cluster(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_lower_or_digit);
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    begins && name.len() <= 63 && name.split('-').all(is_part)
}

/// The model's `WorkgroupNameString`: `[a-z0-9-]{3,63}`, or an ARN; up to 128 characters.
fn is_workgroup(name: &str) -> bool {
    let is_arn = name.starts_with("arn:aws")
        && name.contains(":redshift-serverless:")
        && name.contains(":workgroup/")
        && name.len() <= 128
        && name.bytes().all(|b| is_lower_or_digit(b) || b"-:/".contains(&b));
    let is_char = |b: u8| is_lower_or_digit(b) || b == b'-';
    is_arn || (3..=63).contains(&name.len()) && name.bytes().all(is_char)
}

fn is_lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// `names` without blanks around them, and without the empty ones.
fn trimmed(names: Vec<String>) -> Vec<String> {
    let names = names.into_iter().map(|name| name.trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// The value of a field, unless it is absent or empty.
fn text(field: &Option<String>) -> Option<&str> {
    field.as_deref().filter(|text| !text.is_empty())
}

/// `name`, if it is on the list; the list has the field and the setting, too.
fn allowed(name: &str, (field, list, setting): (&str, &[String], &str)) -> Result<String> {
    match list.iter().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(Error::invalid(format!(
            "custom.{field}: {name:?} is not allowed; the service's operator lists what is in {setting}"
        ))),
    }
}

#[cfg(test)]
mod tests;
