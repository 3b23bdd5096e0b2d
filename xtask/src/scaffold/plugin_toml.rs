//! `plugin.toml`: what a plugin is, as its owner says it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use anyhow::{Context as _, Result, anyhow, bail};
use heck::{ToPascalCase as _, ToTitleCase as _};
use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item, Table};

use super::name;

/// The name of the file.
pub(crate) const FILE: &str = "plugin.toml";
/// The form of the file that this code reads.
const SCHEMA: u32 = 1;

/// A whole `plugin.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PluginToml {
    schema: u32,
    pub(crate) plugin: Plugin,
    #[serde(default)]
    pub(crate) ports: Ports,
    #[serde(default)]
    pub(crate) image: Image,
    #[serde(default)]
    pub(crate) chart: Chart,
    /// Files that the generator leaves alone, with the reason.
    #[serde(default)]
    pub(crate) unmanaged: BTreeMap<String, String>,
}

/// `[plugin]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Plugin {
    pub(crate) name: String,
    title: Option<String>,
    #[serde(rename = "type")]
    type_name: Option<String>,
    #[serde(default)]
    pub(crate) mode: Mode,
    pub(crate) task_types: Vec<TaskType>,
    /// Answered only where a setting says so.
    #[serde(default)]
    pub(crate) optional_task_types: Vec<TaskType>,
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) owner: String,
    #[serde(default)]
    pub(crate) core: CoreSource,
}

impl Plugin {
    /// What people call it, for example `BigQuery`.
    pub(crate) fn title(&self) -> String {
        self.title.clone().unwrap_or_else(|| self.name.to_title_case())
    }

    /// All that it can answer.
    pub(crate) fn all_task_types(&self) -> impl Iterator<Item = &TaskType> {
        self.task_types.iter().chain(&self.optional_task_types)
    }

    /// The Rust type that implements it.
    pub(crate) fn type_name(&self) -> String {
        self.type_name.clone().unwrap_or_else(|| self.name.to_pascal_case())
    }
}

/// Whether a task is a job that is polled, or a call that answers at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Create, get and delete: a job that runs at the vendor while Flyte polls.
    #[default]
    Async,
    /// One call that answers within seconds.
    Sync,
}

/// Where `plugin-core` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CoreSource {
    /// The workspace that the plugin is a member of.
    #[default]
    Workspace,
    /// A tag of Outrigger's repository, for a plugin in a repository of its own.
    Git,
    /// The package registry, for a plugin in a repository of its own.
    Registry,
}

/// A task type with its version, written `name` or `name:version`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "TaskTypeFields")]
pub(crate) struct TaskType {
    pub(crate) name: String,
    pub(crate) version: i32,
}

/// How templates and JSON see a task type.
#[derive(Serialize)]
struct TaskTypeFields {
    name: String,
    version: i32,
}

impl From<TaskType> for TaskTypeFields {
    fn from(TaskType { name, version }: TaskType) -> Self {
        Self { name, version }
    }
}

impl FromStr for TaskType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = text.split_once(':').unwrap_or((text, "0"));
        name::check_task_type(name)?;
        let version = version.parse().ok().filter(|version| *version >= 0);
        let version = version.ok_or_else(|| {
            format!("'{text}': the version after the colon is a whole number from 0 on")
        })?;
        Ok(Self { name: name.to_owned(), version })
    }
}

impl TryFrom<String> for TaskType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.version)
    }
}

/// `[ports]`: where the service listens in its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ports {
    pub(crate) api: u16,
    pub(crate) admin: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { api: 8000, admin: 9090 }
    }
}

/// `[image]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {
    /// Where the image is pushed to; by default the template's registry and the plugin's name.
    pub(crate) repository: Option<String>,
}

/// `[chart]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chart {
    /// Laid over the defaults of the template's values.yaml.
    #[serde(default)]
    pub(crate) values: serde_json::Map<String, serde_json::Value>,
}

