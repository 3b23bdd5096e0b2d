use super::*;

#[test]
fn audience_and_admin_port_match_chart_and_proxy_defaults() {
    let values = include_str!("../../../template/chart/values.yaml");
    assert!(values.contains(&format!("audience: {AUDIENCE}\n")));
    let program = include_str!("../../../services/propeller-proxy/src/args.rs");
    assert!(program.contains(&format!("default_value = \"0.0.0.0:{PROXY_ADMIN_PORT}\"")));
}

#[test]
fn names_fit_into_values_and_kubernetes() {
    let long = "a".repeat(64);
    for right in ["flyte", "team-1", &long[1..]] {
        assert_eq!(label(right).as_deref(), Ok(right));
    }
    for wrong in ["", "a b", "A", "-a", "a-", "a.b", "a\nb: c", &long] {
        assert!(label(wrong).is_err(), "{wrong}");
    }
    assert!(domain("cluster.local").is_ok() && domain("a..b").is_err());
    for right in ["proxy:1", "r.example.com:5000/a/b_c:1.2.3@sha256:0a"] {
        assert_eq!(image(right).as_deref(), Ok(right));
    }
    for wrong in ["", "a b", "a\nb: c", "a#b", "\"a\""] {
        assert!(image(wrong).is_err(), "{wrong}");
    }
}

/// The values for a plugin with these further lines in plugin.toml.
fn values_for(lines: &str) -> String {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }
    let toml = format!(
        "schema = 1\n[plugin]\nname = \"acme\"\ntask-types = [\"acme\"]\ndescription = \"Runs it\"\n{lines}"
    );
    let files = [("plugin.toml".to_owned(), toml)];
    let plugins = Plugins::released(&files, String::new()).unwrap();
    let line = <Line as clap::Parser>::parse_from(["_", "--flyte=1.16", "--chart=core"]);
    checked_values(&line.args, &plugins).unwrap()
}

#[test]
fn grpc_repeats_no_create_that_may_start_a_second_job() {
    let rust = values_for("mode = \"async\"\n");
    assert!(rust.contains(&format!("defaultServiceConfig: '{RETRYING}'")), "{rust}");
    for language in ["python", "go", "typescript"] {
        let bridge = values_for(&format!(
            "mode = \"async\"\nkind = \"bridge\"\nlanguage = \"{language}\"\n"
        ));
        assert!(bridge.contains(&format!("defaultServiceConfig: '{BALANCING}'")), "{bridge}");
        assert!(!bridge.contains("retryPolicy"), "{bridge}");
        assert!(bridge.contains("- CreateTask: 30s"), "{bridge}");
    }
}

#[test]
fn the_charts_notes_have_the_same_service_configs() {
    let notes = include_str!("../../../template/chart/templates/_flyte.tpl");
    for config in [BALANCING, RETRYING] {
        assert!(notes.contains(&format!("defaultServiceConfig: '{config}'")), "{config}");
    }
}
