//! AWS's partitions: groups of regions with accounts, hosts and consoles of their own.

/// A partition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Partition {
    /// Its name in ARNs.
    pub(super) name: &'static str,
    /// What the names of its regions begin with.
    regions: &'static [&'static str],
    pub(super) suffix: &'static str,
    pub(super) dual_stack_suffix: &'static str,
    /// The domain of its console, where it is public.
    pub(super) console: Option<&'static str>,
}

/// Names, regions and suffixes: botocore 1.44.8, `data/partitions.json`, in which the first partition also takes
/// regions that no pattern knows. Consoles: the sign-in pages of AWS's, China's, GovCloud's and the European
/// Sovereign Cloud's user guides; those of the others are not public.
///
/// The longest beginning counts: `us-gov-` before `us-`.
static PARTITIONS: [Partition; 8] = [
    Partition {
        name: "aws",
        regions: &["us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-"],
        suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
        console: Some("console.aws.amazon.com"),
    },
    Partition {
        name: "aws-cn",
        regions: &["cn-"],
        suffix: "amazonaws.com.cn",
        dual_stack_suffix: "api.amazonwebservices.com.cn",
        console: Some("console.amazonaws.cn"),
    },
    Partition {
        name: "aws-us-gov",
        regions: &["us-gov-"],
        suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
        console: Some("console.amazonaws-us-gov.com"),
    },
    Partition {
        name: "aws-eusc",
        regions: &["eusc-"],
        suffix: "amazonaws.eu",
        dual_stack_suffix: "api.amazonwebservices.eu",
        console: Some("console.amazonaws-eusc.eu"),
    },
    Partition {
        name: "aws-iso",
        regions: &["us-iso-"],
        suffix: "c2s.ic.gov",
        dual_stack_suffix: "api.aws.ic.gov",
        console: None,
    },
    Partition {
        name: "aws-iso-b",
        regions: &["us-isob-"],
        suffix: "sc2s.sgov.gov",
        dual_stack_suffix: "api.aws.scloud",
        console: None,
    },
    Partition {
        name: "aws-iso-e",
        regions: &["eu-isoe-"],
        suffix: "cloud.adc-e.uk",
        dual_stack_suffix: "api.cloud-aws.adc-e.uk",
        console: None,
    },
    Partition {
        name: "aws-iso-f",
        regions: &["us-isof-"],
        suffix: "csp.hci.ic.gov",
        dual_stack_suffix: "api.aws.hci.ic.gov",
        console: None,
    },
];

impl Partition {
    /// The partition of the region `name`.
    pub(super) fn of(name: &str) -> &'static Self {
        let begins = |partition: &'static Self| {
            let known = partition.regions.iter().filter(|prefix| name.starts_with(**prefix));
            Some((known.map(|prefix| prefix.len()).max()?, partition))
        };
        let longest = PARTITIONS.iter().filter_map(begins).max_by_key(|(length, _)| *length);
        longest.map_or(&PARTITIONS[0], |(_, partition)| partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_belongs_to_the_partition_with_the_longest_beginning() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("eu-central-2", "aws"),
            ("mx-central-1", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
            ("xx-new-1", "aws"),
        ] {
            assert_eq!(Partition::of(region).name, partition, "{region}");
        }
    }
}
