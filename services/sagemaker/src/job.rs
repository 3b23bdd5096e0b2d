//! A job or an endpoint at SageMaker, and what follows from its name.

use plugin_core::{
    Error, Status,
    aws::{Place, Region},
};
use serde::{Deserialize, Serialize};

use crate::resource::Resource;

/// The digits of the key that a handle keeps.
const KEY_DIGITS: usize = 32;

/// Identifies the job or endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub(crate) name: String,
    pub(crate) resource: Resource,
    pub(crate) place: Place,
    /// The beginning of the attempt's key, as it is in the resource's tag.
    pub(crate) key: String,
    /// Whether the task's own code runs, which writes its outputs itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) runs_code: bool,
}

impl Job {
    pub(crate) fn new(
        place: Place,
        resource: Resource,
        name: String,
        key: &str,
        runs_code: bool,
    ) -> Self {
        let key = key.chars().take(KEY_DIGITS).collect();
        Self { name, resource, place, key, runs_code }
    }

    /// Whether `key`, the value of a resource's tag, is that of the attempt.
    pub(crate) fn is_of(&self, key: Option<&str>) -> bool {
        key.is_some_and(|key| key.len() >= self.key.len() && key.starts_with(&self.key))
    }

    /// `status` with the links and facts that the name provides.
    pub(crate) fn described(&self, status: Status, region: Option<&Region>) -> Status {
        let status = status
            .info("name", Some(self.name.as_str()))
            .info("region", Some(self.place.region()))
            .info("role", self.place.role());
        let Some(region) = region else { return status };
        let links =
            [("SageMaker Console", self.page(region)), ("CloudWatch Logs", self.logs(region))];
        links.into_iter().fold(status, |status, (name, page)| match page {
            Some(page) => status.link(name, page),
            None => status,
        })
    }

    fn page(&self, region: &Region) -> Option<String> {
        let (console, page) = (region.console()?, self.resource.facts().page?);
        Some(format!("{console}/sagemaker/home?region={region}#/{page}/{}", self.name))
    }

    fn logs(&self, region: &Region) -> Option<String> {
        let group = self.resource.facts().log_group;
        match self.resource {
            Resource::Endpoint => region.logs_page(&format!("{group}/{}", self.name), ""),
            // Of each of its training jobs.
            Resource::Tuning => region.logs_page(group, &format!("{}-", self.name)),
            _ => region.logs_page(group, &format!("{}/", self.name)),
        }
    }

    /// The error for what AWS no longer has.
    pub(crate) fn not_found(&self, error: &Error) -> Error {
        let (noun, name, region) = (self.resource.facts().noun, &self.name, self.place.region());
        let message = format!("SageMaker has no {noun} {name} in {region}");
        let code = error.code().unwrap_or("ResourceNotFound").to_owned();
        Error::not_found(message).with_code(code).with_source(error.clone())
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::{self, json};

    use super::*;

    #[test]
    fn links_lead_to_console_and_logs_in_every_partition() {
        for (region, host) in [
            ("eu-central-1", Some("eu-central-1.console.aws.amazon.com")),
            ("cn-north-1", Some("cn-north-1.console.amazonaws.cn")),
            ("us-gov-west-1", Some("us-gov-west-1.console.amazonaws-us-gov.com")),
            ("us-iso-east-1", None),
        ] {
            let place = serde_json::from_value::<Place>(json!({ "region": region })).unwrap();
            let region = region.parse::<Region>().unwrap();
            let of = |resource| Job::new(place.clone(), resource, "n".to_owned(), "k", false);
            let expected =
                host.map(|host| format!("https://{host}/sagemaker/home?region={region}#/jobs/n"));
            assert_eq!(of(Resource::Training).page(&region), expected);
            let logs = of(Resource::Endpoint).logs(&region);
            let expected = host.map(|host| {
                format!("https://{host}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FEndpoints$252Fn$3FlogStreamNameFilter$3D")
            });
            assert_eq!(logs, expected);
        }
    }
}
