//! One version for everything: crates, charts, Python packages, and the artefacts that documents name.

use super::tree::{DERIVED, Finding, Tree};

/// What is not of `version`. `images` are the names of the project's images; charts have the names of their directories.
pub(crate) fn check(tree: &Tree, version: &str, images: &[String]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, text) in tree.files() {
        let name = path.rsplit('/').next().unwrap_or_default();
        match name {
            "Cargo.toml" => manifest(path, text, version, &mut found),
            "Cargo.lock" => lock(path, text, version, &mut found),
            "Chart.yaml" => chart(path, text, version, &mut found),
            "pyproject.toml" => package(tree, path, text, version, &mut found),
            "requirements.txt" => requirements(path, text, version, &mut found),
            _ if path == DERIVED => derived(path, text, version, &mut found),
            "openapi.json" => openapi(path, text, version, &mut found),
            _ if is_document(path) => document(path, text, version, images, &mut found),
            _ => {}
        }
    }
    found
}

/// Whether `text` is a version that a release can have: three numbers, and maybe a pre-release.
pub(crate) fn is_version(text: &str) -> bool {
    let (numbers, pre) = text.split_once('-').map_or((text, None), |(n, pre)| (n, Some(pre)));
    let is_number = |part: &str| {
        let digits = !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0'))
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && pre.is_none_or(|pre| !pre.is_empty() && pre.chars().all(legal))
}

/// Major, minor and patch of a version, to compare.
pub(crate) fn numbers(version: &str) -> Vec<u64> {
    let numbers = version.split('-').next().unwrap_or_default().split('.');
    numbers.map(|number| number.parse().unwrap_or_default()).collect()
}

/// The value of `key` in `[table]`, with its line.
pub(crate) fn value_in<'a>(text: &'a str, table: &str, key: &str) -> Option<(usize, &'a str)> {
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == format!("[{table}]");
        } else if let Some(value) = inside.then(|| assigned(line, key)).flatten() {
            return Some((number + 1, value));
        }
    }
    None
}

/// The string that a line of TOML assigns to `key`.
fn assigned<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let value = line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim();
    value.strip_prefix('"')?.split('"').next()
}

fn differs(what: &str, found: &str, version: &str) -> String {
    format!("{what} is {found}, but the workspace's version is {version}")
}

/// A crate's own version, and those by which crates of the workspace depend on each other.
fn manifest(path: &str, text: &str, version: &str, found: &mut Vec<Finding>) {
    let own = value_in(text, "package", "version");
    if let Some((line, other)) = own.filter(|(_, own)| *own != version) {
        let advice = "; write `version.workspace = true`";
        found.push(Finding::new(path, line, differs("version", other, version) + advice));
    }
    for (number, line) in text.lines().enumerate() {
        let inside = line.split_once('{').map(|(_, rest)| rest).unwrap_or_default();
        if !inside.contains("path = ") {
            continue;
        }
        let required = inside.split(',').find_map(|part| assigned(part.trim(), "version"));
        if let Some(other) = required.filter(|required| *required != version) {
            let name = line.split_whitespace().next().unwrap_or_default();
            let what = format!("the required version of {name}");
            found.push(Finding::new(path, number + 1, differs(&what, other, version)));
        }
    }
}

/// Packages without a source are the workspace's.
fn lock(path: &str, text: &str, version: &str, found: &mut Vec<Finding>) {
    let mut line = 1;
    for block in text.split("\n\n") {
        let value = |key: &str| {
            let lines = block.lines().enumerate();
            lines.filter_map(|(at, text)| Some((at, assigned(text, key)?))).next()
        };
        if let (Some((_, name)), Some((at, own)), None) =
            (value("name"), value("version"), value("source"))
            && own != version
        {
            let message = differs(&format!("version of {name}"), own, version);
            found.push(Finding::new(path, line + at, message + "; run `cargo check`"));
        }
        line += block.lines().count() + 1;
    }
}

fn chart(path: &str, text: &str, version: &str, found: &mut Vec<Finding>) {
    for key in ["version", "appVersion"] {
        let value = text.lines().enumerate().find_map(|(number, line)| {
            let value = line.strip_prefix(key)?.strip_prefix(':')?.trim().trim_matches('"');
            Some((number + 1, value))
        });
        match value {
            None => found.push(Finding::new(path, 0, format!("has no {key}"))),
            Some((line, other)) if other != version => {
                let message = differs(key, other, version) + "; run `cargo xtask sync --all`";
                found.push(Finding::new(path, line, message));
            }
            Some(_) => {}
        }
    }
}

