//! A statement at Redshift, and its status.

use plugin_core::{
    Error, Phase, Status,
    aws::{Place, Region},
};
use serde::{Deserialize, Serialize};

use crate::{
    target::Target,
    unload::{RESULTS, Results},
};

/// An id of the length of all ids: the model's `UUID`.
pub(crate) const LONGEST_ID: &str = "d9b6c0c9-0747-4bf4-b142-e8883122f766";

/// Identifies the statement and its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub(crate) id: String,
    pub(crate) place: Place,
    pub(crate) target: Target,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) results: Option<Results>,
}

impl Job {
    /// `status` with the output, once there is one.
    pub(crate) fn with_results(&self, status: Status) -> Status {
        let results = self.results.as_ref().filter(|_| status.phase() == Phase::Succeeded);
        status.output(RESULTS, results.map(Results::value))
    }

    /// `status` with the link and the info that the ids provide.
    pub(crate) fn described(&self, status: Status, region: Option<&Region>) -> Status {
        let (kind, name) = self.target.parts();
        let status = status
            .info("statement_id", Some(self.id.as_str()))
            .info("region", Some(self.place.region()))
            .info(kind, Some(name));
        match region.and_then(|region| self.page(region)) {
            Some(page) => status.link("Redshift Console", page),
            None => status,
        }
    }

    /// The page of the cluster or workgroup in AWS's console; `None` of a workgroup that is known by its ARN, which has an id
    /// and no name.
    fn page(&self, region: &Region) -> Option<String> {
        let page = match &self.target {
            Target::Cluster(name) => format!("cluster-details?cluster={name}"),
            Target::Workgroup(arn) if arn.contains(':') => return None,
            Target::Workgroup(name) => format!("serverless-workgroup?workgroup={name}"),
        };
        let (console, region) = (region.console()?, region.name());
        Some(format!("{console}/redshiftv2/home?region={region}#{page}"))
    }

    /// The error for a statement that Redshift no longer knows.
    pub(crate) fn not_found(&self, error: &Error) -> Error {
        let message = format!(
            "Redshift has no statement {} in {}: the Data API keeps statements for 24 hours",
            self.id,
            self.place.region()
        );
        let code = error.code().unwrap_or("ResourceNotFoundException").to_owned();
        Error::not_found(message).with_code(code).with_source(error.clone())
    }
}

/// Whether Redshift may have made `id` for a statement.
pub(crate) fn is_id(id: &str) -> bool {
    id.len() == LONGEST_ID.len() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_link_leads_to_the_cluster_or_the_named_workgroup() {
        let arn = "arn:aws:redshift-serverless:eu-central-1:111122223333:workgroup/0a1b2c3d";
        let base =
            "https://eu-central-1.console.aws.amazon.com/redshiftv2/home?region=eu-central-1";
        for (target, page) in [
            (json!({"cluster": "dwh"}), Some(format!("{base}#cluster-details?cluster=dwh"))),
            (
                json!({"workgroup": "sales"}),
                Some(format!("{base}#serverless-workgroup?workgroup=sales")),
            ),
            (json!({"workgroup": arn}), None),
        ] {
            let job =
                json!({"id": LONGEST_ID, "place": {"region": "eu-central-1"}, "target": target});
            let job = from_value::<Job>(job).unwrap();
            assert_eq!(job.page(&"eu-central-1".parse().unwrap()), page);
        }
    }
}
