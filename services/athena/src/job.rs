//! A query at Athena, and its status.

use plugin_core::{
    Error, Status,
    aws::{Place, Region},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::Execution,
    results::{Declared, with_results},
};

/// The longest id of a query, in bytes. The model allows 128; Athena's are UUIDs.
pub(crate) const LONGEST_ID: usize = 64;

/// Identifies the query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub(crate) id: String,
    pub(crate) place: Place,
    /// The type that the task declares for `results`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) results: Option<Declared>,
}

impl Job {
    /// The status of `found`, with results, link and facts.
    pub(crate) fn status(&self, found: &Execution, region: Option<&Region>) -> Status {
        self.described(with_results(found.status(), found, self.results), region)
    }

    /// `status` with the link and facts that the ids provide.
    pub(crate) fn described(&self, status: Status, region: Option<&Region>) -> Status {
        let status = status
            .info("query_execution_id", Some(self.id.as_str()))
            .info("region", Some(self.place.region()))
            .info("role", self.place.role());
        match region.and_then(Region::console) {
            None => status,
            Some(console) => {
                let (region, id) = (self.place.region(), &self.id);
                let page =
                    format!("{console}/athena/home?region={region}#/query-editor/history/{id}");
                status.link("Athena Console", page)
            }
        }
    }

    /// The error for a query that Athena no longer finds.
    pub(crate) fn not_found(&self, error: &Error) -> Error {
        let message = format!(
            "Athena has no query {} in {}: the history has 45 days",
            self.id,
            self.place.region()
        );
        let code = error.code().unwrap_or("not_found").to_owned();
        Error::not_found(message).with_code(code).with_source(error.clone())
    }
}

/// Whether Athena may have made `id` for a query.
pub(crate) fn is_id(id: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(is_part)
}