/// A Python package, whose version may stand in a file that it names.
fn package(tree: &Tree, path: &str, text: &str, version: &str, found: &mut Vec<Finding>) {
    // Without [project] it holds settings of tools alone.
    if value_in(text, "project", "name").is_none() {
        return;
    }
    if let Some((line, own)) = value_in(text, "project", "version") {
        if own != version {
            found.push(Finding::new(path, line, differs("version", own, version)));
        }
        return;
    }
    let Some((line, source)) = value_in(text, "tool.hatch.version", "path") else {
        let message = "has neither project.version nor tool.hatch.version.path";
        return found.push(Finding::new(path, 0, message));
    };
    let source = path.replace("pyproject.toml", source);
    let own = tree.text(&source).and_then(|text| {
        let mut lines = text.lines().enumerate();
        lines.find_map(|(number, line)| Some((number + 1, assigned(line, "__version__")?)))
    });
    match own {
        None => {
            found.push(Finding::new(path, line, format!("{source} does not set __version__")));
        }
        Some((line, own)) if own != version => {
            found.push(Finding::new(&source, line, differs("__version__", own, version)));
        }
        Some(_) => {}
    }
}

/// What a plugin in Python requires of the package for authors.
fn requirements(path: &str, text: &str, version: &str, found: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        let Some(required) = line.trim().strip_prefix("outrigger-plugin") else { continue };
        // An open range would let pip prefer a higher version of somebody else in an index.
        let Some(required) = required.strip_prefix("==") else {
            let message = format!("must require outrigger-plugin=={version}, no other version");
            found.push(Finding::new(path, number + 1, message));
            continue;
        };
        if required != version {
            let message = differs("the required outrigger-plugin", required, version);
            found.push(Finding::new(path, number + 1, message));
        }
    }
}

/// What `cargo generate` lets a plugin require of `plugin-core`.
fn derived(path: &str, text: &str, version: &str, found: &mut Vec<Finding>) {
    let value = text.lines().enumerate().find_map(|(number, line)| {
        let value = line.strip_prefix("variable::set(\"outrigger_version\", \"")?;
        Some((number + 1, value.split('"').next()?))
    });
    match value {
        None => found.push(Finding::new(path, 0, "does not set outrigger_version")),
        Some((line, other)) if other != version => {
            found.push(Finding::new(path, line, differs("outrigger_version", other, version)));
        }
        Some(_) => {}
    }
}

fn openapi(path: &str, text: &str, version: &str, found: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        let own = line.trim().strip_prefix("\"version\": \"").and_then(|at| at.split('"').next());
        if let Some(own) = own.filter(|own| is_version(own) && *own != version) {
            let advice = "; run `cargo run -p tests --bin generate-docs`";
            found.push(Finding::new(path, number + 1, differs("version", own, version) + advice));
        }
    }
}

/// Documents, what is rendered from charts, and what else names images tell of the present version. Documents on changes tell of others.
fn is_document(path: &str) -> bool {
    let history = ["CHANGELOG.md", "docs/upgrading.md"];
    let others = [
        ".github/ISSUE_TEMPLATE/",
        "compose/",
        "docs/flyte-values/",
        "kustomize/",
        "tests/charts/golden/",
        "tests/cluster/",
    ];
    let is_other = others.iter().any(|directory| path.starts_with(directory));
    (path.ends_with(".md") || is_other) && !history.contains(&path)
}

/// Versions that follow the name of an artefact: `bigquery:0.1.0`, `outrigger_plugin-0.1.0`.
fn document(path: &str, text: &str, version: &str, images: &[String], found: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        for (before, other) in versions(line) {
            if other != version && names_an_artefact(before, images) {
                let name = before.rsplit([' ', '/', '"']).next().unwrap_or(before);
                let what = format!("{name}{other} names an artefact whose version");
                found.push(Finding::new(path, number + 1, differs(&what, other, version)));
            }
        }
    }
}

fn names_an_artefact(before: &str, images: &[String]) -> bool {
    let marks = [
        "outrigger_plugin-",
        "outrigger_flytekit-",
        "newTag: ",
        "app.kubernetes.io/version: ",
        "$name:",
    ];
    let is_name = |name: &String| {
        [':', '-'].iter().any(|mark| {
            let rest = before.strip_suffix(*mark).and_then(|rest| rest.strip_suffix(name.as_str()));
            rest.is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric() || c == '-'))
        })
    };
    marks.iter().any(|mark| before.ends_with(mark)) || images.iter().any(is_name)
}

