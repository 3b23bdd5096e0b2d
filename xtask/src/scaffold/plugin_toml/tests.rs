use super::*;

const MINIMAL: &str = "schema = 1\n[plugin]\nname = \"red-shift\"\ntask-types = [\"redshift\", \"spectrum:2\"]\ndescription = \"Runs SQL\"\n";

#[test]
fn missing_keys_have_defaults() {
    let file = PluginToml::parse(MINIMAL).unwrap();
    assert_eq!(file.plugin.title(), "Red Shift");
    assert_eq!(file.plugin.type_name(), "RedShift");
    assert_eq!(file.plugin.mode, Mode::Async);
    assert_eq!(file.plugin.task_types[1], TaskType { name: "spectrum".to_owned(), version: 2 });
    assert_eq!(file.ports, Ports { api: 8000, admin: 9090 });
}

#[test]
fn errors_name_the_invalid_key() {
    let table = [
        (MINIMAL.replace("schema = 1", "schema = 9"), "schema 1"),
        (MINIMAL.replace("name =", "nmae ="), "nmae"),
        (MINIMAL.replace("\"redshift\", \"spectrum:2\"", ""), "task-types"),
        (MINIMAL.replace("spectrum:2", "spectrum:two"), "version"),
        (MINIMAL.replace("spectrum:2", "spec trum"), "spec trum"),
        (MINIMAL.replace("\"Runs SQL\"", "'Runs \"SQL\"'"), "plugin.description"),
        (format!("{MINIMAL}type = \"red\"\n"), "plugin.type"),
        (format!("{MINIMAL}kind = \"bridge\"\n"), "plugin.language"),
        (format!("{MINIMAL}language = \"go\"\n"), "plugin.language"),
        (
            format!(
                "{MINIMAL}kind = \"bridge\"\nlanguage = \"go\"\noptional-task-types = [\"x\"]\n"
            ),
            "plugin.optional-task-types",
        ),
        (format!("{MINIMAL}kind = \"bridge\"\nlanguage = \"java\"\n"), "typescript"),
        (format!("{MINIMAL}[ports]\napi = 9090\n"), "ports"),
        (format!("{MINIMAL}[chart]\nvals = 1\n"), "vals"),
        (format!("{MINIMAL}type = \"Job\"\n"), "plugin.type"),
        (format!("{MINIMAL}title = \"\"\n"), "plugin.title"),
        (MINIMAL.replace("Runs SQL", "Runs\\u0007SQL"), "plugin.description"),
        (MINIMAL.replace("Runs SQL", "Runs $SQL"), "plugin.description"),
        (MINIMAL.replace("\"red-shift\"", "\"../../evil\""), "plugin.name"),
        (MINIMAL.replace("\"red-shift\"", "\"Red_Shift\""), "plugin.name"),
        (format!("{MINIMAL}core = \"git\"\n"), "plugin.core-source"),
        (format!("{MINIMAL}core = \"none\"\n"), "plugin.core"),
        (format!("{MINIMAL}core-source = \"x\"\n"), "plugin.core-source"),
        (format!("{MINIMAL}core = \"git\"\ncore-source = \"a b\"\n"), "plugin.core-source"),
        (
            format!("{MINIMAL}core = \"path\"\ncore-source = \"x\"\ncore-revision = \"y\"\n"),
            "plugin.core-revision",
        ),
        (MINIMAL.replace("spectrum:2", "redshift:2"), "twice"),
        (MINIMAL.replace("spectrum:2", "1"), "not a valid task type"),
        (format!("{MINIMAL}[image]\nrepository = \"a\\nb: c\"\n"), "image.repository"),
        (format!("{MINIMAL}[unmanaged]\nDockerfile = \"\"\n"), "reason is required"),
        (format!("{MINIMAL}[chart.values]\nx = 2024-01-01\n"), "chart.values"),
    ];
    for (text, named) in table {
        let error = format!("{:#}", PluginToml::parse(&text).unwrap_err());
        assert!(error.contains(named), "{named}: {error}");
    }
}

#[test]
fn empty_settings_are_required() {
    let text = format!("{MINIMAL}[chart.values.settings]\nA_HOSTS = \"\"\nA_LIMIT = 0\n");
    assert_eq!(PluginToml::parse(&text).unwrap().chart.required_settings(), ["A_HOSTS"]);
    assert!(PluginToml::parse(MINIMAL).unwrap().chart.required_settings().is_empty());
}

#[test]
fn required_settings_say_what_they_are() {
    let empty = format!("{MINIMAL}[chart.values.settings]\nA_HOSTS = \"\"\n");
    let with =
        |required: &str| PluginToml::parse(&format!("{empty}[chart.required]\n{required}\n"));
    let file = with("A_HOSTS = { about = \"the hosts\", example = \"a.example.com\" }").unwrap();
    assert_eq!(file.chart.required("A_HOSTS").unwrap().example, "a.example.com");
    let either = "A_HOSTS = { about = \"x\", example = \"y\", unless = \"A_CLUSTERS\" }";
    let file = with(either).unwrap();
    assert_eq!(file.chart.required("A_HOSTS").unwrap().unless.as_deref(), Some("A_CLUSTERS"));
    let refused = [
        ("A_HOST = { about = \"x\", example = \"y\" }", "chart.required.A_HOST:"),
        ("A_HOSTS = { about = \"\", example = \"y\" }", "chart.required.A_HOSTS:"),
        ("A_HOSTS = { about = \"x\", example = '\"y\"' }", "chart.required.A_HOSTS:"),
        ("A_HOSTS = { about = \"x {{ .Values }}\", example = \"y\" }", "chart.required.A_HOSTS:"),
        ("A_HOSTS = { about = \"x\" }", "example"),
        (
            "A_HOSTS = { about = \"x\", example = \"y\", unless = \"A_HOSTS\" }",
            "unless must be the name of another setting",
        ),
        ("A_HOSTS = { about = \"x\", example = \"y\", unless = \"b\" }", "unless must be the name"),
    ];
    for (required, named) in refused {
        let error = format!("{:#}", with(required).unwrap_err());
        assert!(error.contains(named), "{named}: {error}");
    }
}

#[test]
fn setting_a_value_keeps_comments() {
    let text = format!("# why\n{MINIMAL}");
    let set = with_value(&text, &["chart", "values", "replicaCount"], 2.into()).unwrap();
    assert!(set.starts_with("# why\n"));
    assert_eq!(PluginToml::parse(&set).unwrap().chart.values["replicaCount"], 2);
    let unset = without(&set, &["chart", "values", "replicaCount"]).unwrap();
    assert!(PluginToml::parse(&unset).unwrap().chart.values.is_empty());
}
