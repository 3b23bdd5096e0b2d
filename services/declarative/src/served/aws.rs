//! The client of an API of AWS.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use plugin_core::{
    Error, HttpBuilder, Result,
    aws::{Api, Aws, Settings},
    clap::{Args as _, Command, FromArgMatches as _},
};

use crate::{
    auth::AwsApi,
    definition::Definition,
    expression::{Scope, invalid},
    file::AwsProtocol,
};

/// The client of the API `api`, with the settings that `scope` has.
///
/// # Errors
/// `InvalidArgument` when a setting, or a variable of AWS, is wrong.
pub(super) fn client(
    definition: &Arc<Definition>,
    api: &AwsApi,
    scope: &Scope,
    http: HttpBuilder,
) -> Result<Aws> {
    let part = "upstream.auth.aws_sigv4.region";
    let region = api.region.eval(scope).map_err(|error| invalid(error.within(part)))?;
    let region = region.ok_or_else(|| Error::invalid(format!("{part}: has no value")))?;
    let own = settings_of(&region)?;
    let (errors, scope) = (Arc::clone(definition), scope.clone());
    Aws::with_refusals(describe(api), own, http, move |refusal| {
        errors.errors.read_aws(scope.clone(), refusal)
    })
}

/// The facts of `api`, which live as long as the service.
fn describe(api: &AwsApi) -> Api {
    let (service, target) = (interned(&api.service), interned(&api.target_prefix));
    let described = match api.protocol {
        AwsProtocol::Json10 => Api::json_1_0(service, target),
        AwsProtocol::Json11 => Api::json_1_1(service, target),
        AwsProtocol::RestJson => Api::rest_json(service),
    };
    match &api.signing_name {
        Some(name) => described.signing_name(interned(name)),
        None => described,
    }
}

/// `text`, for as long as the service runs: once, however often its file changes.
fn interned(text: &str) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(one) = known.get(text) {
        return one;
    }
    let one = String::leak(text.to_owned());
    known.insert(one);
    one
}

/// The settings of all services of AWS, from AWS's environment variables, for `region`.
fn settings_of(region: &str) -> Result<Settings> {
    let command = Settings::augment_args(Command::new("aws").no_binary_name(true));
    // As in every service, an empty variable counts as unset.
    let command = command.mut_args(|argument| {
        #[expect(clippy::disallowed_methods, reason = "the name is the argument's own")]
        let value = argument.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) { argument.env(None) } else { argument }
    });
    let matches = command.try_get_matches_from([format!("--region={region}")]);
    let read = matches.and_then(|matches| Settings::from_arg_matches(&matches));
    read.map_err(|error| {
        let text = error.to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        Error::invalid(first.strip_prefix("error: ").unwrap_or(first).to_owned())
    })
}
