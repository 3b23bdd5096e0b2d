//! The operator's settings: regions, hosts, roles and the service's own identity.

use std::path::PathBuf;

use secrecy::SecretString;
use server_core::{Error, Result};
use url::Url;

use super::{
    region::{Region, Variant},
    role::{RoleArn, RolePattern},
};
use crate::upstream::UrlText;

/// The settings of a service of AWS. Flags are AWS's own variables where it has one.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "AWS")]
// A service that flattens these has a `Settings` of its own, and clap names groups by the type.
#[group(skip)]
pub struct Settings {
    /// Region of tasks that name none.
    #[arg(long, env = "AWS_REGION")]
    pub(super) region: Region,

    /// Further regions that tasks may name.
    #[arg(long, env = "AWS_REGIONS", value_name = "REGION", value_delimiter = ',')]
    pub(super) regions: Vec<Region>,

    /// Endpoint of the service in a region, such as a VPC endpoint, instead of AWS's own.
    #[arg(
        long,
        env = "AWS_REGION_ENDPOINTS",
        value_name = "REGION=URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    region_endpoints: Vec<UrlText>,

    /// URL to call instead of AWS, both for the service and for STS: a test server.
    #[arg(long, env = "AWS_ENDPOINT_URL", value_name = "URL", hide_env_values = true)]
    endpoint_url: Option<UrlText>,

    /// URL to call instead of the region's STS, such as a VPC endpoint.
    #[arg(long, env = "AWS_ENDPOINT_URL_STS", value_name = "URL", hide_env_values = true)]
    sts_endpoint_url: Option<UrlText>,

    /// Call AWS's FIPS 140 validated hosts.
    #[arg(long, env = "AWS_USE_FIPS_ENDPOINT")]
    pub(super) use_fips_endpoint: bool,

    /// Call AWS's hosts that have IPv6 addresses as well.
    #[arg(long, env = "AWS_USE_DUALSTACK_ENDPOINT")]
    pub(super) use_dualstack_endpoint: bool,

    #[command(flatten)]
    pub(super) roles: RoleSettings,

    #[command(flatten)]
    pub(super) identity: IdentitySettings,
}

/// The roles that the service assumes for tasks.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "AWS")]
pub(super) struct RoleSettings {
    /// ARN of the role that the service assumes for tasks that name none; by default its own identity calls.
    #[arg(long, env = "AWS_ASSUME_ROLE", value_name = "ARN")]
    pub(super) assume_role: Option<RoleArn>,

    /// Role ARNs that tasks may name, in which * stands for any characters but colons.
    #[arg(long, env = "AWS_ALLOWED_ROLES", value_name = "PATTERN", value_delimiter = ',')]
    pub(super) allowed_roles: Vec<RolePattern>,

    /// External id that is sent with every assumed role, which its trust policy may require.
    #[arg(long, env = "AWS_EXTERNAL_ID", value_name = "ID", value_parser = external_id)]
    pub(super) external_id: Option<String>,

    /// Session name of assumed roles, which CloudTrail shows.
    #[arg(
        long,
        env = "AWS_ROLE_SESSION_NAME",
        value_name = "NAME",
        default_value = "outrigger",
        value_parser = session_name
    )]
    pub(super) role_session_name: String,
}

/// Where the service's own keys come from. Kubernetes' webhooks, ECS and EKS set these variables.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "AWS")]
pub(super) struct IdentitySettings {
    /// Where the service's own keys come from, if not from the secrets aws_access_key_id and
    /// aws_secret_access_key.
    #[arg(long, env = "AWS_IDENTITY", value_enum, default_value_t = IdentitySource::Auto)]
    pub(super) identity: IdentitySource,

    /// ARN of the role of the web identity (IRSA).
    #[arg(long, env = "AWS_ROLE_ARN", value_name = "ARN")]
    pub(super) role_arn: Option<RoleArn>,

