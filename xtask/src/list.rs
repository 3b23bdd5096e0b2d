//! `cargo xtask list`: lists the plugins for people, CI matrices and image builds.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value as Json, json};

use crate::{
    exit::{Exit, usage},
    home::{self, Home},
    image,
    process::{cargo, program},
    scaffold::{
        generator::Generator,
        kind::Kind,
        project::{Member, Project},
        render,
    },
};

/// Lists plugins, with the details that CI and image builds need.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only plugins that changed since --base, themselves or through their dependencies.
    #[arg(long, requires = "base")]
    affected: bool,

    /// Revision to compare with, for example origin/main.
    #[arg(long, value_name = "REV", requires = "affected")]
    base: Option<String>,

    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Registry of the images, such as registry.example.com/team [default: the workspace's; none in a plain checkout].
    #[arg(long, value_parser = home::check_registry)]
    registry: Option<String>,
}

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Format {
    /// Human-readable.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// A GitHub Actions matrix on one line, for `fromJSON`.
    Github,
    /// A file for `docker buildx bake -f -`: every image, for amd64 and arm64.
    Bake,
}

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let home = Home::of(&generator.project.root).unwrap_or_default();
    let mut members = generator.project.members()?;
    if let Some(base) = &args.base {
        let affected = affected(&generator.project, base)?;
        members
            .retain(|member| affected.as_ref().is_none_or(|names| names.contains(member.name())));
    }
    let rows = members
        .iter()
        .map(|member| row(args, &home, generator, member))
        .collect::<Result<Vec<_>>>()?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&rows)?),
        Format::Github => println!("{}", json!({ "include": rows })),
        Format::Bake => {
            let built = rows.into_iter().filter(|row| !row["dockerfile"].is_null());
            let rows = built.chain(other_images(args, &home, generator)).collect::<Vec<_>>();
            let bake = bake(&rows, &generator.project.version()?);
            println!("{}", serde_json::to_string_pretty(&bake)?);
        }
        Format::Text => members.iter().for_each(|member| {
            let types = member.file.plugin.task_types.iter().map(ToString::to_string);
            println!("{:<24} {}", member.name(), types.collect::<Vec<_>>().join(", "));
        }),
    }
    Ok(Exit::Ok)
}

fn row(args: &Args, home: &Home, generator: &Generator, member: &Member) -> Result<Json> {
    let plugin = &member.file.plugin;
    let place = generator.project.layout.place(plugin);
    Ok(json!({
        "name": plugin.name,
        "kind": plugin.kind,
        "language": plugin.language,
        "mode": plugin.mode,
        "task_types": plugin.task_types,
        "optional_task_types": plugin.optional_task_types,
        "description": plugin.description,
        "owner": plugin.owner,
        "ports": member.file.ports,
        "image": home.image(args.registry.as_deref(), &render::image(&member.file)),
        // A plugin that is a file has no image of its own.
        "dockerfile": (plugin.kind != Kind::Declarative).then(|| place.path("Dockerfile")),
        "context": context(generator, member),
        "chart": place.path("chart/").trim_end_matches('/'),
    }))
}

/// The directory that an image is built from: a plugin behind the bridge needs its own files alone.
fn context(generator: &Generator, member: &Member) -> String {
    let directory = generator.project.layout.place(&member.file.plugin).directory();
    let own = member.file.plugin.kind == Kind::Bridge && !directory.is_empty();
    if own { directory } else { ".".to_owned() }
}

/// Images of this repository's programs that are not plugins.
fn other_images(args: &Args, home: &Home, generator: &Generator) -> impl Iterator<Item = Json> {
    let root = generator.project.root.clone();
    image::OTHERS.into_iter().filter_map(move |(name, directory)| {
        let dockerfile = format!("{directory}/Dockerfile");
        let row = json!({
            "name": name,
            "image": home.image(args.registry.as_deref(), name),
            "dockerfile": dockerfile,
            "context": ".",
        });
        root.join(dockerfile).is_file().then_some(row)
    })
}

/// The path of an image's Dockerfile in the directory that it is built from, as bake wants it.
fn below(row: &Json) -> &str {
    let text = |key: &str| row[key].as_str().unwrap_or_default();
    let own = text("dockerfile").strip_prefix(text("context"));
    own.map_or(text("dockerfile"), |path| path.trim_start_matches('/'))
}

/// The file for `docker buildx bake`.
fn bake(rows: &[Json], version: &str) -> Json {
    let name = |row: &Json| row["name"].as_str().unwrap_or_default().to_owned();
    let target = |row: &Json| {
        let image = row["image"].as_str().unwrap_or_default();
        let target = json!({
            "context": row["context"],
            "dockerfile": below(row),
            "tags": [format!("{image}:{version}")],
            "platforms": ["linux/amd64", "linux/arm64"],
            "args": { "VERSION": version },
            "attest": ["type=provenance,mode=max", "type=sbom"],
        });
        (name(row), target)
    };
    json!({
        "group": { "default": { "targets": rows.iter().map(name).collect::<Vec<_>>() } },
        "target": rows.iter().map(target).collect::<BTreeMap<_, _>>(),
    })
}

