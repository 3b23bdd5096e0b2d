//! A job of AWS Batch, and its status.

use plugin_core::{
    Error, Status,
    aws::{Place, Region},
};
use serde::{Deserialize, Serialize};

/// An id of the length of all ids: a UUID.
pub(crate) const LONGEST_ID: &str = "876da822-4198-45f2-a252-6cea32512ea8";

/// The log group of jobs whose definition names none.
const LOG_GROUP: &str = "/aws/batch/job";

/// Identifies the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub(crate) id: String,
    pub(crate) place: Place,
}

impl Job {
    /// `status` with the links and facts that the id provides, and the link to the log `stream`, which AWS names once the
    /// container has started.
    pub(crate) fn described(
        &self,
        status: Status,
        stream: Option<&str>,
        region: Option<&Region>,
    ) -> Status {
        let id = &self.id;
        let status = status
            .info("job_id", Some(id.as_str()))
            .info("region", Some(self.place.region()))
            .info("role", self.place.role());
        let Some((region, console)) = region.and_then(|region| Some((region, region.console()?)))
        else {
            return status;
        };
        let page = format!("{console}/batch/home?region={region}#jobs/detail/{id}");
        let status = status.link("AWS Batch Console", page);
        let logs = stream.and_then(|stream| region.log_page(LOG_GROUP, stream));
        logs.into_iter().fold(status, |status, page| status.link("CloudWatch Logs", page))
    }

    /// The error for a job that AWS no longer has.
    pub(crate) fn not_found(&self) -> Error {
        let message = format!(
            "AWS Batch has no job {} in {}: it keeps ended jobs for a week or longer",
            self.id,
            self.place.region()
        );
        Error::not_found(message).with_code("JobNotFound")
    }
}

/// Whether AWS Batch may have made `id` for a job.
pub(crate) fn is_id(id: &str) -> bool {
    id.len() == LONGEST_ID.len() && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}
