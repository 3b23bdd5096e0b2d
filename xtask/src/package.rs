//! `cargo xtask package`: packages charts for a release, with registry and digests stamped in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value as Json, json};

use crate::{
    exit::{self, Exit, usage},
    home::{self, Home},
    process::{program, run as run_program, works, write},
    scaffold::{chart_values, generator::Generator},
    target, verify,
};

/// Packages charts for a release.
///
/// The charts in the tree name no registry, because a checkout has no images. This stamps the registry, the images'
/// digests and the sources' URL into copies, and packages these with Helm: they install without values. Push them with
/// `helm push FILE oci://REGISTRY/charts`: a chart and its image have one name, and must not share a repository.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// Charts to package [default: all].
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Registry of the images, such as registry.example.com/team [default: the workspace's].
    #[arg(long, value_parser = home::check_registry)]
    registry: Option<String>,

    /// The digest of an image, such as `bigquery=sha256:…`; may be repeated. Every image of the charts needs one, the
    /// sidecar's (propeller-proxy) too.
    #[arg(long = "digest", value_name = "NAME=DIGEST", value_parser = digest)]
    digests: Vec<(String, String)>,

    /// Package charts without digests, which pull their images by tag.
    #[arg(long, conflicts_with = "digests")]
    by_tag: bool,

    /// URL of the sources [default: the workspace's; none in a plain checkout].
    #[arg(long, value_name = "URL")]
    repository: Option<String>,

    /// Directory to write the packages to.
    #[arg(long, value_name = "DIR", default_value = "target/packages")]
    output: PathBuf,
}

/// What is stamped into charts.
pub(crate) struct Stamp<'a> {
    pub(crate) registry: &'a str,
    /// URL of the sources; may be empty.
    pub(crate) repository: &'a str,
    /// By the names of images.
    pub(crate) digests: BTreeMap<&'a str, &'a str>,
    /// Whether images without digests are pulled by tag.
    pub(crate) by_tag: bool,
}

/// A reference to an image in values.yaml: the path of its map, and the image's name there.
struct Reference {
    path: Vec<String>,
    image: String,
}

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let root = &generator.project.root;
    let home = Home::of_release(root)?;
    let registry = home
        .registry(args.registry.as_deref())
        .ok_or_else(|| home::no_registry("packaged charts name their images"))?;
    let stamp = Stamp {
        registry,
        repository: args.repository.as_deref().unwrap_or(&home.repository),
        digests: args.digests.iter().map(|(name, digest)| (&**name, &**digest)).collect(),
        by_tag: args.by_tag,
    };
    package(root, &chosen(root, &args.names)?, &stamp, &root.join(&args.output))?;
    Ok(Exit::Ok)
}

/// Packages the charts in `names` into the directory `output`.
///
/// # Errors
/// If Helm is missing or fails, or an image has no digest.
pub(crate) fn package(
    root: &Path,
    names: &[String],
    stamp: &Stamp<'_>,
    output: &Path,
) -> Result<()> {
    let helm = helm()?;
    std::fs::create_dir_all(output)?;
    for name in names {
        let copy = target("packages-stamped").join(name);
        let _ = std::fs::remove_dir_all(&copy);
        copy_stamped(&root.join("charts").join(name), &copy, stamp)
            .with_context(|| format!("charts/{name}"))?;
        run_program(program(&helm).arg("package").arg(&copy).arg("--destination").arg(output))?;
    }
    Ok(())
}

/// The charts in `names`, or all.
///
/// # Errors
/// If a chart does not exist.
pub(crate) fn chosen(root: &Path, names: &[String]) -> Result<Vec<String>> {
    let charts = std::fs::read_dir(root.join("charts"))?;
    let mut all = charts
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    all.sort();
    match names.iter().find(|name| !all.contains(name)) {
        Some(unknown) => {
            Err(usage(format!("unknown chart '{unknown}'; available: {}", all.join(", "))))
        }
        None if names.is_empty() => Ok(all),
        None => Ok(names.to_vec()),
    }
}

