//! Roles that tasks may name, and the patterns by which an operator allows them.

use std::{fmt, str::FromStr};

/// The longest ARN of a role, in bytes: IAM's limit of a path is 512 characters, and of a name 64.
const LONGEST: usize = 640;

/// The ARN of a role, `arn:<partition>:iam::<account>:role/<path and name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RoleArn(String);

impl RoleArn {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its partition, `aws` or another.
    pub(super) fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }

    /// Its account, which quotas count by.
    pub(super) fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }
}

impl FromStr for RoleArn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || {
            format!("{text:?} is not the ARN of a role such as arn:aws:iam::123456789012:role/name")
        };
        let parts = text.splitn(6, ':').collect::<Vec<_>>();
        let ["arn", partition, "iam", "", account, resource] = parts[..] else {
            return Err(invalid());
        };
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        // Characters of paths and names: IAM API reference, Role.
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b);
        let name = resource.strip_prefix("role/").filter(|name| name.bytes().all(allowed));
        let is_partition = partition.starts_with("aws")
            && partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        match name {
            Some(name)
                if is_account && is_partition && !name.is_empty() && text.len() <= LONGEST =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern of ARNs, in which `*` stands for any characters but colons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RolePattern(String);

impl FromStr for RolePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = text.trim();
        if !pattern.starts_with("arn:") || !pattern.contains(":role/") || pattern.len() > LONGEST {
            let example = "arn:aws:iam::123456789012:role/flyte-*";
            return Err(format!("{text:?} is not a pattern of role ARNs such as {example}"));
        }
        Ok(Self(pattern.to_owned()))
    }
}

impl RolePattern {
    /// The only role that it allows, if it has no star.
    pub(super) fn only(&self) -> Option<RoleArn> {
        if self.0.contains('*') { None } else { self.0.parse().ok() }
    }

    /// Whether it allows `role`. Takes time linear in both for each star.
    pub(super) fn allows(&self, role: &RoleArn) -> bool {
        let (mut rest, mut parts) = (role.as_str(), self.0.split('*'));
        let Some(head) = parts.next() else { return false };
        let Some(after) = rest.strip_prefix(head) else { return false };
        rest = after;
        let mut parts = parts.peekable();
        while let Some(part) = parts.next() {
            let at = if parts.peek().is_none() {
                rest.ends_with(part).then(|| rest.len() - part.len())
            } else {
                rest.find(part)
            };
            let Some(at) = at.filter(|at| !rest[..*at].contains(':')) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_allows_roles_by_their_whole_arn() {
        for (pattern, role, allowed) in [
            ("arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/a", true),
            ("arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/ab", false),
            (
                "arn:aws:iam::111122223333:role/flyte-*",
                "arn:aws:iam::111122223333:role/flyte-x",
                true,
            ),
            (
                "arn:aws:iam::111122223333:role/flyte-*",
                "arn:aws:iam::444455556666:role/flyte-x",
                false,
            ),
            ("arn:aws:iam::*:role/flyte", "arn:aws:iam::444455556666:role/flyte", true),
            ("arn:aws:iam::*:role/flyte", "arn:aws:iam::444455556666:role/x/flyte", false),
            ("arn:aws:iam::111122223333:role/*/x", "arn:aws:iam::111122223333:role/a/b/x", true),
            ("arn:aws:iam::111122223333:role/*-x-*", "arn:aws:iam::111122223333:role/a-x-b", true),
            ("arn:aws:iam::111122223333:role/*-x-*", "arn:aws:iam::111122223333:role/a-x", false),
        ] {
            let role = role.parse::<RoleArn>().unwrap();
            assert_eq!(
                pattern.parse::<RolePattern>().unwrap().allows(&role),
                allowed,
                "{pattern} {role}"
            );
        }
        assert!("*".parse::<RolePattern>().is_err(), "too much");
        assert!("arn:aws:iam::1:user/*".parse::<RolePattern>().is_err());
    }

    #[test]
    fn only_arns_of_roles_are_accepted() {
        let role =
            "arn:aws-us-gov:iam::123456789012:role/path/Name_+=,.@-".parse::<RoleArn>().unwrap();
        assert_eq!(role.account(), "123456789012");
        for text in [
            "",
            "admin",
            "arn:aws:iam::123:role/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::123456789012:role/x y",
            "arn:aws:iam::123456789012:role/x:y",
            "arn:aws:sts::123456789012:assumed-role/x/y",
            "arn:evil:iam::123456789012:role/x",
        ] {
            assert!(text.parse::<RoleArn>().is_err(), "{text}");
        }
    }
}
