//! Tests of `cargo xtask flyte-values`, and of the values committed in docs/flyte-values.
#![allow(clippy::disallowed_methods, reason = "there is no async runtime to block")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{path::Path, process::Command};

/// The registry of the committed values: nobody's.
const REGISTRY: &str = "registry.example.com/team";
const OURS: [&str; 8] = [
    "athena",
    "aws-batch",
    "bigquery",
    "databricks",
    "emr-serverless",
    "redshift",
    "sagemaker",
    "snowflake",
];

fn printed(args: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_xtask")).arg("flyte-values").args(args).output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn committed_values_are_up_to_date() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/flyte-values");
    let flavours = [
        ("1.13", "core"),
        ("1.13", "binary"),
        ("1.16", "core"),
        ("1.16", "binary"),
        ("2", "binary"),
    ];
    let ways = [(&[][..], ""), (&["--proxy", "--registry", REGISTRY], "-proxy")];
    for ((flyte, chart), (more, name)) in
        flavours.iter().flat_map(|flavour| ways.map(|way| (flavour, way)))
    {
        let args = [&OURS[..], &["--flyte", flyte, "--chart", chart], more].concat();
        let (code, values, error) = printed(&args);
        assert_eq!(code, 0, "{error}");
        let file = directory.join(format!("{chart}-{flyte}{name}.yaml"));
        if std::env::var_os("UPDATE_FLYTE_VALUES").is_some() {
            std::fs::write(&file, &values).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == values,
            "{} is stale: UPDATE_FLYTE_VALUES=1 cargo test -p xtask",
            file.display()
        );
    }
}

#[test]
fn optional_task_type_is_routed_on_request() {
    let args = ["databricks", "--flyte", "1.16", "--chart", "core"];
    assert!(!printed(&args).1.contains("spark"));
    let with = printed(&[&args[..], &["--with", "spark", "--namespace", "plugins"]].concat()).1;
    assert!(
        with.contains("            spark: databricks\n")
            || with.contains("          spark: databricks\n"),
        "{with}"
    );
    assert!(with.contains("databricks-headless.plugins.svc.cluster.local:8000"), "{with}");
    let (code, _, error) = printed(&[&args[..], &["--with", "nothing"]].concat());
    assert!(code == 2 && error.contains("--with nothing"), "{error}");
}

#[test]
fn tls_option_enables_tls() {
    let args = ["bigquery", "--flyte", "1.16", "--chart", "core", "--tls"];
    let direct = printed(&args).1;
    assert!(direct.contains("            insecure: false\n"), "{direct}");
    assert!(direct.contains("endpoint: dns:///bigquery-headless."), "{direct}");

    let proxy = ["--proxy", "--registry", REGISTRY, "--ca-secret", "plugins-ca"];
    let through = printed(&[&args[..], &proxy].concat()).1;
    for line in [
        "            insecure: true\n",
        "=https://bigquery-headless.flyte.svc.cluster.local:8000\n",
        "        - --ca-file=/var/run/secrets/outrigger/ca.crt\n",
        "              name: plugins-ca\n",
    ] {
        assert!(through.contains(line), "{line} in {through}");
    }
    let (code, _, error) = printed(&[&args[..], &["--ca-secret", "plugins-ca"]].concat());
    assert!(code == 2 && error.contains("--proxy"), "{error}");
}

#[test]
fn proxy_image_overrides_the_default() {
    let args =
        ["--flyte", "1.16", "--chart", "core", "--proxy-image", "mirror.example.com/proxy:1"];
    let (code, _, error) = printed(&args);
    assert!(code == 2 && error.contains("--proxy"), "{error}");
    let (code, values, _) = printed(&[&args[..], &["--proxy"]].concat());
    assert_eq!(code, 0);
    assert!(values.contains("image: mirror.example.com/proxy:1\n"), "{values}");
}

#[test]
fn a_sidecar_needs_an_image_that_the_user_names() {
    let (code, _, error) = printed(&["--flyte", "1.16", "--chart", "core", "--proxy"]);
    assert!(code == 2 && error.contains("give --registry"), "{error}");
    let wrong = ["--flyte", "2", "--chart", "binary", "--proxy", "--registry", "https://x"];
    let (code, _, error) = printed(&wrong);
    assert!(code == 2 && error.contains("without a scheme"), "{error}");
}

#[test]
fn a_refused_value_that_may_contain_a_password_is_not_shown() {
    let args = ["--flyte", "1.16", "--chart", "core", "--proxy"];
    for wrong in [
        "--registry=https://u:hunter2@registry.example.com",
        "--registry=registry.example.com/team?token=hunter2",
        "--proxy-image=https://u:hunter2@registry.example.com/proxy:1",
        "--namespace=u:hunter2@namespace",
        "--chart=u:hunter2@chart",
    ] {
        let (code, values, error) = printed(&[&args[..], &[wrong]].concat());
        assert_eq!((code, values.as_str()), (2, ""), "{wrong}");
        assert!(error.contains(wrong.split_once('=').unwrap().0), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let (_, _, error) = printed(&[&args[..], &["--registry=Registry/x"]].concat());
    assert!(error.contains("'Registry/x'"), "what is no secret is shown: {error}");
}

#[test]
fn unknown_charts_and_plugins_are_rejected() {
    let (code, _, error) = printed(&["--flyte", "2", "--chart", "core"]);
    assert!(code == 2 && error.contains("--chart binary"), "{error}");
    let (code, _, error) = printed(&["nobody", "--flyte", "2", "--chart", "binary"]);
    assert!(code == 2 && error.contains("unknown plugin 'nobody'"), "{error}");
}