impl Chart {
    /// The variables that whoever installs the chart must give: those that `settings` has empty.
    pub(crate) fn required_settings(&self) -> Vec<&str> {
        let settings = self.values.get("settings").and_then(|settings| settings.as_object());
        let empty = settings.into_iter().flatten().filter(|(_, value)| **value == "");
        empty.map(|(name, _)| name.as_str()).collect()
    }
}

impl PluginToml {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let file: Self = toml_edit::de::from_str(text)?;
        if file.schema != SCHEMA {
            bail!("schema = {}: this version reads schema {SCHEMA}", file.schema);
        }
        if file.plugin.task_types.is_empty() {
            bail!("plugin.task-types: name at least one");
        }
        if file.ports.api == file.ports.admin || file.ports.api == 0 || file.ports.admin == 0 {
            bail!("ports: api and admin are two ports from 1 to 65535");
        }
        name::check_own(&file.plugin.name).map_err(|rule| {
            anyhow!("plugin.name: '{}' cannot be a plugin's name: {rule}", file.plugin.name)
        })?;
        file.check_task_types()?;
        file.check_texts()?;
        Ok(file)
    }

    fn check_task_types(&self) -> Result<()> {
        let names = self.plugin.all_task_types().map(|each| &each.name).collect::<Vec<_>>();
        let twice = (1..names.len()).find(|at| names[..*at].contains(&names[*at]));
        if let Some(at) = twice {
            bail!(
                "plugin.task-types: '{}' is there twice; Flyte knows one version of a type",
                names[at]
            );
        }
        Ok(())
    }

    /// These stand in Rust, TOML, YAML and Dockerfiles as they are.
    fn check_texts(&self) -> Result<()> {
        let Plugin { title, type_name, description, owner, .. } = &self.plugin;
        let texts =
            [("title", title.as_ref()), ("description", Some(description)), ("owner", Some(owner))];
        let unfit = |c: char| c.is_control() || "\"\\{}$\u{2028}\u{2029}".contains(c);
        for (field, text) in texts {
            if text.is_some_and(|text| text.contains(unfit) || text.trim() != text) {
                bail!(
                    "plugin.{field}: one line without quotes, backslashes, braces and '$', and no blanks around it"
                );
            }
            if field != "owner" && text.is_some_and(String::is_empty) {
                bail!("plugin.{field}: empty");
            }
        }
        let is_type = |name: &String| {
            name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric())
                && !name::is_taken_type(name)
        };
        if let Some(wrong) = type_name.as_ref().filter(|name| !is_type(name)) {
            bail!(
                "plugin.type: '{wrong}' cannot be the plugin's Rust type: letters and digits, a capital first, and none that its code uses"
            );
        }
        self.check_others()
    }

    fn check_others(&self) -> Result<()> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
        if self.image.repository.as_ref().is_some_and(|it| it.is_empty() || !it.chars().all(legal))
        {
            bail!(
                "image.repository: a registry, a path and a name, in lower case: ghcr.io/acme/redshift"
            );
        }
        if let Some((file, _)) = self.unmanaged.iter().find(|(_, reason)| reason.trim().is_empty())
        {
            bail!("unmanaged.\"{file}\": say why");
        }
        // What a date becomes when it is read as JSON.
        let values = serde_json::Value::Object(self.chart.values.clone()).to_string();
        if values.contains("$__toml_private_datetime") {
            bail!("chart.values: write dates as texts, in quotes");
        }
        Ok(())
    }
}

/// `text` with `value` at the dotted `path`; all else, comments too, stays as it is.
///
/// # Errors
/// Where `text` is no TOML, or something on the path is no table.
pub(crate) fn with_value(text: &str, path: &[&str], value: toml_edit::Value) -> Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let (last, tables) = path.split_last().context("a value has a name")?;
    table_at(&mut document, tables)?.insert(last, Item::Value(value));
    Ok(document.to_string())
}

/// `text` without what stands at `path`.
///
/// # Errors
/// As [`with_value`].
pub(crate) fn without(text: &str, path: &[&str]) -> Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let (last, tables) = path.split_last().context("a value has a name")?;
    table_at(&mut document, tables)?.remove(last);
    Ok(document.to_string())
}

