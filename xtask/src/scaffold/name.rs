//! The one rule for names: what a plugin and a task type may be called.
//!
//! A plugin's name is a directory, a Rust package, a Kubernetes object, a Helm chart and an image at
//! once, so it obeys all of their rules.

use std::fmt;

use heck::{ToKebabCase as _, ToPascalCase as _, ToSnakeCase as _};

/// Leaves room for a release's name before it in Kubernetes' 63.
pub(crate) const MAX_LENGTH: usize = 40;

/// What cannot be a crate's name: keywords of any edition, and crates that the compiler knows.
const RUST: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];
/// Directories that cargo makes below `target/`.
const CARGO: &[&str] = &["build", "deps", "examples", "incremental"];
/// Devices that Windows knows in every directory.
const WINDOWS: &[&str] = &[
    "aux", "com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "con",
    "conin", "conout", "lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8",
    "lpt9", "nul", "prn",
];
/// What this repository calls its own parts, or refuses to call anything.
const REPOSITORY: &[&str] = &[
    "bundle",
    "charts",
    "clients",
    "common",
    "docs",
    "helpers",
    "manager",
    "plugin-core",
    "propeller-proxy",
    "services",
    "template",
    "tests",
    "utils",
    "xtask",
];

/// What a plugin's Rust type cannot be called: what its code uses, or always has.
const TYPES: &[&str] = &[
    "Box",
    "Context",
    "Custom",
    "Err",
    "Error",
    "Http",
    "HttpBuilder",
    "Job",
    "None",
    "Ok",
    "Option",
    "Phase",
    "Plugin",
    "Result",
    "SecretToken",
    "Self",
    "Settings",
    "Some",
    "Status",
    "String",
    "SyncPlugin",
    "Task",
    "TaskType",
    "Value",
    "Vec",
];

/// Whether the plugin's code has something of the name of its Rust type.
pub(crate) fn is_taken_type(name: &str) -> bool {
    TYPES.contains(&name)
}

/// What is already called something.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Plugins.
    pub(crate) plugins: Vec<String>,
    /// Packages of the lockfile: another of the same name would make `cargo -p` ambiguous.
    pub(crate) packages: Vec<String>,
}

/// Why a name will not do, and what would.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    name: String,
    rule: String,
    pub(crate) nearest: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rule, nearest } = self;
        write!(f, "'{name}' cannot be a plugin's name: {rule}. Try: {nearest}")
    }
}

impl std::error::Error for Refusal {}

/// Accepts `name`, or says why not and names the nearest that would be accepted.
pub(crate) fn check(name: &str, taken: &Taken) -> Result<(), Refusal> {
    broken_rule(name, taken).map_or(Ok(()), |rule| {
        Err(Refusal { name: name.to_owned(), rule, nearest: nearest(name, taken) })
    })
}

/// Accepts `name` if it could be a plugin's, were there no others.
///
/// # Errors
/// The rule that it breaks.
pub(crate) fn check_own(name: &str) -> Result<(), String> {
    broken_form(name).or_else(|| reserved(name)).map_or(Ok(()), Err)
}

fn broken_rule(name: &str, taken: &Taken) -> Option<String> {
    check_own(name)
        .err()
        .or_else(|| taken_type(name))
        .or_else(|| near_duplicate(name, &taken.plugins))
        .or_else(|| dependency(name, &taken.packages))
}

fn broken_form(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let rule = if !name.chars().all(legal) {
        "lower-case letters a to z, digits and single dashes only"
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "it begins with a letter"
    } else if name.ends_with('-') || name.contains("--") {
        "dashes stand alone, between letters or digits"
    } else if name.len() < 2 {
        "at least 2 characters"
    } else if name.len() > MAX_LENGTH {
        return Some(format!("at most {MAX_LENGTH} characters; it has {}", name.len()));
    } else {
        return None;
    };
    Some(rule.to_owned())
}

fn reserved(name: &str) -> Option<String> {
    let whose = [
        (RUST, "Rust reserves it"),
        (CARGO, "cargo has a directory of that name below target/"),
        (WINDOWS, "Windows reserves it as a device"),
        (REPOSITORY, "this repository keeps that name for a part of its own, or for none"),
    ];
    whose.iter().find(|(names, _)| names.contains(&name)).map(|(_, rule)| (*rule).to_owned())
}

fn taken_type(name: &str) -> Option<String> {
    let pascal = name.to_pascal_case();
    let rule =
        || format!("its Rust type would be {pascal}, and its code has something of that name");
    is_taken_type(&pascal).then(rule)
}