/// Helm, if it is installed.
///
/// # Errors
/// If it is not.
pub(crate) fn helm() -> Result<PathBuf> {
    let helm = verify::helm();
    if !works(program(&helm).arg("version")) {
        return Err(usage("helm is not installed: https://helm.sh/docs/intro/install"));
    }
    Ok(helm)
}

fn copy_stamped(from: &Path, to: &Path, stamp: &Stamp<'_>) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            copy_stamped(&path, &to.join(&name), stamp)?;
            continue;
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let text = match name.as_str() {
            "values.yaml" => values(&text, stamp)?,
            "Chart.yaml" => about(&text, stamp),
            "README.md" => readme(&text, stamp),
            _ => text,
        };
        write(&to.join(name), &text)?;
    }
    Ok(())
}

/// values.yaml with the registry and the digest of each image.
fn values(text: &str, stamp: &Stamp<'_>) -> Result<String> {
    let mut overrides = Map::new();
    set(&mut overrides, &["image"], "registry", stamp.registry);
    for Reference { path, image } in references(text) {
        let path = path.iter().map(String::as_str).collect::<Vec<_>>();
        match stamp.digests.get(&*image) {
            Some(digest) => set(&mut overrides, &path, "digest", digest),
            None if stamp.by_tag => {}
            None => {
                return Err(usage(format!(
                    "--digest {image}=sha256:…: missing; every image of a packaged chart has a digest, unless you give --by-tag"
                )));
            }
        }
    }
    let text = chart_values::overridden(text, &overrides)?;
    Ok(text.replace(&wrapped(OF_A_CHECKOUT), ""))
}

/// A sentence as it is wrapped in the comments of values.yaml.
fn wrapped(sentence: &str) -> String {
    sentence.replace(" in a checkout", " in a\n  # checkout")
}

/// The images that values.yaml refers to: each `repository`, by the maps around it.
fn references(text: &str) -> Vec<Reference> {
    let mut path = Vec::<String>::new();
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let depth = (key.len() - key.trim_start().len()) / 2;
        path.truncate(depth);
        if key.trim() == "repository" && path.last().is_some_and(|above| above == "image") {
            let image = value.trim().rsplit('/').next().unwrap_or_default().to_owned();
            found.push(Reference { path: path.clone(), image });
        }
        path.push(key.trim().to_owned());
    }
    found
}

fn set(values: &mut Map<String, Json>, path: &[&str], key: &str, value: &str) {
    let mut at = values;
    for name in path {
        let inside = at.entry((*name).to_owned()).or_insert_with(|| json!({}));
        let Json::Object(inside) = inside else { return };
        at = inside;
    }
    at.insert(key.to_owned(), value.into());
}

/// Chart.yaml with where the sources are.
fn about(text: &str, stamp: &Stamp<'_>) -> String {
    if stamp.repository.is_empty() {
        return text.to_owned();
    }
    let repository = stamp.repository.trim_end_matches('/');
    format!("{}\nhome: {repository}\nsources:\n  - {repository}\n", text.trim_end())
}

/// The README for somebody who has the package alone: its comment for them instead of what a checkout needs.
fn readme(text: &str, stamp: &Stamp<'_>) -> String {
    let [checkout, packaged] = [
        ("<!-- begin checkout -->\n", "<!-- end checkout -->\n"),
        ("<!-- begin packaged\n", "end packaged -->\n"),
    ];
    let text = within(text, checkout, |_| String::new());
    let text = within(&text, packaged, |text| {
        let text = match stamp.repository {
            "" => text.split(" The service's README").next().unwrap_or_default().to_owned() + "\n",
            repository => text.replace("SOURCES", &format!("<{repository}>")),
        };
        text.replace("REGISTRY", stamp.registry)
    });
    let row = format!("{OF_A_CHECKOUT} |  |");
    text.replace(&row, &format!(" | `{}` |", stamp.registry))
}

/// What a row of the README and a comment of values.yaml say of the registry for a checkout.
const OF_A_CHECKOUT: &str = ". Charts of a release have it set; a chart in a checkout needs yours";

