//! The accounts that an operator lets tasks use, with their hosts.

use std::str::FromStr;

use plugin_core::upstream::Target;

/// The part of a host that leads to an account's private link.
const PRIVATE_LINK: &str = "privatelink";

/// An account and the host of its SQL API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    host: String,
}

impl Target for Account {
    const KIND: &'static str = "account";
    const SETTING: &'static str = "--accounts (SNOWFLAKE_ACCOUNTS)";

    fn name(&self) -> &str {
        &self.name
    }

    fn base(&self) -> String {
        format!("https://{}/api/v2", self.host)
    }
}

impl FromStr for Account {
    type Err = String;

    /// `ACCOUNT`, or `ACCOUNT=host` for a private link.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, host) = text.split_once('=').unwrap_or((text, ""));
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let is_name = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed)
        };
        if !is_name(name) {
            return Err(format!("{name:?} is not an account identifier such as ORG-ACCOUNT"));
        }
        if text.contains('=') && !is_name(host) {
            return Err(format!("{host:?} is not a host name"));
        }
        let host = match host {
            "" => format!("{}.snowflakecomputing.com", name.to_lowercase().replace('_', "-")),
            host => host.to_owned(),
        };
        Ok(Self { name: name.to_owned(), host })
    }
}

impl Account {
    /// The account's name in tokens: without region, in upper case.
    pub(crate) fn claim(&self) -> String {
        let (name, _) = match self.name.split_once(".global") {
            Some((name, _)) => name.split_once('-').unwrap_or((name, "")),
            None => self.name.split_once('.').unwrap_or((&self.name, "")),
        };
        name.to_uppercase()
    }

    /// The page of a statement in Snowflake's public console, which addresses an account by its organization or
    /// region. People write `privatelink` into the identifier of an account that has a private link, too; it is
    /// a part of hosts.
    pub(crate) fn console(&self, query_id: &str) -> String {
        let mut parts =
            self.name.split('.').filter(|part| !part.eq_ignore_ascii_case(PRIVATE_LINK));
        let name = parts.next().unwrap_or(&self.name);
        let region = parts.collect::<Vec<_>>().join(".");
        let path = match name.split_once('-') {
            _ if !region.is_empty() => format!("{region}/{name}"),
            Some((organization, account)) => format!("{organization}/{account}"),
            None => name.to_owned(),
        };
        format!("https://app.snowflake.com/{path}/#/compute/history/queries/{query_id}/detail")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_claims_and_links_follow_from_the_identifier() {
        for (text, host, claim, console) in [
            (
                "ACMEORG-DATA_1",
                "acmeorg-data-1.snowflakecomputing.com",
                "ACMEORG-DATA_1",
                "ACMEORG/DATA_1",
            ),
            (
                "xy12345.eu-central-1",
                "xy12345.eu-central-1.snowflakecomputing.com",
                "XY12345",
                "eu-central-1/xy12345",
            ),
            (
                "xy12345.us-east-2.aws",
                "xy12345.us-east-2.aws.snowflakecomputing.com",
                "XY12345",
                "us-east-2.aws/xy12345",
            ),
            ("xy12345", "xy12345.snowflakecomputing.com", "XY12345", "xy12345"),
            (
                "xy12345-ab.global",
                "xy12345-ab.global.snowflakecomputing.com",
                "XY12345",
                "global/xy12345-ab",
            ),
            ("MYACCT.privatelink", "myacct.privatelink.snowflakecomputing.com", "MYACCT", "MYACCT"),
            (
                "ACMEORG-DATA_1.privatelink",
                "acmeorg-data-1.privatelink.snowflakecomputing.com",
                "ACMEORG-DATA_1",
                "ACMEORG/DATA_1",
            ),
            (
                "xy12345.us-east-2.aws.PRIVATELINK",
                "xy12345.us-east-2.aws.privatelink.snowflakecomputing.com",
                "XY12345",
                "us-east-2.aws/xy12345",
            ),
            ("O-A=o-a.privatelink.example.com", "o-a.privatelink.example.com", "O-A", "O/A"),
        ] {
            let account = text.parse::<Account>().unwrap();
            assert_eq!((account.host.as_str(), account.claim().as_str()), (host, claim), "{text}");
            let link = format!("https://app.snowflake.com/{console}/#/compute/history/queries/");
            assert!(account.console("q").starts_with(&link), "{}", account.console("q"));
        }
    }

    #[test]
    fn invalid_accounts_and_hosts_are_rejected() {
        for text in ["", "a/b", "a@b", "-a", ".a", "a=", "a=b/c", "a=b:1", "a=u@h", "a b", "a#"] {
            assert!(text.parse::<Account>().is_err(), "{text}");
        }
    }
}
