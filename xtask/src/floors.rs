//! Which room of a crate may import which: rooms stand on floors, and no import points upwards or closes
//! a circle.
//!
//! A room is a module at the root of a crate, with its children. A child may use what its own parent
//! defines; that is no circle.

mod circles;
mod imports;

use std::{collections::BTreeMap, path::Path};

use self::imports::{Crate, Import};

/// The rooms of one floor.
type Floor = &'static [&'static str];

/// The floors of crates, from the ground up. Rooms on one floor may not import each other, unless
/// [`circles`] finds their order; `lib.rs` is above them all. A crate that is not listed is checked for
/// circles alone.
const FLOORS: [(&str, &[Floor]); 3] = [
    (
        "server-core",
        &[
            &["json", "text"],
            &["address", "digest", "duration", "error", "metrics", "service_info", "variables"],
            &["program", "telemetry", "tls", "token_file"],
            &["admin", "listen"],
            &["serving"],
        ],
    ),
    (
        "plugin-core",
        &[
            &["sql", "task"],
            &["context"],
            &["handle", "metrics", "record", "wire"],
            &["upstream"],
            &["aws", "google"],
            &["plugin"],
            &["erased"],
            &["verbs"],
            &["server"],
            &["run"],
            &["testing"],
        ],
    ),
    (
        "xtask",
        &[
            &["ci", "command_line", "exit", "prompt", "workspace"],
            &["process"],
            &["cargo_tools", "floors", "go", "home", "python", "recording", "scaffold", "times"],
            &[
                "badges",
                "dependencies",
                "flyte2",
                "guide",
                "image",
                "labels",
                "local_service",
                "site",
                "template_notes",
                "token",
                "verify",
            ],
            &["bundle"],
            &[
                "advisories",
                "bench",
                "beside",
                "demo",
                "flyte_values",
                "image_test",
                "list",
                "package",
                "prepare",
                "remove_plugin",
                "status",
                "sync",
                "template_test",
                "wheel",
            ],
            &["invariants", "new_plugin", "release"],
            &["outrigger", "test"],
        ],
    ),
];

/// What was checked, and what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// A line for each crate.
    pub(crate) checked: Vec<String>,
    /// A line for each broken rule, beginning with file and line.
    pub(crate) broken: Vec<String>,
}

/// Checks `sources`: the text of each Rust file below a `src` folder, by its path in the repository.
pub(crate) fn check<'a>(sources: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Report {
    let mut crates = BTreeMap::<&str, Crate<'_>>::new();
    for (path, text) in sources {
        let path = path.to_str().unwrap_or_default();
        if let Some((name, file)) = path.split_once("/src/") {
            crates.entry(name).or_default().add(file, text);
        }
    }
    let mut report = Report::default();
    for (name, code) in &crates {
        check_crate(name, code, &mut report);
    }
    report
}

fn check_crate(name: &str, code: &Crate<'_>, report: &mut Report) {
    let imports = code.imports();
    let circles = circles::find(&imports);
    let floors = FLOORS.iter().find(|(listed, _)| *listed == name).map(|(_, floors)| *floors);
    let mut line = format!("{name}: {} files, {} circles", code.len(), circles.len());
    if let Some(floors) = floors {
        let rooms = floors.iter().map(|floor| floor.join(", ")).collect::<Vec<_>>();
        line = format!("{line}; {}", rooms.join(" < "));
        check_table(name, code, floors, report);
        let upward = imports.iter().filter_map(|import| upward(floors, import));
        report.broken.extend(upward.map(|why| format!("{name}/src/{why}")));
    }
    report.checked.push(line);
    report.broken.extend(circles.iter().map(|circle| format!("{name}/src/{circle}")));
}

/// Every room is in the table, and every entry of the table is a room.
fn check_table(name: &str, code: &Crate<'_>, floors: &[Floor], report: &mut Report) {
    let listed = || floors.iter().flat_map(|floor| floor.iter().copied());
    let rooms = code.rooms();
    for room in rooms.iter().filter(|room| !listed().any(|listed| listed == **room)) {
        let rule = "a new room needs a floor in xtask/src/floors.rs";
        report.broken.push(format!("{name}/src/{room}.rs:1: {rule}"));
    }
    for gone in listed().filter(|listed| !rooms.contains(listed)) {
        let rule = "listed in xtask/src/floors.rs, and not a room";
        report.broken.push(format!("{name}/src/{gone}.rs:1: {rule}"));
    }
}

