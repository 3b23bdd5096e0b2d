//! A digest of everything that the template renders, so that no change goes unnoticed.

use anyhow::Result;

use super::{
    plugin_toml::PluginToml,
    project::Layout,
    record::digest,
    render::{Renderer, Versions},
    template::Template,
};

/// Plugins that use every setting, and one that uses only the required ones.
const PLUGINS: [(&str, &str, Layout); 16] = [
    ("mode = \"async\"\ncore = \"workspace\"\n", FULL, Layout::Workspace),
    ("mode = \"sync\"\ncore = \"workspace\"\n", FULL, Layout::Workspace),
    (BY_GIT, FULL, Layout::Standalone),
    (BY_REGISTRY, FULL, Layout::Standalone),
    (BY_PATH, FULL, Layout::Standalone),
    ("", "", Layout::Workspace),
    ("task-package = \"acme-tasks\"\n", "", Layout::Workspace),
    (PYTHON, "mode = \"async\"\n", Layout::Workspace),
    (PYTHON, "mode = \"sync\"\ncore = \"none\"\n", Layout::Standalone),
    (GO, "mode = \"async\"\n", Layout::Workspace),
    (GO, "mode = \"sync\"\ncore = \"none\"\n", Layout::Standalone),
    (TYPESCRIPT, "mode = \"async\"\n", Layout::Workspace),
    (TYPESCRIPT, "mode = \"sync\"\ncore = \"none\"\n", Layout::Standalone),
    (DECLARATIVE, "", Layout::Workspace),
    (DECLARATIVE, "core = \"none\"\n", Layout::Standalone),
    (DECLARATIVE, "mode = \"sync\"\n", Layout::Workspace),
];
const BY_GIT: &str =
    "mode = \"async\"\ncore = \"git\"\ncore-source = \"https://git.example.com/a/b\"\n";
const BY_REGISTRY: &str = "mode = \"sync\"\ncore = \"registry\"\ncore-source = \"acme\"\n";
const BY_PATH: &str = "mode = \"async\"\ncore = \"path\"\ncore-source = \"../outrigger\"\n";
const PYTHON: &str = "kind = \"bridge\"\nlanguage = \"python\"\n";
const GO: &str = "kind = \"bridge\"\nlanguage = \"go\"\n";
const TYPESCRIPT: &str = "kind = \"bridge\"\nlanguage = \"typescript\"\n";
const DECLARATIVE: &str = "kind = \"declarative\"\n";
const FULL: &str = r#"
owner = "@acme"
title = "Acme's Batch"
type = "AcmeBatch"
optional-task-types = ["acme_again:2"]
[ports]
api = 8100
admin = 9190
[image]
repository = "registry.example/acme/batch"
[chart.values]
replicaCount = 3
settings.ACME_BATCH_HOSTS = ""
settings.ACME_BATCH_QUEUE = ""
[chart.required]
ACME_BATCH_HOSTS = { about = "the hosts that tasks may use", example = "batch.example.com" }
"#;

