//! Pages of CloudWatch's logs in AWS's console.

use url::form_urlencoded::byte_serialize;

use super::region::Region;

impl Region {
    /// The page of the stream `stream` of the log group `group`; `None` in partitions without a public console.
    ///
    /// ```
    /// let region = "eu-central-1".parse::<plugin_core::aws::Region>().unwrap();
    /// let page = region.log_page("/aws/batch/job", "flyte/default/1f2e").unwrap();
    /// assert!(page.ends_with("/log-group/$252Faws$252Fbatch$252Fjob/log-events/flyte$252Fdefault$252F1f2e"));
    /// ```
    #[must_use]
    pub fn log_page(&self, group: &str, stream: &str) -> Option<String> {
        Some(format!("{}/log-events/{}", self.log_group_page(group)?, twice_encoded(stream)))
    }

    /// The page of the streams of the log group `group` whose names begin with `prefix`; `None` as of
    /// [`log_page`](Self::log_page).
    #[must_use]
    pub fn logs_page(&self, group: &str, prefix: &str) -> Option<String> {
        let filter = twice_encoded(prefix);
        Some(format!("{}$3FlogStreamNameFilter$3D{filter}", self.log_group_page(group)?))
    }

    fn log_group_page(&self, group: &str) -> Option<String> {
        let (console, group) = (self.console()?, twice_encoded(group));
        Some(format!("{console}/cloudwatch/home?region={self}#logsV2:log-groups/log-group/{group}"))
    }
}

/// As CloudWatch's console has names in the fragments of its URLs: encoded twice, with `$` for `%`.
fn twice_encoded(name: &str) -> String {
    let once = byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20");
    once.replace('%', "$25")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_twice() {
        let region = "eu-central-1".parse::<Region>().unwrap();
        let console = "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#logsV2:log-groups";
        assert_eq!(
            region.log_page("/aws/batch/job", "a b/1").unwrap(),
            format!("{console}/log-group/$252Faws$252Fbatch$252Fjob/log-events/a$2520b$252F1")
        );
        assert_eq!(
            region.logs_page("/g", "x/").unwrap(),
            format!("{console}/log-group/$252Fg$3FlogStreamNameFilter$3Dx$252F")
        );
        assert_eq!("us-iso-east-1".parse::<Region>().unwrap().log_page("g", "s"), None);
    }
}
