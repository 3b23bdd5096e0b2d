//! The service's own identity, as the operator configures it.

use std::path::PathBuf;

use reqsign_aws_core::{
    AssumeRoleWithWebIdentityCredentialProvider as WebIdentity, ECSCredentialProvider as Container,
    IMDSv2CredentialProvider as Instance, ProcessCredentialProvider as Process,
    ProfileCredentialProvider as Profile,
};
use reqsign_core::{
    Context as Surroundings, ProvideCredential, Result as LibraryResult, StaticEnv,
};
use secrecy::ExposeSecret as _;
use server_core::{Error, Result};
use url::{Host, Url};

use super::{KeySource, assume_role::Sts, library::Library};
use crate::{
    aws::settings::{IdentitySettings, IdentitySource, Settings},
    upstream::{Http, HttpBuilder, check_url},
};

/// Where ECS answers (ECS developer guide, "Task IAM role").
const ECS: &str = "http://169.254.170.2";
const METADATA: &str = "--ec2-metadata-service-endpoint (AWS_EC2_METADATA_SERVICE_ENDPOINT)";
const FULL_URI: &str = "--container-credentials-full-uri (AWS_CONTAINER_CREDENTIALS_FULL_URI)";
/// The hosts that may be called with plain http, besides loopback: ECS's and EKS's (AWS SDKs and Tools reference
/// guide, "Container credential provider").
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// The source of the service's own keys; `None` if they are in secrets alone.
///
/// # Errors
/// `InvalidArgument` with the setting that is missing or wrong.
pub(super) fn source(
    settings: &Settings,
    sts: &Sts,
    http: &HttpBuilder,
) -> Result<Option<Box<dyn KeySource>>> {
    let identity = &settings.identity;
    Ok(Some(match chosen(identity) {
        IdentitySource::Auto | IdentitySource::Secrets => return Ok(None),
        IdentitySource::WebIdentity => web_identity(settings, sts)?,
        IdentitySource::Container => container(identity, http)?,
        IdentitySource::Profile => profile(identity),
        IdentitySource::Process => {
            let command = required(&identity.credential_process, "credential-process")?.clone();
            let make = move || Process::new().with_command(command.clone());
            library("process", None, make)
        }
        IdentitySource::Instance => {
            let base = identity.ec2_metadata_service_endpoint.checked(METADATA)?;
            let make = |base: Url| move || Instance::new().with_endpoint(text(&base));
            library("instance", Some(metadata(http, &base)?), make(base))
        }
    }))
}

/// The first source whose settings are set. ECS, EKS and Kubernetes' webhooks set theirs.
fn chosen(identity: &IdentitySettings) -> IdentitySource {
    let has_uri = identity.container_credentials_full_uri.is_some()
        || identity.container_credentials_relative_uri.is_some();
    match identity.identity {
        IdentitySource::Auto => match () {
            () if identity.web_identity_token_file.is_some() => IdentitySource::WebIdentity,
            () if has_uri => IdentitySource::Container,
            () if identity.credential_process.is_some() => IdentitySource::Process,
            () if identity.profile.is_some() => IdentitySource::Profile,
            () if identity.ec2_metadata_disabled => IdentitySource::Secrets,
            () => IdentitySource::Instance,
        },
        source => source,
    }
}

fn library<P>(
    name: &'static str,
    http: Option<Http>,
    make: impl Fn() -> P + Send + Sync + 'static,
) -> Box<dyn KeySource>
where
    P: ProvideCredential<Credential = reqsign_aws_core::Credential>,
{
    Box::new(Library { name, http, make })
}

fn web_identity(settings: &Settings, sts: &Sts) -> Result<Box<dyn KeySource>> {
    let identity = &settings.identity;
    let role = required(&identity.role_arn, "role-arn")?.to_string();
    let file = required(&identity.web_identity_token_file, "web-identity-token-file")?.clone();
    let session = settings.roles.role_session_name.clone();
    // The client of STS decides the host.
    let make = move || {
        WebIdentity::with_config(role.clone(), file.clone()).with_role_session_name(session.clone())
    };
    Ok(library("web_identity", Some(sts.http.clone()), make))
}