/// Files that every package depends on.
const SHARED: [&str; 4] = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml"];

/// The packages that changed since `base`; `None` for all.
fn affected(project: &Project, base: &str) -> Result<Option<BTreeSet<String>>> {
    let changed = changed(project, base)?;
    if changed.iter().any(|file| SHARED.contains(&file.as_str())) {
        return Ok(None);
    }
    let packages = packages(project)?;
    let mut affected =
        changed.iter().filter_map(|file| owner(file, &packages)).collect::<BTreeSet<_>>();
    loop {
        let reached = packages.iter().filter(|(name, package)| {
            !affected.contains(*name) && package.depends_on.iter().any(|on| affected.contains(on))
        });
        let reached = reached.map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if reached.is_empty() {
            return Ok(Some(affected));
        }
        affected.extend(reached);
    }
}

/// The package that `file` belongs to, or the plugin whose chart or page it is, or which has no package.
fn owner(file: &str, packages: &BTreeMap<String, Package>) -> Option<String> {
    let below = file.strip_prefix("charts/").or_else(|| file.strip_prefix("plugins/"));
    let chart = below.and_then(|rest| rest.split('/').next());
    let page = file.strip_prefix("docs/plugins/").and_then(|rest| rest.strip_suffix(".md"));
    if let Some(name) = chart.or(page) {
        return Some(name.to_owned());
    }
    let holds = |package: &&(&String, &Package)| {
        let directory = &package.1.directory;
        directory.is_empty() || file.starts_with(&format!("{directory}/"))
    };
    let deepest =
        packages.iter().filter(|package| holds(&package)).max_by_key(|(_, p)| p.directory.len());
    deepest.map(|(name, _)| name.clone())
}

/// Files below the root that differ from the merge base with `base`, committed or not.
fn changed(project: &Project, base: &str) -> Result<Vec<String>> {
    let git = |args: &[&str]| -> Result<Vec<String>> {
        let output = program("git").current_dir(&project.root).args(args).output();
        let output = output.context("cannot run git")?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Err(usage(format!("git {}: {}", args.join(" "), message.trim())));
        }
        let names = String::from_utf8(output.stdout)?;
        Ok(names.split('\0').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect())
    };
    let mut files = git(&[
        "diff",
        "-z",
        "--relative",
        "--name-only",
        "--no-renames",
        "--merge-base",
        "--end-of-options",
        base,
        "--",
    ])?;
    files.extend(git(&["ls-files", "-z", "--others", "--exclude-standard"])?);
    Ok(files)
}

/// A member of the workspace.
struct Package {
    /// Relative to the root.
    directory: String,
    /// Other members that it depends on.
    depends_on: Vec<String>,
}

fn packages(project: &Project) -> Result<BTreeMap<String, Package>> {
    let output = cargo(&["metadata", "--no-deps", "--format-version=1"])
        .current_dir(&project.root)
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Json = serde_json::from_slice(&output.stdout)?;
    let root = project.root.canonicalize()?;
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let package = |each: &Json| {
        let manifest = text(&each["manifest_path"]);
        let directory = std::path::Path::new(&manifest).parent()?.strip_prefix(&root).ok()?;
        let own = list(&each["dependencies"]).into_iter().filter(|on| on["path"].is_string());
        let depends_on = own.map(|on| text(&on["name"])).collect();
        let directory = directory.to_string_lossy().into_owned();
        Some((text(&each["name"]), Package { directory, depends_on }))
    };
    Ok(list(&metadata["packages"]).iter().filter_map(package).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_deepest_package_around_it() {
        let package =
            |directory: &str| Package { directory: directory.to_owned(), depends_on: Vec::new() };
        let packages =
            [("tests".to_owned(), package("tests")), ("guide".to_owned(), package("tests/guide"))];
        let packages = BTreeMap::from(packages);
        assert_eq!(owner("tests/guide/src/lib.rs", &packages).as_deref(), Some("guide"));
        assert_eq!(owner("tests/it/a.rs", &packages).as_deref(), Some("tests"));
        assert_eq!(owner("plugins/x/plugin.py", &packages).as_deref(), Some("x"));
        assert_eq!(owner("charts/x/Chart.yaml", &packages).as_deref(), Some("x"));
        assert_eq!(owner("docs/plugins/x.md", &packages).as_deref(), Some("x"));
        assert_eq!(owner("README.md", &packages), None);
    }
}
