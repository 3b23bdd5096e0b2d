//! `cargo xtask release`: what a release needs, its notes, and the record of released charts.

mod artefacts;
mod changelog;
pub(crate) mod charts;
mod circumstances;
mod migrations;
pub(crate) mod publish;
mod raise;
mod tree;
mod versions;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::ArgGroup;
use serde_json::json;

use self::{
    artefacts::Artefacts,
    tree::{Finding, RELEASED, Tree},
};
use crate::{
    exit::{self, Exit, usage},
    home::{self, Home},
    process::write,
    scaffold::{generator::Generator, report::Format},
};

/// Prepares a release: raises the version, checks that everything is ready, prints its notes, or records its charts.
///
/// A release is a tag `vVERSION`: .github/workflows/release.yml builds, pushes and signs what `--check` lists. Before the tag: `--raise
/// VERSION`, `--record`, and `--check --tag vVERSION`. CONTRIBUTING.md has all steps.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP, group = ArgGroup::new("task").required(true))]
pub(crate) struct Args {
    /// Check versions, changelog, migrations and charts; print what is built, and where it is pushed.
    #[arg(long, group = "task")]
    check: bool,

    /// Print the notes of the release: its section of CHANGELOG.md, and how to verify what it publishes.
    #[arg(long, group = "task")]
    notes: bool,

    /// Raise the version in manifests, Python packages and documents, and give what is unreleased in CHANGELOG.md its heading.
    #[arg(long, group = "task", value_name = "VERSION")]
    raise: Option<String>,

    /// Record the digests of the charts in released.toml. From then on, charts that change need a new version.
    #[arg(long, group = "task")]
    record: bool,

    /// Also build every artefact for this machine, which takes minutes.
    #[arg(long, requires = "check")]
    build: bool,

    /// The tag that is released, such as v0.1.0: everything must be ready now, and the tag's commit be of the default branch.
    #[arg(long, requires = "check", value_name = "TAG")]
    tag: Option<String>,

    /// Registry to push to, such as registry.example.com/team [default: the workspace's, or else OUTRIGGER_REGISTRY].
    #[arg(long, value_parser = home::check_registry)]
    registry: Option<String>,

    /// How to print what is checked.
    #[arg(long, value_enum, default_value_t, alias = "output")]
    format: Format,
}

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let root = &generator.project.root;
    let tree = Tree::read(root)?;
    let home = home_of(root, args.registry.as_deref())?;
    let release = Artefacts::of(generator, &home, &tree)?;
    if args.notes {
        println!("{}", notes(&tree, &release)?);
        return Ok(Exit::Ok);
    }
    if args.record {
        return record(root, &tree);
    }
    if let Some(new) = &args.raise {
        let changed = raise::raise(root, &tree, &release.version, new, &names(&release))?;
        changed.iter().for_each(|path| println!("{path}"));
        println!("{NEXT}");
        return Ok(Exit::Ok);
    }
    let mut found = findings(&tree, &release, args.tag.as_deref());
    found.extend(args.tag.iter().flat_map(|tag| circumstances::check(root, tag)));
    report(args, &tree, &release, &found)?;
    if !found.is_empty() {
        return Ok(Exit::Drift);
    }
    if args.build {
        publish::build(generator, &home, &release)?;
    }
    Ok(Exit::Ok)
}

/// What is left to do when the version was raised.
const NEXT: &str = "
next:  raise plugin-core in template/service/Cargo.toml.liquid, as a new version of the template
       cargo xtask sync --all
       CHARTS_UPDATE=1 pytest tests/charts/test_golden.py, and python tests/charts/kustomize.py, as tests/charts/README.md shows
       describe in docs/upgrading.md what breaks
       cargo xtask release --record, then cargo xtask release --check --tag vVERSION";

/// The names that images and charts have.
fn names(release: &Artefacts) -> Vec<String> {
    let images = release.images.iter().map(|image| &image.name);
    images.chain(&release.charts).cloned().collect()
}

/// Where a release goes: to `registry`, if the user named one.
fn home_of(root: &Path, registry: Option<&str>) -> Result<Home> {
    let mut home = Home::of_release(root)?;
    if let Some(registry) = registry {
        registry.clone_into(&mut home.registry);
    }
    Ok(home)
}