fn near_duplicate(name: &str, plugins: &[String]) -> Option<String> {
    let bare = |name: &str| name.replace('-', "");
    let other = plugins.iter().find(|other| bare(other) == bare(name))?;
    Some(if other == name {
        "there is a plugin of that name".to_owned()
    } else {
        format!("it differs from the plugin '{other}' in dashes only")
    })
}

fn dependency(name: &str, packages: &[String]) -> Option<String> {
    let same = |package: &&String| package.replace('_', "-") == name;
    packages.iter().find(same).map(|package| {
        format!("the workspace depends on a package '{package}', so `cargo -p {name}` would be ambiguous")
    })
}

/// The legal name that looks most like `name`.
fn nearest(name: &str, taken: &Taken) -> String {
    let kebab = name.to_kebab_case();
    let kept = kebab.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>();
    let from_letter = kept.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let base = from_letter.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    let cut = |length: usize| base.chars().take(length).collect::<String>();
    let shortened = cut(MAX_LENGTH).trim_end_matches('-').to_owned();
    let numbered = (2..).map(|n| format!("{}-{n}", cut(MAX_LENGTH - 8).trim_end_matches('-')));
    let described = format!("{}-jobs", cut(MAX_LENGTH - 8).trim_end_matches('-'));
    let candidates = [shortened, described].into_iter().chain(numbered.take(100));
    let fits = |candidate: &String| broken_rule(candidate, taken).is_none();
    candidates.into_iter().find(fits).unwrap_or_else(|| "my-plugin".to_owned())
}

/// Accepts what Flyte can route and a path can hold.
///
/// Flyte lowers the case of the keys in its configuration, and splits them at dots: a type with
/// either could not be routed.
pub(crate) fn check_task_type(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || name.len() > 63 || !name.chars().all(legal) {
        return Err(format!(
            "'{name}' cannot be a task type: 1 to 63 lower-case letters, digits, '_' and '-', a letter first. Try: {}",
            name.to_snake_case().chars().filter(|c| legal(*c)).take(63).collect::<String>()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> Taken {
        Taken {
            plugins: vec!["bigquery".to_owned()],
            packages: vec!["axum".to_owned(), "serde_json".to_owned()],
        }
    }

    #[test]
    fn every_refusal_names_the_rule_and_a_name_that_is_accepted() {
        let forty_one = "a".repeat(41);
        let table = [
            ("BigQuery", "lower-case", "big-query-jobs"),
            ("RedShift", "lower-case", "red-shift"),
            ("red_shift", "lower-case", "red-shift"),
            ("../evil", "lower-case", "evil"),
            ("ünï", "lower-case", "n-jobs"),
            ("self", "Rust reserves", "self-jobs"),
            ("gen", "Rust reserves", "gen-jobs"),
            ("proc-macro", "Rust reserves", "proc-macro-jobs"),
            ("9lives", "begins with a letter", "lives"),
            ("-x1", "begins with a letter", "x1"),
            ("con", "Windows", "con-jobs"),
            ("job", "Rust type would be Job", "job-jobs"),
            ("sync-plugin", "SyncPlugin", "sync-plugin-jobs"),
            ("deps", "cargo", "deps-jobs"),
            ("xtask", "repository", "xtask-jobs"),
            ("utils", "repository", "utils-jobs"),
            ("a--b", "dashes", "a-b"),
            ("ab-", "dashes", "ab"),
            ("a", "at least 2", "a-jobs"),
            ("", "begins with a letter", "my-plugin"),
            (&forty_one, "at most 40 characters; it has 41", &"a".repeat(40)),
            ("big-query", "'bigquery' in dashes only", "big-query-jobs"),
            ("bigquery", "plugin of that name", "bigquery-jobs"),
            ("axum", "ambiguous", "axum-jobs"),
            ("serde-json", "'serde_json'", "serde-json-jobs"),
        ];
        for (name, rule, nearest) in table {
            let refusal = check(name, &taken()).unwrap_err();
            assert!(refusal.rule.contains(rule), "{name}: {refusal}");
            assert_eq!(refusal.nearest, nearest, "{name}");
            assert_eq!(check(&refusal.nearest, &taken()), Ok(()), "{name}");
        }
    }

    #[test]
    fn legal_names_are_accepted() {
        for name in ["redshift", "ab", "s3-batch", "x9", &"a".repeat(40)] {
            assert_eq!(check(name, &taken()), Ok(()), "{name}");
        }
    }

    #[test]
    fn task_types_are_what_a_path_can_hold() {
        for name in ["bigquery_query_job_task", "spark", "a-b2"] {
            assert_eq!(check_task_type(name), Ok(()), "{name}");
        }
        for name in ["", "a b", "a/b", "a.b", "BigQuery", "ü", &"a".repeat(64)] {
            assert!(check_task_type(name).is_err(), "{name}");
        }
    }
}
