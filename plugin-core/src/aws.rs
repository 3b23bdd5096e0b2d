//! What services of AWS have in common: signed calls, identities, regions, and the way in which AWS reports errors.
//!
//! A service is described by an [`Api`]. [`Aws`] calls it in the regions, and as the roles, that the operator
//! allows; nothing else is ever called. Its settings are [`Settings`], which a plugin flattens into its own.
//!
//! ```
//! use plugin_core::{
//!     Context, HttpBuilder, Kind, Result, Task,
//!     aws::{Api, Asked, Aws, Place, Refusal},
//!     clap, schemars,
//!     serde_json::json,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! /// awsJson 1.1: `https://acme.<region>.amazonaws.com`, `X-Amz-Target: AcmeJobs.<operation>`.
//! const ACME: Api = Api::json_1_1("acme", "AcmeJobs").refusals(refusal);
//!
//! /// What AWS's general rules do not say of this service's errors.
//! fn refusal(refusal: &Refusal<'_>) -> Option<Kind> {
//!     match refusal.code {
//!         "JobQuotaExceededException" => Some(Kind::ResourceExhausted),
//!         _ => None,
//!     }
//! }
//!
//! #[derive(clap::Args)]
//! struct Settings {
//!     #[command(flatten)]
//!     aws: plugin_core::aws::Settings,
//! }
//!
//! #[derive(Deserialize, schemars::JsonSchema)]
//! struct Custom {
//!     region: Option<String>,
//!     role: Option<String>,
//! }
//!
//! /// The handle's contents.
//! #[derive(Serialize, Deserialize)]
//! struct Job {
//!     place: Place,
//!     id: String,
//! }
//!
//! struct Acme {
//!     aws: Aws,
//! }
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all = "PascalCase")]
//! struct Started {
//!     job_id: String,
//! }
//!
//! impl Acme {
//!     fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
//!         Ok(Self { aws: Aws::new(ACME, settings.aws, http)? })
//!     }
//!
//!     async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
//!         let asked = Asked::default()
//!             .region("custom.region", task.custom.region.as_deref())
//!             .role("custom.role", task.custom.role.as_deref());
//!         let place = self.aws.choose(cx, &asked)?;
//!         let client = self.aws.client(cx, &place)?;
//!         let body = json!({ "Sql": task.sql()?, "ClientToken": cx.idempotency_key().hex() });
//!         let started: Started = client.call("StartJob", &body).idempotent().send_json(cx).await?;
//!         Ok(Job { place, id: started.job_id })
//!     }
//!
//!     async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
//!         let client = self.aws.client(cx, &job.place)?;
//!         client.call("StopJob", &json!({ "JobId": job.id })).idempotent().send(cx).await?;
//!         Ok(())
//!     }
//! }
//! ```

mod api;
mod batches;
mod client;
mod credentials;
mod execution_role;
mod identity;
mod keys;
mod logs;
mod partition;
mod place;
mod refusal;
mod region;
mod role;
mod settings;
mod signature;
mod words;

pub use self::{
    api::Api,
    batches::in_batches,
    client::{Aws, Client},
    execution_role::ExecutionRoles,
    place::{Asked, Place},
    refusal::{Refusal, of_submit, read_failure},
    region::Region,
    settings::Settings,
    words::{given, mentions},
};
