//! Rules for the names of plugins and task types.
//!
//! A plugin's name is also the name of a directory, a Rust package, a Kubernetes object, a Helm chart and
//! an image, so it must follow the rules for all of them.

use std::fmt;

use heck::{ToKebabCase as _, ToPascalCase as _, ToSnakeCase as _};

/// Leaves room for a Helm release's name before it within Kubernetes' 63 characters.
pub(crate) const MAX_LENGTH: usize = 40;

/// Names that a crate cannot have: keywords of any edition and built-in crates.
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
/// Directories that cargo creates below `target/`.
const CARGO: &[&str] = &["build", "deps", "examples", "incremental"];
/// Device names, which Windows reserves in every directory.
const WINDOWS: &[&str] = &[
    "aux", "com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "con",
    "conin", "conout", "lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8",
    "lpt9", "nul", "prn",
];
/// Names of this repository's own parts, and names that it does not allow.
const REPOSITORY: &[&str] = &[
    "bridge",
    "bundle",
    "charts",
    "clients",
    "common",
    "declarative",
    "docs",
    "helpers",
    "manager",
    "plugin-conformance",
    "plugin-core",
    "plugins",
    "propeller-proxy",
    "services",
    "site",
    "template",
    "tests",
    "utils",
    "xtask",
];

/// Names that a plugin's Rust type cannot have, because the plugin's code uses or defines them.
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

/// Whether the plugin's code already uses `name`, so that its Rust type cannot have it.
pub(crate) fn is_taken_type(name: &str) -> bool {
    TYPES.contains(&name)
}

/// Names that are already taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Names of plugins.
    pub(crate) plugins: Vec<String>,
    /// Packages in the lockfile: another package with the same name would make `cargo -p` ambiguous.
    pub(crate) packages: Vec<String>,
}

/// Why a name is not valid, with a valid alternative.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    name: String,
    rule: String,
    pub(crate) nearest: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rule, nearest } = self;
        write!(f, "'{name}' is not a valid plugin name: {rule}. Try: {nearest}")
    }
}

impl std::error::Error for Refusal {}

/// Accepts `name`, or returns the reason and the nearest valid name.
pub(crate) fn check(name: &str, taken: &Taken) -> Result<(), Refusal> {
    broken_rule(name, taken).map_or(Ok(()), |rule| {
        Err(Refusal { name: name.to_owned(), rule, nearest: nearest(name, taken) })
    })
}

/// Accepts `name` if it is valid regardless of the names already taken.
///
/// # Errors
/// The violated rule.
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
        "only lower-case letters a to z, digits and single dashes are allowed"
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "it must start with a letter"
    } else if name.ends_with('-') || name.contains("--") {
        "dashes must be single, between letters or digits"
    } else if name.len() < 2 {
        "it must have at least 2 characters"
    } else if name.len() > MAX_LENGTH {
        return Some(format!("it must have at most {MAX_LENGTH} characters, not {}", name.len()));
    } else {
        return None;
    };
    Some(rule.to_owned())
}

fn reserved(name: &str) -> Option<String> {
    let lists = [
        (RUST, "Rust reserves it"),
        (CARGO, "cargo uses a directory of that name below target/"),
        (WINDOWS, "Windows reserves it as a device name"),
        (REPOSITORY, "this repository reserves it"),
    ];
    lists.iter().find(|(names, _)| names.contains(&name)).map(|(_, rule)| (*rule).to_owned())
}

fn taken_type(name: &str) -> Option<String> {
    let pascal = name.to_pascal_case();
    let rule = || format!("its Rust type would be {pascal}, which the plugin's code already uses");
    is_taken_type(&pascal).then(rule)
}

fn near_duplicate(name: &str, plugins: &[String]) -> Option<String> {
    let bare = |name: &str| name.replace('-', "");
    let other = plugins.iter().find(|other| bare(other) == bare(name))?;
    Some(if other == name {
        "a plugin of that name already exists".to_owned()
    } else {
        format!("it differs from the plugin '{other}' only in dashes")
    })
}

fn dependency(name: &str, packages: &[String]) -> Option<String> {
    let same = |package: &&String| package.replace('_', "-") == name;
    packages.iter().find(same).map(|package| {
        format!("the workspace depends on the package '{package}', so `cargo -p {name}` would be ambiguous")
    })
}

/// The valid name that is most similar to `name`.
fn nearest(name: &str, taken: &Taken) -> String {
    let kebab = name.to_kebab_case();
    let ascii =
        kebab.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>();
    let from_letter = ascii.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let base = from_letter.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    let cut = |length: usize| base.chars().take(length).collect::<String>();
    let shortened = cut(MAX_LENGTH).trim_end_matches('-').to_owned();
    let numbered = (2..).map(|n| format!("{}-{n}", cut(MAX_LENGTH - 8).trim_end_matches('-')));
    let described = format!("{}-jobs", cut(MAX_LENGTH - 8).trim_end_matches('-'));
    let candidates = [shortened, described].into_iter().chain(numbered.take(100));
    let fits = |candidate: &String| broken_rule(candidate, taken).is_none();
    candidates.into_iter().find(fits).unwrap_or_else(|| "my-plugin".to_owned())
}

/// Accepts task types that Flyte can route and that fit in a URL path.
///
/// Flyte lower-cases the keys in its configuration and splits them at dots: a type with capital letters or
/// dots could not be routed.
pub(crate) fn check_task_type(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || name.len() > 63 || !name.chars().all(legal) {
        return Err(format!(
            "'{name}' is not a valid task type: use 1 to 63 lower-case letters, digits, '_' and '-', starting with a letter. Try: {}",
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
    fn refusal_has_the_rule_and_a_valid_alternative() {
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
            ("9lives", "start with a letter", "lives"),
            ("-x1", "start with a letter", "x1"),
            ("con", "Windows", "con-jobs"),
            ("job", "Rust type would be Job", "job-jobs"),
            ("sync-plugin", "SyncPlugin", "sync-plugin-jobs"),
            ("deps", "cargo", "deps-jobs"),
            ("xtask", "repository", "xtask-jobs"),
            ("utils", "repository", "utils-jobs"),
            ("a--b", "dashes", "a-b"),
            ("ab-", "dashes", "ab"),
            ("a", "at least 2", "a-jobs"),
            ("", "start with a letter", "my-plugin"),
            (&forty_one, "at most 40 characters, not 41", &"a".repeat(40)),
            ("big-query", "'bigquery' only in dashes", "big-query-jobs"),
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
    fn valid_names_are_accepted() {
        for name in ["redshift", "ab", "s3-batch", "x9", &"a".repeat(40)] {
            assert_eq!(check(name, &taken()), Ok(()), "{name}");
        }
    }

    #[test]
    fn task_types_outside_the_path_alphabet_are_rejected() {
        for name in ["bigquery_query_job_task", "spark", "a-b2"] {
            assert_eq!(check_task_type(name), Ok(()), "{name}");
        }
        for name in ["", "a b", "a/b", "a.b", "BigQuery", "ü", &"a".repeat(64)] {
            assert!(check_task_type(name).is_err(), "{name}");
        }
    }
}
