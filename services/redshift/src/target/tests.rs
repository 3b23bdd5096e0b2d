//! The operator's lists are what tasks may use.

use std::time::Duration;

use plugin_core::{
    clap::Parser,
    serde_json::{from_value, json},
    testing,
};

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    allowed: Allowed,
}

fn allowed_by(args: &[&str]) -> Result<Allowed> {
    let args = std::iter::once(&"redshift").chain(args);
    Command::try_parse_from(args).unwrap().allowed.checked()
}

#[test]
fn lists_are_free_of_blanks_and_empty_names() {
    let list = "--databases=,dev, prod ,";
    let allowed =
        allowed_by(&["--workgroups=sales, etl", "--clusters=", list, "--secrets=", "--db-users= "]);
    let allowed = allowed.unwrap();
    let cx = testing::context(Duration::from_secs(10));
    let choose = |custom| allowed.choose(&cx, &from_value::<Custom>(custom).unwrap());
    let login = choose(json!({ "workgroup": "etl" })).unwrap();
    assert_eq!(login.target, Target::Workgroup("etl".to_owned()));
    assert_eq!((login.database.as_str(), login.user), ("dev", User::Iam));
    let login = choose(json!({ "workgroup": "sales", "database": "prod" })).unwrap();
    assert_eq!(login.database, "prod");
    for custom in [json!({ "workgroup": " etl" }), json!({ "workgroup": "sales", "secret": " " })] {
        assert!(choose(custom.clone()).is_err(), "{custom}");
    }
    // An empty name is no second target.
    let only = allowed_by(&["--clusters=,dwh", "--workgroups=,", "--databases=dev"]).unwrap();
    let login = only.choose(&cx, &Custom::default()).unwrap();
    assert_eq!(login.target, Target::Cluster("dwh".to_owned()));
}

#[test]
fn names_that_the_model_does_not_know_are_refused_at_the_start() {
    let arn = "arn:aws:redshift-serverless:eu-central-1:111122223333:workgroup/sales/etl";
    let long = "c".repeat(64);
    for (setting, name, is_name) in [
        ("--clusters", "dwh-1", true),
        ("--clusters", "DWH", false),
        ("--clusters", "a--b", false),
        ("--clusters", "1a", false),
        ("--clusters", "a/../b", false),
        ("--clusters", &long, false),
        ("--workgroups", "etl", true),
        ("--workgroups", arn, true),
        ("--workgroups", "wg", false),
        ("--workgroups", "Sales", false),
        ("--workgroups", "a?b", false),
        ("--workgroups", &long, false),
    ] {
        let found = allowed_by(&[&format!("{setting}={name}"), "--databases=dev"]);
        assert_eq!(found.is_ok(), is_name, "{name}");
        let error = found.err().map(|error| error.message().to_owned()).unwrap_or_default();
        assert!(is_name || error.starts_with(setting), "{error}");
    }
}

#[test]
fn lists_of_nothing_are_missing() {
    for (args, setting) in [
        (["--workgroups= ,", "--databases=dev"], "--clusters"),
        (["--workgroups=sales", "--databases=, "], "--databases"),
    ] {
        let error = allowed_by(&args).unwrap_err();
        assert!(error.message().starts_with(setting), "{error}");
    }
}
