//! A service of AWS in the regions, and as the roles, that the operator allows.

use std::sync::Arc;

use http::HeaderName;
use secrecy::SecretString;
use serde::Serialize;
use server_core::{Error, Kind, Result, digest::Fingerprint};

use super::{
    api::Api,
    credentials::Sigv4,
    identity::Identity,
    partition::Partition,
    place::{Asked, Place},
    refusal::{self, Refusal},
    region::Region,
    role::{RoleArn, RolePattern},
    settings::Settings,
};
use crate::{
    context::Context,
    upstream::{Http, HttpBuilder, Listed, Request, Target, Targets},
};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const ALLOWED_ROLES: &str = "--allowed-roles (AWS_ALLOWED_ROLES)";

/// A service of AWS in the regions, and as the roles, that the operator allows. Nothing else is ever called.
pub struct Aws {
    api: Api,
    regions: Targets<AllowedRegion>,
    assume_role: Option<RoleArn>,
    allowed_roles: Vec<RolePattern>,
    identity: Arc<Identity>,
}

/// A region that tasks may name, and where the service is called there.
struct AllowedRegion {
    region: Region,
    base: String,
}

impl Target for AllowedRegion {
    const KIND: &'static str = "region";
    const SETTING: &'static str = "--region and --regions (AWS_REGION, AWS_REGIONS)";

    fn name(&self) -> &str {
        self.region.name()
    }

    fn base(&self) -> String {
        self.base.clone()
    }
}

impl Aws {
    /// The service that `api` describes. Its errors are read by AWS's rules: neither
    /// [`HttpBuilder::failures`] nor [`HttpBuilder::credentials`] is needed. For [`Plugin::new`](crate::Plugin::new).
    ///
    /// # Errors
    /// `InvalidArgument` when a setting is, with its name.
    pub fn new(api: Api, settings: Settings, http: HttpBuilder) -> Result<Self> {
        Self::with_refusals(api, settings, http, api.refusals)
    }