/// `text`, with `change` in the place of each part between `marks`, and without them.
fn within(text: &str, marks: (&str, &str), change: impl Fn(&str) -> String) -> String {
    let mut rest = text;
    let mut all = String::new();
    while let Some((before, after)) = rest.split_once(marks.0)
        && let Some((part, after)) = after.split_once(marks.1)
    {
        all += before;
        all += &change(part);
        rest = after;
    }
    all + rest
}

fn digest(text: &str) -> Result<(String, String), String> {
    let (name, digest) = text.split_once('=').ok_or("expected NAME=sha256:…")?;
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    let legal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if hex.len() != 64 || !hex.chars().all(legal) {
        return Err("a digest is sha256: and 64 hexadecimal digits".to_owned());
    }
    Ok((name.to_owned(), digest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &str = "image:\n  # -- Registry. Charts of a release have it set; a chart in a\n  # checkout needs yours\n  registry: \"\"\n  repository: shout\n  digest: \"\"\nbridge:\n  image:\n    registry: \"\"\n    repository: bridge\n    digest: \"\"\n";

    fn stamp<'a>(digests: &[(&'a str, &'a str)]) -> Stamp<'a> {
        let digests = digests.iter().copied().collect();
        Stamp { registry: "registry.example.com/team", repository: "", digests, by_tag: false }
    }

    #[test]
    fn registry_and_digests_are_stamped() {
        let stamped = values(VALUES, &stamp(&[("shout", "sha256:1"), ("bridge", "sha256:2")]));
        let wanted = VALUES
            .replacen("registry: \"\"", "registry: \"registry.example.com/team\"", 1)
            .replace(
                ". Charts of a release have it set; a chart in a\n  # checkout needs yours",
                "",
            )
            .replacen("digest: \"\"", "digest: \"sha256:1\"", 1)
            .replacen("digest: \"\"", "digest: \"sha256:2\"", 1);
        assert_eq!(stamped.unwrap(), wanted);
    }

    #[test]
    fn an_image_without_a_digest_is_named() {
        let error = values(VALUES, &stamp(&[("shout", "sha256:1")])).unwrap_err().to_string();
        assert!(error.contains("--digest bridge="), "{error}");
        let by_tag = Stamp { by_tag: true, ..stamp(&[]) };
        assert!(values(VALUES, &by_tag).unwrap().contains("digest: \"\""));
        assert!(digest("shout=sha256:12").is_err());
        assert!(digest(&format!("shout=sha256:{}", "a".repeat(64))).is_ok());
    }

    #[test]
    fn the_readme_of_a_package_speaks_of_no_checkout() {
        let root = crate::root();
        let sources = Stamp { repository: "https://git.example.com/a", ..stamp(&[]) };
        for name in chosen(root, &[]).unwrap() {
            let file = root.join("charts").join(&name).join("README.md");
            let text = std::fs::read_to_string(file).unwrap();
            let packaged = readme(&text, &sources);
            let install = format!(
                "helm install {name} oci://registry.example.com/team/charts/{name} --version "
            );
            assert!(packaged.contains(&install), "{packaged}");
            assert!(
                packaged.contains("are in the sources: <https://git.example.com/a>\n"),
                "{packaged}"
            );
            assert!(packaged.contains("`registry.example.com/team` |\n"), "{packaged}");
            for word in [
                "checkout",
                "in this folder",
                "REGISTRY",
                "SOURCES",
                "cargo xtask image",
                "packaged -->",
            ] {
                assert!(!packaged.contains(word), "charts/{name}: {word}\n{packaged}");
            }
            let nowhere = readme(&text, &stamp(&[]));
            assert!(nowhere.contains("come from `registry.example.com/team`.\n\n"), "{nowhere}");
        }
    }

    #[test]
    fn sources_are_stamped_if_they_are_somewhere() {
        assert_eq!(about("name: a\n", &stamp(&[])), "name: a\n");
        let repository = Stamp { repository: "https://git.example.com/a", ..stamp(&[]) };
        assert!(about("name: a\n", &repository).contains("home: https://git.example.com/a\n"));
    }
}