    /// File with the token of the web identity (IRSA).
    #[arg(long, env = "AWS_WEB_IDENTITY_TOKEN_FILE", value_name = "FILE")]
    pub(super) web_identity_token_file: Option<PathBuf>,

    /// Path of the container's keys at 169.254.170.2 (ECS).
    #[arg(
        long,
        env = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        value_name = "PATH",
        hide_env_values = true
    )]
    pub(super) container_credentials_relative_uri: Option<UrlText>,

    /// URL of the container's keys (EKS Pod Identity, Fargate): https, or an address of loopback, ECS or EKS.
    #[arg(
        long,
        env = "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) container_credentials_full_uri: Option<UrlText>,

    /// Authorization for the container's keys.
    #[arg(
        long,
        env = "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        value_parser = secret
    )]
    pub(super) container_authorization_token: Option<SecretString>,

    /// File with the authorization for the container's keys (EKS Pod Identity); it is read for each request.
    #[arg(long, env = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", value_name = "FILE")]
    pub(super) container_authorization_token_file: Option<PathBuf>,

    /// Profile whose keys or credential_process are used.
    #[arg(long, env = "AWS_PROFILE", value_name = "NAME")]
    pub(super) profile: Option<String>,

    /// File with the keys of profiles.
    #[arg(long, env = "AWS_SHARED_CREDENTIALS_FILE", value_name = "FILE")]
    pub(super) shared_credentials_file: Option<PathBuf>,

    /// File with the settings of profiles.
    #[arg(long, env = "AWS_CONFIG_FILE", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,

    /// Command that writes keys as JSON to its standard output, as AWS's credential_process does. It is run
    /// without a shell.
    #[arg(long, env = "AWS_CREDENTIAL_PROCESS", value_name = "COMMAND")]
    pub(super) credential_process: Option<String>,

    /// Never ask the instance for its keys (IMDS).
    #[arg(long, env = "AWS_EC2_METADATA_DISABLED")]
    pub(super) ec2_metadata_disabled: bool,

    /// URL of the instance metadata service.
    #[arg(
        long,
        env = "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        value_name = "URL",
        hide_env_values = true,
        default_value = "http://169.254.169.254"
    )]
    pub(super) ec2_metadata_service_endpoint: UrlText,
}

/// A source of the service's own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum IdentitySource {
    /// The first below whose settings are set, else the instance.
    Auto,
    /// The secrets aws_access_key_id, aws_secret_access_key and aws_session_token alone.
    Secrets,
    /// A web identity: IRSA.
    WebIdentity,
    /// The container: EKS Pod Identity or ECS.
    Container,
    /// A profile of AWS's shared files.
    Profile,
    /// The output of a command.
    Process,
    /// The EC2 instance, by IMDSv2.
    Instance,
}

impl Settings {
    fn variant(&self) -> Variant {
        Variant { fips: self.use_fips_endpoint, dual_stack: self.use_dualstack_endpoint }
    }

    /// Checks that the role that is assumed for tasks can be: STS is called in the default region.
    ///
    /// # Errors
    /// `InvalidArgument` with the setting.
    pub(super) fn check_role(&self) -> Result<()> {
        let partition = self.region.partition();
        match &self.roles.assume_role {
            Some(role) if role.partition() != partition => Err(Error::invalid(format!(
                "--assume-role (AWS_ASSUME_ROLE): {role} is in the partition {}, and the region {} is in {partition}",
                role.partition(),
                self.region
            ))),
            _ => Ok(()),
        }
    }

    /// The endpoints that the operator chose.
    ///
    /// # Errors
    /// `InvalidArgument` with the setting that is wrong.
    pub(super) fn endpoints(&self) -> Result<Endpoints> {
        let url = |text: &Option<UrlText>, setting: &str| {
            text.as_ref().map(|text| text.checked(setting)).transpose()
        };
        Ok(Endpoints {
            regions: self.region_endpoints.iter().map(region_endpoint).collect::<Result<_>>()?,
            all: url(&self.endpoint_url, "--endpoint-url (AWS_ENDPOINT_URL)")?,
            sts: url(&self.sts_endpoint_url, "--sts-endpoint-url (AWS_ENDPOINT_URL_STS)")?,
            variant: self.variant(),
        })
    }
}

