//! A job run at EMR Serverless, and its status.

use plugin_core::{
    Error, Phase, Status, Task,
    aws::{Place, Region},
    serde_json::Value as Json,
};
use serde::{Deserialize, Serialize};

use crate::{custom::Custom, driver};

/// Ids are as long as this at most, by the model. AWS's have 16 characters.
const LONGEST_ID: usize = 64;
/// A log group with a longer name is not kept for links, in bytes.
const LONGEST_GROUP: usize = 128;
/// Where runs log that name no group ("Logging with CloudWatch" in the user guide).
const LOG_GROUP: &str = "/aws/emr-serverless";

/// Identifies the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub(crate) id: String,
    pub(crate) application: String,
    pub(crate) place: Place,
    /// Whether the job writes no outputs of the task.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) no_outputs: bool,
    /// The log group of CloudWatch, and the beginning of its streams, if the task asks for logs there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) logs: Option<(String, String)>,
}

impl Job {
    /// The run of `task`, which has no ids yet.
    pub(crate) fn new(place: Place, task: &Task<Custom>) -> Self {
        let (id, application) = (String::new(), String::new());
        let no_outputs = !driver::writes_outputs(&task.custom);
        Self { id, application, place, no_outputs, logs: logs(&task.custom) }
    }

    /// The same with ids of the greatest length.
    pub(crate) fn longest(&self) -> Self {
        let id = "0".repeat(LONGEST_ID);
        Self { id: id.clone(), application: id, ..self.clone() }
    }

    /// The path of the run in the API.
    pub(crate) fn path(&self) -> [&str; 4] {
        ["applications", &self.application, "jobruns", &self.id]
    }

    /// `status`, without outputs if the job writes none.
    pub(crate) fn with_outputs(&self, status: Status) -> Status {
        match status.phase() == Phase::Succeeded && self.no_outputs {
            true => status.without_outputs(),
            false => status,
        }
    }

    /// `status` with the links and facts that the ids provide. Spark's own pages are no links: AWS makes URLs of them that
    /// need no login.
    pub(crate) fn described(&self, status: Status, region: Option<&Region>) -> Status {
        let (id, application) = (&self.id, &self.application);
        let status = status
            .info("application_id", Some(application.as_str()))
            .info("job_run_id", Some(id.as_str()))
            .info("region", Some(self.place.region()))
            .info("role", self.place.role());
        let Some((region, console)) = region.and_then(|region| Some((region, region.console()?)))
        else {
            return status;
        };
        let page =
            format!("{console}/emr/home?region={region}#/serverless/{application}/jobs/{id}");
        let status = status.link("EMR Serverless Console", page);
        let logs = self.logs.as_ref().and_then(|(group, prefix)| {
            let stream = format!("{prefix}applications/{application}/jobs/{id}/");
            region.logs_page(group, &stream)
        });
        logs.into_iter().fold(status, |status, page| status.link("CloudWatch Logs", page))
    }

    /// The error for a run that AWS no longer has.
    pub(crate) fn not_found(&self, error: &Error) -> Error {
        let (id, application, region) = (&self.id, &self.application, self.place.region());
        let message =
            format!("EMR Serverless has no run {id} of the application {application} in {region}");
        let code = error.code().unwrap_or("ResourceNotFoundException").to_owned();
        Error::not_found(message).with_code(code).with_source(error.clone())
    }
}

/// The log group and the beginning of the streams that `custom` asks for.
fn logs(custom: &Custom) -> Option<(String, String)> {
    let overrides = custom.configuration_overrides.as_ref()?;
    let logging = &overrides.get("monitoringConfiguration")?["cloudWatchLoggingConfiguration"];
    let text = |field: &str| logging[field].as_str().unwrap_or_default();
    let group = Some(text("logGroupName")).filter(|name| !name.is_empty()).unwrap_or(LOG_GROUP);
    let prefix = text("logStreamNamePrefix").trim_end_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let is_kept = group.len() + prefix.len() <= LONGEST_GROUP;
    (logging["enabled"] == Json::Bool(true) && is_kept).then(|| (group.to_owned(), prefix))
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::{self, json};

    use super::*;

    #[test]
    fn a_job_links_to_its_logs_if_it_has_some_in_cloudwatch() {
        for (logging, expected) in [
            (json!({"enabled": false}), None),
            (json!({"logGroupName": "/x"}), None),
            (json!({"enabled": true}), Some(("/aws/emr-serverless", ""))),
            (
                json!({"enabled": true, "logGroupName": "/flyte", "logStreamNamePrefix": "etl"}),
                Some(("/flyte", "etl/")),
            ),
            (json!({"enabled": true, "logGroupName": "g".repeat(200)}), None),
        ] {
            let custom = json!({"configuration_overrides": {
                "monitoringConfiguration": {"cloudWatchLoggingConfiguration": logging}}});
            let found = logs(&serde_json::from_value(custom).unwrap());
            let found = found.as_ref().map(|(group, prefix)| (group.as_str(), prefix.as_str()));
            assert_eq!(found, expected);
        }
    }
}