    /// [`new`](Self::new) with a reader of the service's own errors that may know things, instead of the one of
    /// [`Api::refusals`].
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_refusals(
        api: Api,
        settings: Settings,
        http: HttpBuilder,
        refusals: impl Fn(&Refusal<'_>) -> Option<Kind> + Send + Sync + 'static,
    ) -> Result<Self> {
        let identity = Arc::new(Identity::new(&settings, &http)?);
        let endpoints = settings.endpoints()?;
        let regions = [&settings.region].into_iter().chain(&settings.regions).collect::<Vec<_>>();
        endpoints.check_regions(&regions)?;
        settings.check_role()?;
        let regions = regions.into_iter().map(|region| AllowedRegion {
            region: region.clone(),
            base: endpoints.base(region, api.endpoint_prefix),
        });
        Ok(Self {
            api,
            regions: Targets::new(regions, &reading(http, api, refusals))?,
            assume_role: settings.roles.assume_role,
            allowed_roles: settings.roles.allowed_roles,
            identity,
        })
    }

    /// Another API of the service, such as the one that calls what this one makes: in the same regions, as the same roles, with
    /// the same keys, which are fetched once for both. `settings` and `http` are those of this one.
    ///
    /// It has hosts of its own: endpoints of single regions (`--region-endpoints`) are this API's alone.
    ///
    /// # Errors
    /// `InvalidArgument` when a setting is, with its name.
    pub fn beside(&self, api: Api, settings: &Settings, http: HttpBuilder) -> Result<Self> {
        let endpoints = settings.endpoints()?.of_another_api();
        let regions = [&settings.region].into_iter().chain(&settings.regions);
        let regions = regions.map(|region| AllowedRegion {
            region: region.clone(),
            base: endpoints.base(region, api.endpoint_prefix),
        });
        Ok(Self {
            api,
            regions: Targets::new(regions, &reading(http, api, api.refusals))?,
            assume_role: self.assume_role.clone(),
            allowed_roles: self.allowed_roles.clone(),
            identity: Arc::clone(&self.identity),
        })
    }

    /// Where a task that asks for `asked` runs. Nothing is called.
    ///
    /// # Errors
    /// `InvalidArgument`, with the field, when the operator does not allow it; `PermissionDenied` when the
    /// caller may not use the region or the role.
    pub fn choose(&self, cx: &Context, asked: &Asked<'_>) -> Result<Place> {
        let default = self.regions.first().target.name();
        let (field, name) = asked.asked_region().unwrap_or(("region", default));
        let region = self.regions.choose(cx, field, name)?.target.name().to_owned();
        let role = asked.asked_role().map(|(field, arn)| self.choose_role(cx, field, arn, &region));
        let role = role.transpose()?;
        Ok(Place { region, role })
    }

    fn choose_role(&self, cx: &Context, field: &str, arn: &str, region: &str) -> Result<String> {
        let role: RoleArn = arn.parse().map_err(|why| Error::invalid(format!("{field}: {why}")))?;
        if !self.allows(&role) {
            return Err(Error::invalid(format!(
                "{field}: the role {role} is not allowed; the service's operator lists allowed roles in \
                 {ALLOWED_ROLES}"
            )));
        }
        // Keys of one partition are unknown in the others; STS is called in the default region.
        let default = &self.regions.first().target.region;
        for region in [default.name(), region] {
            let partition = Partition::of(region).name;
            if role.partition() != partition {
                return Err(Error::invalid(format!(
                    "{field}: {role} is in the partition {}, and the region {region} is in {partition}",
                    role.partition()
                )));
            }
        }
        cx.caller().check_target(role.as_str())?;
        Ok(role.to_string())
    }

    fn allows(&self, role: &RoleArn) -> bool {
        self.allowed_roles.iter().any(|pattern| pattern.allows(role))
    }

    /// The client for calls at `place`, made as its role. In `get` and `delete` the place is the handle's.
    ///
    /// # Errors
    /// `FailedPrecondition` when the operator no longer allows the region or the role.
    pub fn client(&self, cx: &Context, place: &Place) -> Result<Client> {
        let Listed { target, http } = self.regions.of_job(&place.region)?;
        let role = self.role_of(cx, place)?;
        let account = role.as_ref().map_or("", RoleArn::account);
        let signed = Sigv4 {
            identity: Arc::clone(&self.identity),
            role: role.clone().map(Arc::new),
            region: target.region.name().into(),
            service: self.api.signing_name,
        };
        let http = http.quota(account).signed_by(signed);
        Ok(Client { api: self.api, region: target.region.clone(), http })
    }

    /// The client that stops the job `id` at `place`. `None`, with a warning, when the operator no longer allows the
    /// region or the role: the job can no longer be stopped, and Flyte would repeat an error for ever.
    pub fn client_to_stop(&self, cx: &Context, place: &Place, id: &str) -> Option<Client> {
        let client = self.client(cx, place);
        if client.is_err() {
            tracing::warn!(
                region = place.region(),
                job = id,
                "job not stopped: its region or role is no longer allowed"
            );
        }
        client.ok()
    }

    /// The role that calls at `place` are made as.
    fn role_of(&self, cx: &Context, place: &Place) -> Result<Option<RoleArn>> {
        let Some(arn) = &place.role else { return Ok(self.assume_role.clone()) };
        let role = arn.parse().ok().filter(|role| self.allows(role)).ok_or_else(|| {
            let message = format!("the job's role is no longer allowed by {ALLOWED_ROLES}");
            Error::new(Kind::FailedPrecondition, message)
        })?;
        // Its trouble is no other author's.
        cx.note_authors_choice(&SecretString::from(arn.as_str()));
        Ok(Some(role))
    }

    /// The region at `place`, for links; `None` when the operator no longer allows it.
    #[must_use]
    pub fn region(&self, place: &Place) -> Option<&Region> {
        self.regions.of_job(&place.region).ok().map(|listed| &listed.target.region)
    }

    /// Tells the jobs that one call can ask about: those of one place and identity. For
    /// [`JointPolls::group`](crate::JointPolls::group).
    ///
    /// # Errors
    /// The reason why the identity cannot be told, for example an unreadable secret.
    pub async fn group(&self, cx: &Context, place: &Place) -> Result<Fingerprint> {
        let keys = self.identity.fingerprint(cx).await?.to_string();
        Ok(Fingerprint::of(&[&place.region, place.role().unwrap_or_default(), &keys]))
    }
}

/// `http`, which reads errors as `api` has them.
fn reading(
    http: HttpBuilder,
    api: Api,
    refusals: impl Fn(&Refusal<'_>) -> Option<Kind> + Send + Sync + 'static,
) -> HttpBuilder {
    http.failures_with(move |status, headers, body| {
        refusal::read_failure(status, headers, body, &refusals, api.full)
    })
}

/// Calls a service in one region as one role. Every call is signed.
#[derive(Clone)]
pub struct Client {
    api: Api,
    region: Region,
    http: Http,
}

impl Client {
    /// The call of `operation` of an awsJson API with `body`, its input. Mark it
    /// [`idempotent`](Request::idempotent) if it is.
    pub fn call(&self, operation: &str, body: &impl Serialize) -> Request<'_> {
        let request = self.http.post::<&str>(&[]);
        match self.api.target(operation) {
            Some((target, media_type)) => request.header(TARGET, target).json_as(media_type, body),
            // A rest-json API names its operations by their paths: see `http`.
            None => request.json(body),
        }
    }

    /// The client, for rest-json: `http().post(&["applications", id, "jobruns"]).json(&input)`.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }
}