/// Refuses charts that differ from what was released under their version.
///
/// # Errors
/// One line for each such chart.
pub(crate) fn check_charts(root: &Path) -> Result<()> {
    let found = charts::check(&Tree::read(root)?);
    if found.is_empty() {
        return Ok(());
    }
    bail!("{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn findings(tree: &Tree, release: &Artefacts, tag: Option<&str>) -> Vec<Finding> {
    let version = &release.version;
    let mut found = Vec::new();
    let named = || {
        tree.text("Cargo.toml")
            .and_then(|text| versions::value_in(text, "workspace.package", "version"))
    };
    let line = named().map_or(0, |(line, _)| line);
    if !versions::is_version(version) {
        let message = format!("version '{version}' is not of the form 1.2.3 or 1.2.3-rc.1");
        found.push(Finding::new("Cargo.toml", line, message));
        return found;
    }
    if let Some(tag) = tag.filter(|tag| *tag != format!("v{version}")) {
        let message = format!("version is {version}, so its tag is v{version}, not {tag}");
        found.push(Finding::new("Cargo.toml", line, message));
    }
    found.extend(versions::check(tree, version, &names(release)));
    found.extend(changelog::check(tree, version, tag.is_some()));
    found.extend(migrations::check(tree, version));
    found.extend(charts::check(tree));
    if tag.is_some() {
        found.extend(charts::unrecorded(tree));
    }
    found
}

/// What is worth knowing, and no reason to stop.
fn remarks(tree: &Tree, release: &Artefacts) -> Vec<String> {
    let version = &release.version;
    let pending = changelog::has_pending(tree).then(|| {
        format!("CHANGELOG.md: what is [Unreleased] is not part of {version}: raise the version for a release that has it")
    });
    let nowhere = release.registry.is_none().then(|| {
        "Cargo.toml: [workspace.metadata.outrigger] names no registry; a release needs --registry or OUTRIGGER_REGISTRY".to_owned()
    });
    pending.into_iter().chain(nowhere).collect()
}

fn report(args: &Args, tree: &Tree, release: &Artefacts, found: &[Finding]) -> Result<()> {
    let remarks = remarks(tree, release);
    match args.format {
        Format::Json => {
            let report = json!({ "findings": found, "remarks": remarks, "plan": release });
            println!("{}", serde_json::to_string_pretty(&report)?);
        }
        Format::Github => {
            for Finding { file, line, message } in found {
                println!("::error file={file},line={line}::{message}");
            }
            remarks.iter().for_each(|remark| println!("::notice::{remark}"));
            print!("{release}");
        }
        Format::Text => {
            found.iter().for_each(|finding| eprintln!("error: {finding}"));
            remarks.iter().for_each(|remark| eprintln!("note: {remark}"));
            print!("{release}");
            let verdict = match found.len() {
                0 => "Ready.".to_owned(),
                some => format!("Not ready: {some} to mend."),
            };
            println!("{verdict}");
        }
    }
    Ok(())
}

fn record(root: &Path, tree: &Tree) -> Result<Exit> {
    let changed = charts::check(tree);
    if let Some(first) = changed.first() {
        return Err(exit::refused(first.to_string()));
    }
    write(&root.join(RELEASED), charts::record(tree)?)?;
    println!("{}", RELEASED);
    Ok(Exit::Ok)
}

/// The changes of the release, where its artefacts are and how to verify them.
fn notes(tree: &Tree, release: &Artefacts) -> Result<String> {
    let Artefacts { version, repository, .. } = release;
    let text = tree.text(changelog::CHANGELOG).context("CHANGELOG.md is missing")?;
    let changes = changelog::notes(text, version).ok_or_else(|| {
        usage(format!("CHANGELOG.md has no section `## [{version}] - YYYY-MM-DD`"))
    })?;
    let upgrading = match repository.trim_end_matches('/') {
        "" => "docs/upgrading.md".to_owned(),
        url => format!("[docs/upgrading.md]({url}/blob/v{version}/docs/upgrading.md)"),
    };
    let mut notes = format!("{changes}\n\nWhat to do at an upgrade: {upgrading}.\n");
    if let Some(registry) = &release.registry {
        notes.push_str(&format!(
            "\n## Install\n\n```sh\nhelm install bigquery oci://{registry}/{}/bigquery --version {version}\n```\n",
            artefacts::CHARTS
        ));
        notes.push_str(&verify(registry, repository, version, circumstances::is_attested()));
    }
    Ok(notes)
}

/// How to verify signatures, SBOMs and, if it is attested, provenance. docs/operating.md shows the same commands.
fn verify(registry: &str, repository: &str, version: &str, attested: bool) -> String {
    if repository.is_empty() {
        return String::new();
    }
    let slug = repository.splitn(4, '/').nth(3).unwrap_or(repository);
    let values = [
        format!("repository={slug} registry={registry} version={version}"),
        format!("workflow={repository}/.github/workflows/release.yml@refs/tags/v$version"),
    ];
    let provenance = if attested { format!("\n{PROVENANCE}") } else { String::new() };
    format!("\n## Verify\n\n```sh\n{}\n{SIGNATURES}{provenance}\n{FILES}\n```\n", values.join("\n"))
}

const SIGNATURES: &str = r#"image=$registry/bigquery chart=$registry/charts/bigquery
signed() { "$@" --certificate-identity "$workflow" --certificate-oidc-issuer https://token.actions.githubusercontent.com; }
# Signatures of the image and of the chart.
signed cosign verify "$image:$version"
signed cosign verify "$chart:$version"
# The SBOM, which each architecture's image has.
amd64=$(skopeo inspect --raw "docker://$image:$version" | jq -r '.manifests[] | select(.platform.architecture == "amd64").digest')
signed cosign verify-attestation --type cyclonedx "$image@$amd64" > sbom.json"#;

const PROVENANCE: &str = r#"# Provenance of the image and of the chart.
gh attestation verify "oci://$image:$version" --repo "$repository"
gh attestation verify "oci://$chart:$version" --repo "$repository""#;

const FILES: &str = "# Files, in the directory that you downloaded them to.
signed cosign verify-blob --new-bundle-format --bundle SHA256SUMS.sigstore.json SHA256SUMS
sha256sum --check --ignore-missing SHA256SUMS";

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str) -> Artefacts {
        Artefacts {
            version: version.to_owned(),
            registry: Some("ghcr.io/acme/outrigger".to_owned()),
            repository: "https://github.com/acme/outrigger".to_owned(),
            images: Vec::new(),
            charts: vec!["bigquery".to_owned()],
            wheels: Vec::new(),
        }
    }

    fn found(files: &[(&str, &str)], version: &str, tag: Option<&str>) -> Vec<String> {
        let found = findings(&Tree::of(files), &release(version), tag);
        found.iter().map(ToString::to_string).collect()
    }

    const CARGO: (&str, &str) = ("Cargo.toml", "[workspace.package]\nversion = \"0.2.0\"\n");
    const LOG: (&str, &str) =
        ("CHANGELOG.md", "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n* It grows.\n");
    const CHART: (&str, &str) =
        ("charts/bigquery/Chart.yaml", "version: 0.2.0\nappVersion: \"0.2.0\"\n");

    #[test]
    fn the_tag_has_the_version() {
        let files = [CARGO, LOG];
        assert_eq!(found(&files, "0.2.0", None), Vec::<String>::new());
        let other = found(&files, "0.2.0", Some("v0.3.0"));
        assert!(other[0].starts_with("Cargo.toml:2: version is 0.2.0, so its tag is v0.2.0"));
        assert!(found(&files, "0.2", None)[0].contains("not of the form"));
    }

    #[test]
    fn a_tag_needs_the_charts_recorded() {
        let files = [CARGO, LOG, CHART];
        assert!(found(&files, "0.2.0", None).is_empty());
        let missing = found(&files, "0.2.0", Some("v0.2.0"));
        assert!(missing[0].starts_with("released.toml: has no digest of bigquery 0.2.0"));
        let record = charts::record(&Tree::of(&files)).unwrap();
        let files = [CARGO, LOG, CHART, (RELEASED, &record)];
        assert!(found(&files, "0.2.0", Some("v0.2.0")).is_empty());
    }

    #[test]
    fn notes_have_the_changes_and_how_to_verify_them() {
        let notes = notes(&Tree::of(&[LOG]), &release("0.2.0")).unwrap();
        assert!(notes.starts_with("* It grows.\n"), "{notes}");
        assert!(notes.contains("oci://ghcr.io/acme/outrigger/charts/bigquery --version 0.2.0"));
        assert!(
            notes.contains(
                "repository=acme/outrigger registry=ghcr.io/acme/outrigger version=0.2.0\n"
            )
        );
        assert!(notes.contains(&format!("{PROVENANCE}\n")));
    }

    #[test]
    fn notes_promise_no_provenance_that_is_not_attested() {
        let commands =
            |attested| verify("r.example.com", "https://g.example.com/a/b", "1.0.0", attested);
        assert!(commands(true).contains("gh attestation"));
        assert!(!commands(false).contains("gh attestation"));
        assert!(commands(false).contains("verify-attestation --type cyclonedx"));
    }

    #[test]
    fn operators_read_the_commands_of_the_notes() {
        let page = include_str!("../../docs/operating.md");
        for part in [SIGNATURES, PROVENANCE, FILES] {
            assert!(page.contains(part), "docs/operating.md lacks:\n{part}");
        }
    }
}