fn table_at<'a>(
    document: &'a mut DocumentMut,
    path: &[&str],
) -> Result<&'a mut dyn toml_edit::TableLike> {
    let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
    for key in path {
        let item = table.entry(key).or_insert_with(|| {
            let mut made = Table::new();
            made.set_implicit(true);
            Item::Table(made)
        });
        table = item.as_table_like_mut().with_context(|| format!("{key} is no table"))?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "schema = 1\n[plugin]\nname = \"red-shift\"\ntask-types = [\"redshift\", \"spectrum:2\"]\ndescription = \"Runs SQL\"\n";

    #[test]
    fn what_is_not_said_has_a_default() {
        let file = PluginToml::parse(LEAST).unwrap();
        assert_eq!(file.plugin.title(), "Red Shift");
        assert_eq!(file.plugin.type_name(), "RedShift");
        assert_eq!(file.plugin.mode, Mode::Async);
        assert_eq!(file.plugin.task_types[1], TaskType { name: "spectrum".to_owned(), version: 2 });
        assert_eq!(file.ports, Ports { api: 8000, admin: 9090 });
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            (LEAST.replace("schema = 1", "schema = 9"), "schema 1"),
            (LEAST.replace("name =", "nmae ="), "nmae"),
            (LEAST.replace("\"redshift\", \"spectrum:2\"", ""), "task-types"),
            (LEAST.replace("spectrum:2", "spectrum:two"), "version"),
            (LEAST.replace("spectrum:2", "spec trum"), "spec trum"),
            (LEAST.replace("\"Runs SQL\"", "'Runs \"SQL\"'"), "plugin.description"),
            (format!("{LEAST}type = \"red\"\n"), "plugin.type"),
            (format!("{LEAST}[ports]\napi = 9090\n"), "ports"),
            (format!("{LEAST}[chart]\nvals = 1\n"), "vals"),
            (format!("{LEAST}type = \"Job\"\n"), "plugin.type"),
            (format!("{LEAST}title = \"\"\n"), "plugin.title"),
            (LEAST.replace("Runs SQL", "Runs\\u0007SQL"), "plugin.description"),
            (LEAST.replace("Runs SQL", "Runs $SQL"), "plugin.description"),
            (LEAST.replace("\"red-shift\"", "\"../../evil\""), "plugin.name"),
            (LEAST.replace("\"red-shift\"", "\"Red_Shift\""), "plugin.name"),
            (LEAST.replace("spectrum:2", "redshift:2"), "twice"),
            (LEAST.replace("spectrum:2", "1"), "cannot be a task type"),
            (format!("{LEAST}[image]\nrepository = \"a\\nb: c\"\n"), "image.repository"),
            (format!("{LEAST}[unmanaged]\nDockerfile = \"\"\n"), "say why"),
            (format!("{LEAST}[chart.values]\nx = 2024-01-01\n"), "chart.values"),
        ];
        for (text, named) in table {
            let error = format!("{:#}", PluginToml::parse(&text).unwrap_err());
            assert!(error.contains(named), "{named}: {error}");
        }
    }

    #[test]
    fn settings_that_are_empty_are_required() {
        let text = format!("{LEAST}[chart.values.settings]\nA_HOSTS = \"\"\nA_LIMIT = 0\n");
        assert_eq!(PluginToml::parse(&text).unwrap().chart.required_settings(), ["A_HOSTS"]);
        assert!(PluginToml::parse(LEAST).unwrap().chart.required_settings().is_empty());
    }

    #[test]
    fn a_value_is_set_and_comments_stay() {
        let text = format!("# why\n{LEAST}");
        let set = with_value(&text, &["chart", "values", "replicaCount"], 2.into()).unwrap();
        assert!(set.starts_with("# why\n"));
        assert_eq!(PluginToml::parse(&set).unwrap().chart.values["replicaCount"], 2);
        let unset = without(&set, &["chart", "values", "replicaCount"]).unwrap();
        assert!(PluginToml::parse(&unset).unwrap().chart.values.is_empty());
    }
}