fn container(identity: &IdentitySettings, http: &HttpBuilder) -> Result<Box<dyn KeySource>> {
    let url = match (
        &identity.container_credentials_relative_uri,
        &identity.container_credentials_full_uri,
    ) {
        (Some(path), _) => {
            let url = Url::parse(ECS).ok().and_then(|ecs| path.joined_to(&ecs));
            let is_there = |url: &Url| url.origin().ascii_serialization() == ECS;
            url.filter(|url| is_there(url) && check_url(url).is_ok()).ok_or_else(|| {
                Error::invalid(
                    "--container-credentials-relative-uri (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI): is not a path",
                )
            })?
        }
        (None, Some(url)) => url.checked(FULL_URI)?,
        (None, None) => {
            let names = "--container-credentials-relative-uri or --container-credentials-full-uri";
            return Err(Error::invalid(format!("{names}: required by --identity container")));
        }
    };
    if !may_have_keys(&url) {
        return Err(Error::invalid(format!(
            "{FULL_URI}: {} is neither https nor an address of loopback, ECS or EKS",
            url.origin().ascii_serialization()
        )));
    }
    let client = metadata(http, &url)?;
    let (token, file) = (
        identity.container_authorization_token.clone(),
        identity.container_authorization_token_file.clone(),
    );
    let make = move || {
        let container = Container::new().with_endpoint(url.as_str());
        match (&file, &token) {
            (Some(file), _) => container.with_auth_token_file(file.to_string_lossy()),
            (None, Some(token)) => container.with_auth_token(token.expose_secret()),
            (None, None) => container,
        }
    };
    Ok(library("container", Some(client), make))
}

fn may_have_keys(url: &Url) -> bool {
    let is_known = |address: &str| CONTAINER_HOSTS.contains(&address);
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(ip))) => ip.is_loopback() || is_known(&ip.to_string()),
        ("http", Some(Host::Ipv6(ip))) => ip.is_loopback() || is_known(&ip.to_string()),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

fn profile(identity: &IdentitySettings) -> Box<dyn KeySource> {
    let home = std::env::home_dir().unwrap_or_default().join(".aws");
    let path = |file: &Option<PathBuf>, default: &str| {
        let path = file.clone().unwrap_or_else(|| home.join(default));
        path.to_string_lossy().into_owned()
    };
    let named = Named {
        profile: identity.profile.clone().unwrap_or_else(|| "default".to_owned()),
        keys: path(&identity.shared_credentials_file, "credentials"),
        config: path(&identity.config_file, "config"),
    };
    library("profile", None, move || named.clone())
}

/// A profile: its keys, or else the output of its `credential_process`.
#[derive(Debug, Clone)]
struct Named {
    profile: String,
    keys: String,
    config: String,
}

impl ProvideCredential for Named {
    type Credential = reqsign_aws_core::Credential;

    async fn provide_credential(
        &self,
        surroundings: &Surroundings,
    ) -> LibraryResult<Option<Self::Credential>> {
        let profile = Profile::new()
            .with_profile(&self.profile)
            .with_credentials_file(&self.keys)
            .with_config_file(&self.config);
        if let Some(keys) = profile.provide_credential(surroundings).await? {
            return Ok(Some(keys));
        }
        // The library knows the file by its variable alone.
        let envs = [("AWS_CONFIG_FILE".to_owned(), self.config.clone())].into();
        let surroundings = surroundings.clone().with_env(StaticEnv { home_dir: None, envs });
        Process::new().with_profile(&self.profile).provide_credential(&surroundings).await
    }
}

/// A client of a metadata service.
fn metadata(http: &HttpBuilder, url: &Url) -> Result<Http> {
    let mut base = url.clone();
    base.set_path("/");
    base.set_query(None);
    http.clone().for_credentials(true).build(base.as_str())
}

fn text(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn required<'a, T>(setting: &'a Option<T>, flag: &str) -> Result<&'a T> {
    setting.as_ref().ok_or_else(|| Error::invalid(format!("--{flag}: required by --identity")))
}
