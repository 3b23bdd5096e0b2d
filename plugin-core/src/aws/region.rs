//! Regions, with their hosts and consoles.

use std::{fmt, str::FromStr};

use super::partition::Partition;

/// The longest name, in bytes. The longest that AWS has is a third of it.
const LONGEST: usize = 40;

/// A region of AWS, for example `eu-central-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region(String);

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim();
        let parts = name.split('-');
        let is_part = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let is_name = parts.clone().count() >= 3 && parts.clone().all(is_part);
        let is_numbered = name.ends_with(|c: char| c.is_ascii_digit());
        if name.len() > LONGEST || !is_name || !is_numbered {
            return Err(format!("{text:?} is not a region such as eu-central-1"));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which of AWS's hosts are called.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Variant {
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
}

impl Region {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The name of its partition, as ARNs have it: `aws`, `aws-cn`, `aws-us-gov`.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        Partition::of(&self.0).name
    }

    /// `https://` and the host of its console; `None` in partitions without a public one.
    ///
    /// ```
    /// let region = "us-gov-west-1".parse::<plugin_core::aws::Region>().unwrap();
    /// assert_eq!(
    ///     region.console().unwrap(),
    ///     "https://us-gov-west-1.console.amazonaws-us-gov.com"
    /// );
    /// ```
    #[must_use]
    pub fn console(&self) -> Option<String> {
        let domain = Partition::of(&self.0).console?;
        Some(format!("https://{self}.{domain}"))
    }

    /// The base URL of the service with `endpoint_prefix`, by the rules that botocore has for every service of
    /// this kind (`endpoint-rule-set-1.json`).
    pub(super) fn base(&self, endpoint_prefix: &str, variant: Variant) -> String {
        let partition = Partition::of(&self.0);
        let suffix =
            if variant.dual_stack { partition.dual_stack_suffix } else { partition.suffix };
        // STS has no host of its own for FIPS in GovCloud: the common one is validated.
        let is_gov_sts = endpoint_prefix == "sts" && partition.name == "aws-us-gov";
        let has_own = variant.dual_stack || !is_gov_sts;
        let fips = if variant.fips && has_own { "-fips" } else { "" };
        // SageMaker's rules have the word elsewhere in these two partitions, without dual stack.
        let is_public = ["aws", "aws-us-gov"].contains(&partition.name);
        match endpoint_prefix {
            "api.sagemaker" if is_public && !variant.dual_stack => {
                format!("https://api{fips}.sagemaker.{self}.{suffix}")
            }
            // In GovCloud the common host is validated.
            "runtime.sagemaker" if is_public && !variant.dual_stack => {
                let fips = if partition.name == "aws" { fips } else { "" };
                format!("https://runtime{fips}.sagemaker.{self}.{suffix}")
            }
            _ => format!("https://{endpoint_prefix}{fips}.{self}.{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    #[test]
    fn hosts_follow_from_region_partition_and_variant() {
        for (name, prefix, fips, dual_stack, host) in [
            ("eu-west-1", "athena", false, false, "athena.eu-west-1.amazonaws.com"),
            ("us-east-1", "athena", true, false, "athena-fips.us-east-1.amazonaws.com"),
            ("us-east-1", "athena", false, true, "athena.us-east-1.api.aws"),
            ("us-east-1", "athena", true, true, "athena-fips.us-east-1.api.aws"),
            (
                "cn-north-1",
                "redshift-data",
                false,
                false,
                "redshift-data.cn-north-1.amazonaws.com.cn",
            ),
            ("cn-north-1", "athena", false, true, "athena.cn-north-1.api.amazonwebservices.com.cn"),
            ("us-gov-west-1", "athena", true, false, "athena-fips.us-gov-west-1.amazonaws.com"),
            ("us-gov-west-1", "sts", true, false, "sts.us-gov-west-1.amazonaws.com"),
            ("us-gov-west-1", "sts", true, true, "sts-fips.us-gov-west-1.api.aws"),
            ("us-east-2", "sts", true, false, "sts-fips.us-east-2.amazonaws.com"),
            ("us-iso-east-1", "athena", false, false, "athena.us-iso-east-1.c2s.ic.gov"),
            ("eu-west-1", "api.sagemaker", false, false, "api.sagemaker.eu-west-1.amazonaws.com"),
            (
                "us-east-1",
                "api.sagemaker",
                true,
                false,
                "api-fips.sagemaker.us-east-1.amazonaws.com",
            ),
            ("us-east-1", "api.sagemaker", true, true, "api.sagemaker-fips.us-east-1.api.aws"),
            (
                "eu-west-1",
                "runtime.sagemaker",
                false,
                false,
                "runtime.sagemaker.eu-west-1.amazonaws.com",
            ),
            (
                "us-east-1",
                "runtime.sagemaker",
                true,
                false,
                "runtime-fips.sagemaker.us-east-1.amazonaws.com",
            ),
            (
                "us-gov-west-1",
                "runtime.sagemaker",
                true,
                false,
                "runtime.sagemaker.us-gov-west-1.amazonaws.com",
            ),
            (
                "us-gov-west-1",
                "runtime.sagemaker",
                true,
                true,
                "runtime.sagemaker-fips.us-gov-west-1.api.aws",
            ),
            (
                "us-gov-west-1",
                "api.sagemaker",
                true,
                false,
                "api-fips.sagemaker.us-gov-west-1.amazonaws.com",
            ),
            ("eusc-de-east-1", "athena", false, false, "athena.eusc-de-east-1.amazonaws.eu"),
        ] {
            let base = region(name).base(prefix, Variant { fips, dual_stack });
            assert_eq!(base, format!("https://{host}"));
        }
    }

    #[test]
    fn each_public_partition_has_a_console() {
        for (name, console) in [
            ("us-east-1", Some("https://us-east-1.console.aws.amazon.com")),
            ("cn-north-1", Some("https://cn-north-1.console.amazonaws.cn")),
            ("us-gov-east-1", Some("https://us-gov-east-1.console.amazonaws-us-gov.com")),
            ("us-iso-east-1", None),
        ] {
            assert_eq!(region(name).console().as_deref(), console);
        }
    }

    #[test]
    fn what_is_no_region_cannot_become_a_host() {
        let long = format!("eu-{}-1", "a".repeat(LONGEST));
        for text in [
            "",
            "eu",
            "eu-west",
            "EU-WEST-1",
            "eu-west-1.evil.example",
            "eu-west-1/",
            "eu--1",
            &long,
        ] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
        assert_eq!(" eu-west-1 ".parse::<Region>().unwrap().name(), "eu-west-1");
    }
}