/// Each `N.N.N` of a line, with what stands before it.
fn versions(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let starts = line.char_indices().filter(|(at, c)| {
        let before = line[..*at].chars().next_back();
        c.is_ascii_digit() && !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.')
    });
    starts.filter_map(|(at, _)| {
        let rest = &line[at..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let text = rest[..end].trim_end_matches('.');
        is_version(text).then_some((&line[..at], text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHART: &str = "apiVersion: v2\nname: a\nversion: 0.2.0\nappVersion: \"0.2.0\"\n";

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let images = ["bigquery".to_owned(), "proxy".to_owned()];
        check(&Tree::of(files), "0.2.0", &images).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_template_lets_plugins_require_this_release() {
        let of = |text| found(&[(DERIVED, text)]);
        assert!(of("variable::set(\"outrigger_version\", \"0.2.0\");\n").is_empty());
        let old = of("// x\nvariable::set(\"outrigger_version\", \"0.1.0\");\n");
        assert!(
            old[0].starts_with("template/service/derive.rhai:2: outrigger_version is 0.1.0"),
            "{old:?}"
        );
        assert!(of("")[0].ends_with("does not set outrigger_version"));
    }

    #[test]
    fn crates_that_inherit_their_version_agree() {
        let files = [("a/Cargo.toml", "[package]\nname = \"a\"\nversion.workspace = true\n")];
        assert!(found(&files).is_empty());
    }

    #[test]
    fn a_crate_with_another_version_is_named_with_its_line() {
        let files = [("a/Cargo.toml", "[package]\nname = \"a\"\nversion = \"0.1.0\"\n")];
        let found = found(&files);
        assert!(found[0].starts_with("a/Cargo.toml:3: version is 0.1.0, but the"), "{found:?}");
    }

    #[test]
    fn versions_between_crates_agree() {
        let text = "[workspace.dependencies]\na = { path = \"a\", version = \"0.1.0\" }\naxum = { version = \"0.8.9\" }\n";
        let found = found(&[("Cargo.toml", text)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("Cargo.toml:2: the required version of a is"), "{found:?}");
    }

    #[test]
    fn the_lock_file_is_of_this_version() {
        let text = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\nsource = \"registry\"\n";
        let found = found(&[("Cargo.lock", text)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("Cargo.lock:5: version of a is 0.1.0"), "{found:?}");
    }

    #[test]
    fn both_versions_of_a_chart_count() {
        assert!(found(&[("charts/a/Chart.yaml", CHART)]).is_empty());
        let old = CHART.replace("\"0.2.0\"", "\"0.1.0\"");
        let found = found(&[("charts/a/Chart.yaml", &old)]);
        assert!(found[0].starts_with("charts/a/Chart.yaml:4: appVersion is 0.1.0"), "{found:?}");
    }

    #[test]
    fn a_python_package_may_keep_its_version_in_its_source() {
        let project = "[project]\nname = \"p\"\ndynamic = [\"version\"]\n\n[tool.hatch.version]\npath = \"src/__init__.py\"\n";
        let of =
            |source: &str| found(&[("c/pyproject.toml", project), ("c/src/__init__.py", source)]);
        assert!(of("__version__ = \"0.2.0\"\n").is_empty());
        let old = of("\n__version__ = \"0.1.0\"\n");
        assert!(old[0].starts_with("c/src/__init__.py:2: __version__ is 0.1.0"), "{old:?}");
        assert!(of("")[0].starts_with("c/pyproject.toml:6: c/src/__init__.py does not set"));
        let fixed = "[project]\nname = \"p\"\nversion = \"0.1.9\"\n";
        assert!(found(&[("c/pyproject.toml", fixed)])[0].starts_with("c/pyproject.toml:3: "));
        assert!(found(&[("c/pyproject.toml", "[tool.ruff]\nline-length = 120\n")]).is_empty());
    }

    #[test]
    fn a_requirement_suits_the_version() {
        let of = |required: &str| found(&[("p/requirements.txt", required)]).len();
        assert_eq!(of("outrigger-plugin==0.2.0\npsycopg==3.3.9\n"), 0);
        for other in ["==0.1.0", "==0.2.1", "~=0.2.0", ">=0.2.0", ""] {
            assert_eq!(of(&format!("outrigger-plugin{other}\n")), 1, "{other}");
        }
    }

    #[test]
    fn documents_name_artefacts_of_this_version() {
        let text = "Flyte 1.16.8, Helm 3.12.0\n`r.example/t/bigquery:0.1.0` `my-bigquery:0.1.0`\n\n pip install outrigger_plugin-0.1.0-py3.whl\nproxy-0.1.0.tgz bigquery:0.2.0\n";
        let found = found(&[("docs/a.md", text), ("docs/upgrading.md", text)]);
        let lines = found.iter().map(|one| one.split(':').nth(1).unwrap()).collect::<Vec<_>>();
        assert_eq!(lines, ["2", "4", "5"], "{found:?}");
        assert!(found[0].contains("bigquery:0.1.0 names an artefact"), "{found:?}");
    }

    #[test]
    fn the_api_document_has_this_version() {
        assert_eq!(found(&[("docs/openapi.json", "\n  \"version\": \"0.1.0\"\n")]).len(), 1);
    }

    #[test]
    fn versions_are_semantic() {
        for good in ["0.1.0", "10.20.30", "1.0.0-rc.1"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["1.0", "v1.0.0", "01.0.0", "1.0.0-", "1..0", "1.0.0.0"] {
            assert!(!is_version(bad), "{bad}");
        }
        assert!(numbers("0.10.0") > numbers("0.9.9"));
    }
}