const REGION_ENDPOINTS: &str = "--region-endpoints (AWS_REGION_ENDPOINTS)";

/// Where AWS is called.
pub(super) struct Endpoints {
    regions: Vec<(Region, Url)>,
    all: Option<Url>,
    sts: Option<Url>,
    variant: Variant,
}

impl Endpoints {
    /// Checks that each region with an endpoint is one of `known`.
    ///
    /// # Errors
    /// `InvalidArgument` with the setting.
    pub(super) fn check_regions(&self, known: &[&Region]) -> Result<()> {
        match self.regions.iter().find(|(region, _)| !known.contains(&region)) {
            None => Ok(()),
            Some((region, _)) => Err(Error::invalid(format!(
                "{REGION_ENDPOINTS}: {region} is in neither --region nor --regions"
            ))),
        }
    }

    /// The same without those of single regions: they are hosts of one API.
    pub(super) fn of_another_api(self) -> Self {
        Self { regions: Vec::new(), ..self }
    }

    /// The base URL of the service with `endpoint_prefix` in `region`.
    pub(super) fn base(&self, region: &Region, endpoint_prefix: &str) -> String {
        let own = self.regions.iter().find(|(of, _)| of == region).map(|(_, url)| url);
        match own.or(self.all.as_ref()) {
            Some(url) => url.to_string(),
            None => region.base(endpoint_prefix, self.variant),
        }
    }

    /// The base URL of STS in `region`, the default one: keys are good everywhere in a partition.
    pub(super) fn sts(&self, region: &Region) -> String {
        match self.sts.as_ref().or(self.all.as_ref()) {
            Some(url) => url.to_string(),
            None => region.base("sts", self.variant),
        }
    }
}

fn region_endpoint(text: &UrlText) -> Result<(Region, Url)> {
    let (region, url) = text.split_once('=').ok_or_else(|| {
        Error::invalid(format!("{REGION_ENDPOINTS}: is not REGION=URL, separated by commas"))
    })?;
    let region = region.parse::<Region>();
    let region = region
        .map_err(|_| Error::invalid(format!("{REGION_ENDPOINTS}: has no region before =")))?;
    let url = url.checked(&format!("{REGION_ENDPOINTS}: {region}"))?;
    Ok((region, url))
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn secret(text: &str) -> std::result::Result<SecretString, String> {
    Ok(text.into())
}

/// STS API reference, AssumeRole: 2 to 1224 of `[\w+=,.@:\/-]`.
fn external_id(text: &str) -> std::result::Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b);
    if !(2..=1224).contains(&text.len()) || !text.bytes().all(allowed) {
        return Err("must have 2 to 1224 letters, digits and any of _+=,.@:/-".to_owned());
    }
    Ok(text.to_owned())
}

/// STS API reference, AssumeRole: 2 to 64 of `[\w+=,.@-]`.
fn session_name(text: &str) -> std::result::Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if !(2..=64).contains(&text.len()) || !text.bytes().all(allowed) {
        return Err("must have 2 to 64 letters, digits and any of _+=,.@-".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_regions_are_not_those_of_another_api() {
        let region = "us-east-1".parse::<Region>().unwrap();
        let regions = vec![(region.clone(), Url::parse("https://vpce-1.example.com").unwrap())];
        let endpoints = Endpoints { regions, all: None, sts: None, variant: Variant::default() };
        assert_eq!(endpoints.base(&region, "athena"), "https://vpce-1.example.com/");
        let base = endpoints.of_another_api().base(&region, "runtime.sagemaker");
        assert_eq!(base, "https://runtime.sagemaker.us-east-1.amazonaws.com");
    }
}
