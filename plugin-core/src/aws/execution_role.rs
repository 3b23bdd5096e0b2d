//! The roles that jobs run as. Their author names one, and AWS is passed it (`iam:PassRole`).

use server_core::{Error, Result};

use super::role::{RoleArn, RolePattern};
use crate::context::Context;

const SETTING: &str = "--execution-roles (AWS_EXECUTION_ROLES)";

/// The roles that tasks may have their jobs run as. A plugin flattens it into its settings.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "AWS")]
#[group(skip)]
pub struct ExecutionRoles {
    /// ARNs of roles that tasks may have their jobs run as, in which * stands for any characters but colons; the first
    /// without * is that of tasks that name none.
    #[arg(long, env = "AWS_EXECUTION_ROLES", value_name = "PATTERN", value_delimiter = ',')]
    execution_roles: Vec<RolePattern>,
}

impl ExecutionRoles {
    /// Checks that there are some, for services whose jobs cannot run without.
    ///
    /// # Errors
    /// `InvalidArgument` that names the setting.
    pub fn require(&self) -> Result<()> {
        match self.execution_roles.is_empty() {
            false => Ok(()),
            true => Err(Error::invalid(format!(
                "{SETTING}: missing; it lists the roles that jobs may run as"
            ))),
        }
    }

    /// The role that the author writes as `arn` in `field`, or the operator's if it is absent or empty. `None` if there
    /// is neither.
    ///
    /// # Errors
    /// `InvalidArgument` for one that is not allowed; `PermissionDenied` when the caller may not use it.
    pub fn choose(&self, cx: &Context, field: &str, arn: Option<&str>) -> Result<Option<String>> {
        let Some(arn) = arn.filter(|arn| !arn.is_empty()) else { return Ok(self.first()) };
        let role =
            arn.parse::<RoleArn>().map_err(|why| Error::invalid(format!("{field}: {why}")))?;
        if !self.execution_roles.iter().any(|pattern| pattern.allows(&role)) {
            return Err(Error::invalid(format!(
                "{field}: jobs may not run as {role}; the service's operator lists allowed roles in {SETTING}"
            )));
        }
        cx.caller().check_target(role.as_str())?;
        Ok(Some(role.to_string()))
    }

    fn first(&self) -> Option<String> {
        let roles = self.execution_roles.iter().filter_map(RolePattern::only);
        roles.map(|role| role.to_string()).next()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::time::Duration;

    use super::*;

    fn roles(patterns: &[&str]) -> ExecutionRoles {
        let execution_roles = patterns.iter().filter_map(|pattern| pattern.parse().ok()).collect();
        ExecutionRoles { execution_roles }
    }

    #[test]
    fn a_job_runs_as_an_allowed_role_or_the_first() {
        let cx = crate::testing::context(Duration::from_secs(1));
        let roles = roles(&[
            "arn:aws:iam::111122223333:role/etl-*",
            "arn:aws:iam::111122223333:role/spark",
        ]);
        for (asked, expected) in [
            (None, Some("arn:aws:iam::111122223333:role/spark")),
            (Some(""), Some("arn:aws:iam::111122223333:role/spark")),
            (
                Some("arn:aws:iam::111122223333:role/etl-a"),
                Some("arn:aws:iam::111122223333:role/etl-a"),
            ),
        ] {
            assert_eq!(roles.choose(&cx, "custom.role", asked).unwrap().as_deref(), expected);
        }
        for (asked, message) in [
            ("admin", "custom.role: "),
            (
                "arn:aws:iam::111122223333:role/admin",
                "custom.role: jobs may not run as arn:aws:iam::111122223333:role/admin",
            ),
        ] {
            let error = roles.choose(&cx, "custom.role", Some(asked)).unwrap_err();
            assert!(error.message().starts_with(message), "{error}");
        }
    }

    #[test]
    fn no_roles_allow_none() {
        let cx = crate::testing::context(Duration::from_secs(1));
        let none = ExecutionRoles::default();
        assert_eq!(none.choose(&cx, "custom.role", None).unwrap(), None);
        assert!(none.choose(&cx, "f", Some("arn:aws:iam::111122223333:role/a")).is_err());
        assert!(none.require().unwrap_err().message().contains("AWS_EXECUTION_ROLES"));
    }
}