/// What is wrong with an import that points to a higher floor.
fn upward(floors: &[Floor], import: &Import) -> Option<String> {
    let floor_of = |room: &str| {
        let found = floors.iter().position(|floor| floor.contains(&room));
        found.unwrap_or(floors.len())
    };
    let room = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    let (from, to) = (room(&import.from), room(&import.to));
    if from.is_empty() || floor_of(&to) <= floor_of(&from) {
        return None;
    }
    let to = if to.is_empty() { "lib.rs" } else { &to };
    let Import { file, line, .. } = import;
    Some(format!(
        "{file}:{line}: {from} imports {to}, which stands above it: a room imports only what is below"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(sources: &[(&str, &str)]) -> Vec<String> {
        check(sources.iter().map(|(path, text)| (Path::new(*path), *text))).broken
    }

    #[test]
    fn an_import_that_points_upwards_is_refused_by_file_and_line() {
        let (_, floors) = FLOORS.iter().find(|(name, _)| *name == "server-core").unwrap();
        let rooms = floors.iter().flat_map(|floor| floor.iter());
        let files = rooms.map(|room| (format!("server-core/src/{room}.rs"), "//! x\n"));
        let mut files = files.collect::<BTreeMap<_, _>>();
        let all = |files: &BTreeMap<String, &'static str>| {
            broken(&files.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>())
        };
        assert_eq!(all(&files), [""; 0]);
        for (text, line) in [
            (
                "//! x\n\nuse std::fmt;\n\nuse crate::{\n    digest::hex,\n    serving::Serving,\n};\n",
                5,
            ),
            ("//! x\nfn f() {\n    crate::serving::f();\n}\n", 3),
            ("//! x\nuse super::serving;\n", 2),
        ] {
            files.insert("server-core/src/tls.rs".to_owned(), text);
            let rule =
                "tls imports serving, which stands above it: a room imports only what is below";
            assert_eq!(all(&files), [format!("server-core/src/tls.rs:{line}: {rule}")], "{text}");
        }
        files.insert("server-core/src/tls.rs".to_owned(), "//! x\nuse crate::anything;\n");
        assert!(all(&files)[0].contains("tls imports lib.rs"), "{:?}", all(&files));
        files.insert("server-core/src/tls.rs".to_owned(), "//! x\n");
        files.insert("server-core/src/new.rs".to_owned(), "//! x\n");
        files.remove("server-core/src/admin.rs");
        let table = all(&files);
        assert!(table[0].starts_with("server-core/src/new.rs:1: a new room needs a floor"));
        assert!(table[1].starts_with("server-core/src/admin.rs:1: listed in"));
    }

    #[test]
    fn a_circle_is_refused_through_a_reexport_and_within_a_room() {
        let found = broken(&[
            ("services/x/src/lib.rs", "mod a;\nmod b;\npub use self::b::B;\n"),
            ("services/x/src/a.rs", "//! x\n\nuse crate::B;\n"),
            ("services/x/src/b.rs", "//! x\nuse super::a;\n"),
        ]);
        let rule = "closes a circle of imports: b.rs -> a.rs -> b.rs";
        assert_eq!(found, [format!("services/x/src/b.rs:2: {rule}")]);
        let found = broken(&[
            ("services/x/src/a.rs", "mod b;\nmod c;\nuse self::b::B;\nstruct A;\n"),
            ("services/x/src/a/b.rs", "use super::{A, c};\n"),
            ("services/x/src/a/c.rs", "use super::B;\n"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("a/b.rs -> a/c.rs -> a/b.rs"), "{found:?}");
    }

    #[test]
    fn tests_comments_and_other_crates_are_not_imports() {
        let found = broken(&[
            (
                "services/x/src/a.rs",
                "// use crate::b;\nuse other::b;\n#[cfg(all(test, feature = \"x\"))]\nmod tests {\n    use crate::b;\n}\n",
            ),
            ("services/x/src/b.rs", "use crate::a;\n"),
            ("services/x/src/a/tests.rs", "use crate::b;\n"),
        ]);
        assert_eq!(found, [""; 0]);
    }
}
