//! Where a job runs: in which region and as which role.

use serde::{Deserialize, Serialize};

/// Where a job runs. Keep it in [`Plugin::Meta`](crate::Plugin::Meta): names alone, no host and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    pub(super) region: String,
    /// The role that the task's author named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<String>,
}

impl Place {
    /// The region's name.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The ARN of the role that the task's author named.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }
}

/// What a task asks for, and the fields in which it does, for errors. What is absent or empty is the operator's
/// choice.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Asked<'a> {
    region: Option<(&'a str, &'a str)>,
    role: Option<(&'a str, &'a str)>,
}

impl<'a> Asked<'a> {
    /// The region that `field` names.
    pub fn region(mut self, field: &'a str, name: Option<&'a str>) -> Self {
        self.region = chosen(field, name);
        self
    }

    /// The role that `field` names, by its ARN.
    pub fn role(mut self, field: &'a str, arn: Option<&'a str>) -> Self {
        self.role = chosen(field, arn);
        self
    }

    pub(super) fn asked_region(&self) -> Option<(&'a str, &'a str)> {
        self.region
    }

    pub(super) fn asked_role(&self) -> Option<(&'a str, &'a str)> {
        self.role
    }
}

fn chosen<'a>(field: &'a str, value: Option<&'a str>) -> Option<(&'a str, &'a str)> {
    value.filter(|value| !value.is_empty()).map(|value| (field, value))
}