/// The digest of the files that `template` renders, before rustfmt.
///
/// # Errors
/// If the template cannot be rendered.
fn rendering_digest(template: &Template) -> Result<String> {
    // A release changes them everywhere, and is no change of the template.
    let versions = Versions { own: "0.0.0", outrigger: "0.0.0" };
    let renderer = Renderer::new(template, versions)?;
    let mut all = String::new();
    for (kind, more, layout) in PLUGINS {
        let plugin = format!(
            "schema = 1\n[plugin]\nname = \"acme-batch\"\ntask-types = [\"acme_batch\"]\ndescription = \"Runs it\"\n{kind}{more}"
        );
        for file in renderer.render(&PluginToml::parse(&plugin)?, layout)? {
            all += &format!("{}\0{}\0{}\0", file.path, file.class.letter(), file.text);
        }
    }
    Ok(digest(&all))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use toml_edit::DocumentMut;

    use super::*;

    fn repository() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    fn text(path: &str) -> String {
        std::fs::read_to_string(repository().join(path)).unwrap()
    }

    fn toml(path: &str) -> DocumentMut {
        text(path).parse().unwrap()
    }

    #[test]
    fn changed_rendering_requires_a_new_template_version() {
        let template = Template::read(&repository().join("template")).unwrap();
        let (now, last) = (rendering_digest(&template).unwrap(), template.changes.last().unwrap());
        assert_eq!(
            last.rendering,
            now,
            "the rendered files differ from template version {}: raise `version` in \
             template/manifest.toml and add a note template/changes/{:04}-<summary>.toml with \
             rendering = \"{now}\"",
            last.version,
            last.version + 1,
        );
    }

    /// A standalone plugin's manifest cannot inherit from the workspace, so it repeats these values.
    #[test]
    fn standalone_manifest_matches_the_workspace() {
        let workspace = toml("Cargo.toml");
        let package = &workspace["workspace"]["package"];
        for core in ["git", "registry"] {
            let plugin = format!(
                "schema = 1\n[plugin]\nname = \"acme\"\ncore = \"{core}\"\ncore-source = \"acme\"\ntask-types = [\"acme\"]\ndescription = \"x\"\n"
            );
            let template = Template::read(&repository().join("template")).unwrap();
            let renderer = Renderer::new(&template, Versions::of("0")).unwrap();
            let files = renderer.render(&PluginToml::parse(&plugin).unwrap(), Layout::Standalone);
            let files = files.unwrap().into_iter().map(|file| (file.id, file.text));
            let files = files.collect::<BTreeMap<_, _>>();
            let manifest: DocumentMut = files["Cargo.toml"].parse().unwrap();
            for key in ["edition", "rust-version", "license"] {
                assert_eq!(manifest["package"][key].as_str(), package[key].as_str(), "{key}");
            }
            let version = package["version"].as_str().unwrap();
            for section in ["dependencies", "dev-dependencies"] {
                for (name, dependency) in manifest[section].as_table().unwrap() {
                    let theirs = dependency.get("version").unwrap_or(dependency).as_str();
                    let tag = dependency.get("tag").and_then(|tag| tag.as_str());
                    match (name, core) {
                        ("plugin-core", "git") => assert_eq!(tag, Some(&*format!("v{version}"))),
                        ("plugin-core", _) => assert_eq!(theirs, Some(version)),
                        _ => {
                            let ours = &workspace["workspace"]["dependencies"][name];
                            let ours = ours.get("version").unwrap_or(ours).as_str();
                            assert_eq!(theirs, ours, "{name}");
                        }
                    }
                }
            }
            assert!(
                files["Dockerfile"]
                    .contains(&format!("rust:{}-", package["rust-version"].as_str().unwrap()))
            );
            assert_eq!(files["rust-toolchain.toml"], text("rust-toolchain.toml"));
            // GitHub's expressions look like the template's own.
            assert!(files[".github/workflows/ci.yml"].contains("group: ci-${{ github.ref }}\n"));
            assert_eq!(files["rustfmt.toml"], text("rustfmt.toml"));
        }
    }

    #[test]
    fn json_schema_has_every_key() {
        let schema: serde_json::Value =
            serde_json::from_str(&text("template/plugin.schema.json")).unwrap();
        let keys = |at: &serde_json::Value| {
            at["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        let mut all =
            String::from("schema = 1\n[chart.values]\n[unmanaged]\n[image]\nrepository = \"x\"\n");
        let values = BTreeMap::from([
            ("name", "\"acme\""),
            ("title", "\"Acme\""),
            ("type", "\"Acme\""),
            ("kind", "\"bridge\""),
            ("language", "\"go\""),
            ("task-package", "\"acme-tasks\""),
            ("mode", "\"sync\""),
            ("task-types", "[\"a\"]"),
            ("optional-task-types", "[]"),
            ("description", "\"x\""),
            ("owner", "\"x\""),
            ("core", "\"git\""),
            ("core-source", "\"https://git.example.com/a/b\""),
            ("core-revision", "\"main\""),
            ("api", "1"),
            ("admin", "2"),
        ]);
        for section in ["plugin", "ports"] {
            all += &format!("[{section}]\n");
            for key in keys(&schema["properties"][section]) {
                all += &format!("{key} = {}\n", values[key.as_str()]);
            }
        }
        PluginToml::parse(&all).unwrap();
        assert_eq!(keys(&schema), ["chart", "image", "plugin", "ports", "schema", "unmanaged"]);
        let unknown = PluginToml::parse(&format!("{all}[other]\n")).unwrap_err().to_string();
        for key in keys(&schema) {
            assert!(unknown.contains(&key), "{unknown}");
        }
    }
}
