use clap::Args;
use schemars::JsonSchema;
use serde::Deserialize;
use server_core::Result;

use super::*;
use crate::{
    context::Context,
    task::{Phase, Status, Task, TaskType},
    upstream::HttpBuilder,
};

/// A plugin with required settings.
struct Picky;

#[derive(Debug, Args)]
struct Settings {
    #[arg(long, env = "PICKY_ACCOUNTS", value_name = "ACCOUNT[=HOST]", value_delimiter = ',')]
    #[arg(required = true)]
    accounts: Vec<String>,

    #[arg(long, env = "PICKY_RUNS", default_value_t = 1)]
    runs: u8,

    #[arg(long, env = "PICKY_RUNS_TWICE")]
    runs_twice: Option<bool>,

    #[arg(long, env = "PICKY_EMULATOR_HOST", conflicts_with = "endpoint")]
    emulator_host: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

impl SyncPlugin for Picky {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("picky", 0)];
    type Settings = Settings;
    type Custom = Nothing;

    fn new(_: Settings, _: HttpBuilder) -> Result<Self> {
        Ok(Self)
    }

    async fn execute(&self, _: &Context, _: Task<Nothing>) -> Result<Status> {
        Ok(Status::new(Phase::Succeeded))
    }
}

fn bundle() -> Bundle {
    let info = ServiceInfo { name: "both", version: "0" };
    Bundle::new(info).sync_plugin::<Picky>("picky").sync_plugin::<Picky>("other-picky")
}

/// The plugins that the command line `args` selects, with `own` as the settings of `picky`.
fn configured(args: &[&str], own: &'static [&'static str]) -> Result<Vec<Configured>, clap::Error> {
    let matches = bundle().command().try_get_matches_from([&["both"], args].concat())?;
    bundle().configure(&matches, |name| if name == "picky" { own } else { &["--accounts=a"] })
}

fn names(args: &[&str]) -> Vec<&'static str> {
    configured(args, &["--accounts=a"]).unwrap().iter().map(|plugin| plugin.name).collect()
}

/// The error for a plugin with the settings `own`.
fn refused(own: &'static [&'static str]) -> String {
    let error = configured(&["--plugins=picky"], own).map(drop).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string().lines().next().unwrap().to_owned()
}

#[test]
fn all_plugins_are_served_by_default() {
    assert_eq!(names(&[]), ["picky", "other-picky"]);
    assert_eq!(names(&["--plugins=other-picky"]), ["other-picky"]);
    assert_eq!(names(&["--plugins=other-picky,picky,picky"]), ["picky", "other-picky"]);
    let unknown = configured(&["--plugins=picky,spark"], &[]).map(drop).unwrap_err().to_string();
    assert!(unknown.contains("'spark'") && unknown.contains("picky, other-picky"), "{unknown}");
}

#[test]
fn unselected_plugins_need_no_settings() {
    assert!(configured(&["--plugins=other-picky"], &[]).is_ok());
    assert!(configured(&[], &[]).is_err());
}

#[test]
fn errors_name_plugin_and_variable() {
    for (own, message) in [
        (&[][..], "the following required arguments were not provided: PICKY_ACCOUNTS"),
        (&["--accounts=a", "--runs=x"], "invalid value 'x' for 'PICKY_RUNS': "),
        (&["--accounts=a", "--runs-twice=x"], "invalid value 'x' for 'PICKY_RUNS_TWICE' [possible"),
        (
            &["--accounts=a", "--endpoint=http://x", "--emulator-host=x"],
            "the argument 'PICKY_ENDPOINT' cannot be used with 'PICKY_EMULATOR_HOST'",
        ),
    ] {
        let refused = refused(own);
        assert!(refused.starts_with(&format!("error: picky: {message}")), "{refused}");
    }
}

#[test]
fn endpoint_variables_have_the_plugins_name() {
    let command = Registration::of_sync::<Picky>("other-picky").with_endpoint(Command::new("x"));
    let endpoint = command.get_arguments().next().unwrap();
    assert_eq!(endpoint.get_env(), Some("OTHER_PICKY_ENDPOINT".as_ref()));
}

#[test]
fn only_shared_settings_have_flags() {
    let command = bundle().command();
    let flags = command.get_arguments().filter_map(Arg::get_long).collect::<Vec<_>>();
    assert!(flags.contains(&"plugins") && flags.contains(&"upstream-timeout"), "{flags:?}");
    assert!(!flags.contains(&"accounts") && !flags.contains(&"endpoint"), "{flags:?}");
    assert!(command.find_subcommand("health-check").is_some());
}
