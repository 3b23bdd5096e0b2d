//! The operator's settings: files, and the settings that the files declare.

use std::{path::PathBuf, str::FromStr};

use plugin_core::{
    Error, Result, clap,
    serde_json::{Map, Value as Json},
};

use crate::{checker::Checker, file, file::SettingType, located::Entries};

/// The operator's settings.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// Files of the plugins to serve, in YAML, and directories with such files. A changed file is served once it is checked.
    #[arg(
        long,
        env = "DECLARATIVE_FILES",
        value_name = "FILE",
        value_delimiter = ',',
        required = true
    )]
    pub(crate) files: Vec<PathBuf>,

    /// Settings that the files declare, such as the URL of a cluster.
    #[arg(
        long = "set",
        env = "DECLARATIVE_SET",
        value_name = "PLUGIN.NAME=VALUE",
        value_delimiter = ','
    )]
    pub(crate) set: Vec<Assignment>,
}

/// A setting's value for a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) plugin: String,
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(name, value)| {
            let (plugin, name) = name.split_once('.')?;
            Some((plugin.trim(), name.trim(), value.trim()))
        });
        let (plugin, name, value) = parts.ok_or(
            "must be PLUGIN.NAME=VALUE, for example nomad.address=https://nomad.example.com",
        )?;
        Ok(Self { plugin: plugin.to_owned(), name: name.to_owned(), value: value.to_owned() })
    }
}

/// A setting that a file declares.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) description: String,
    kind: SettingType,
    pub(crate) default: Option<Json>,
}

/// Compiles the settings of a file.
pub(crate) fn compile(
    checker: &mut Checker<'_>,
    settings: &Entries<file::Setting>,
) -> Vec<Declared> {
    let mut declared = Vec::new();
    for (name, setting) in &settings.0 {
        checker.identifier(name);
        let kind = setting.r#type.unwrap_or_default();
        let mut default = None;
        if let Some(node) = &setting.default {
            default = checker.literal(node, &format!("settings.{}.default", name.value));
            if default.as_ref().is_some_and(|value| !kind.fits(value)) {
                checker.mistake(node.place, format!("the default must be {}", kind.spelled()));
            }
        }
        declared.push(Declared {
            name: name.value.clone(),
            description: setting.description.value.clone(),
            kind,
            default,
        });
    }
    declared
}

impl SettingType {
    fn fits(self, value: &Json) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
        }
    }

    fn spelled(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Boolean => "true or false",
        }
    }

    fn placeholder(self, name: &str) -> Json {
        match self {
            Self::String => format!("a-{name}").into(),
            Self::Integer => 1.into(),
            Self::Boolean => true.into(),
        }
    }

    fn parse(self, text: &str) -> Option<Json> {
        match self {
            Self::String => Some(text.into()),
            Self::Integer => text.parse::<i64>().ok().map(Json::from),
            Self::Boolean => text.parse::<bool>().ok().map(Json::from),
        }
    }
}

/// Values of the settings `declared`: the defaults, and others where the operator has to set one.
pub(crate) fn placeholders(declared: &[Declared]) -> Json {
    let values = declared.iter().map(|one| {
        let value = one.default.clone().unwrap_or_else(|| one.kind.placeholder(&one.name));
        (one.name.clone(), value)
    });
    Json::Object(values.collect())
}

/// The values of the settings `declared` by `plugin`, of which the operator set `set`.
///
/// # Errors
/// `InvalidArgument` with the setting that is unknown, missing or of another type.
pub(crate) fn values(plugin: &str, declared: &[Declared], set: &[Assignment]) -> Result<Json> {
    let own = || set.iter().filter(|one| one.plugin == plugin);
    for Assignment { name, .. } in own() {
        if !declared.iter().any(|one| one.name == *name) {
            let known = declared.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!(
                "--set (DECLARATIVE_SET): {plugin}.{name}: unknown setting; the file declares [{known}]"
            )));
        }
    }
    let mut values = Map::new();
    for one in declared {
        let value = match own().rfind(|set| set.name == one.name) {
            Some(set) => one.kind.parse(&set.value).ok_or_else(|| {
                let (name, wanted) = (&one.name, one.kind.spelled());
                Error::invalid(format!(
                    "--set (DECLARATIVE_SET): {plugin}.{name}: must be {wanted}"
                ))
            })?,
            None => one.default.clone().ok_or_else(|| {
                let Declared { name, description, .. } = one;
                Error::invalid(format!(
                    "--set (DECLARATIVE_SET): {plugin}.{name} is missing: {description}"
                ))
            })?,
        };
        values.insert(one.name.clone(), value);
    }
    Ok(Json::Object(values))
}
