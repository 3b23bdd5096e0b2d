//! Where and as which user a statement runs: from the task, else from the operator's settings.

use std::{collections::BTreeMap, path::PathBuf};

use plugin_core::{
    Error, Result, Task, clap,
    serde_json::{self, Map, Value as Json},
};

use crate::{
    Custom,
    accounts::Account,
    credentials::{AuthType, SecretNames},
    session::Session,
};

/// The most bytes of all names together, as JSON: the handle contains them.
const MAX_NAMES: usize = 300;

/// Codes of failures that say nothing about the statement: internal errors, and a table that other
/// statements have locked. Snowflake publishes no list of its codes; the README has the sources.
pub(crate) const RETRYABLE_CODES: &str = "000603,000625,300002,370001";
/// The schema of tasks that set none.
const DEFAULT_SCHEMA: &str = "PUBLIC";

/// The operator's settings.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// Accounts that tasks may use, such as ORG-ACCOUNT; ACCOUNT=HOST for one behind a private link.
    #[arg(
        long,
        env = "SNOWFLAKE_ACCOUNTS",
        value_name = "ACCOUNT[=HOST]",
        value_delimiter = ',',
        required = true
    )]
    pub(crate) accounts: Vec<Account>,

    /// User of tasks that set none.
    #[arg(long, env = "SNOWFLAKE_USER")]
    user: Option<String>,

    /// Warehouse of tasks that set none; by default, the user's default warehouse.
    #[arg(long, env = "SNOWFLAKE_WAREHOUSE")]
    warehouse: Option<String>,

    /// Database of tasks that set none; by default, that of the user's default namespace.
    #[arg(long, env = "SNOWFLAKE_DATABASE")]
    database: Option<String>,

    /// Schema of tasks that set none; by default PUBLIC. An empty one in a task or here stands for the user's
    /// default.
    #[arg(long, env = "SNOWFLAKE_SCHEMA")]
    schema: Option<String>,

    /// Role of tasks that set none; by default, the user's default role.
    #[arg(long, env = "SNOWFLAKE_ROLE")]
    role: Option<String>,

    /// Query tag of tasks that set none.
    #[arg(long, env = "SNOWFLAKE_QUERY_TAG")]
    pub(crate) query_tag: Option<String>,

    /// How the service authenticates, unless a task sets another authenticator.
    #[arg(long, env = "SNOWFLAKE_AUTH_TYPE", value_enum, default_value_t = AuthType::KeyPair)]
    auth_type: AuthType,

    /// File with the OIDC token for `wif`, for example a projected ServiceAccount token. It is read
    /// for each call.
    #[arg(
        long,
        env = "SNOWFLAKE_OIDC_TOKEN_FILE",
        value_name = "FILE",
        required_if_eq("auth_type", "wif")
    )]
    pub(crate) oidc_token_file: Option<PathBuf>,

    /// How many seconds a statement of a task without timeout may run; 0 is a week. By default
    /// Snowflake's STATEMENT_TIMEOUT_IN_SECONDS applies.
    #[arg(long, env = "SNOWFLAKE_STATEMENT_TIMEOUT", value_name = "SECONDS")]
    pub(crate) statement_timeout: Option<u64>,

    /// Error codes of failed statements that Flyte may retry.
    #[arg(
        long,
        env = "SNOWFLAKE_RETRYABLE_CODES",
        value_name = "CODE",
        value_delimiter = ',',
        default_value = RETRYABLE_CODES
    )]
    pub(crate) retryable_codes: Vec<String>,
}

/// Where and as which user a statement runs, spelled as in the task or the settings.
#[derive(Debug)]
pub(crate) struct Place {
    /// The account, and the field that sets it.
    pub(crate) account: String,
    pub(crate) account_field: String,
    pub(crate) user: String,
    /// Empty for the user's default, as are the next two.
    pub(crate) warehouse: String,
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) role: Option<String>,
    pub(crate) auth: AuthType,
    /// The secrets that the author chose.
    pub(crate) secrets: SecretNames,
    /// Whether the task is Flyte 2's, which writes `custom` where Flyte 1 writes `config`.
    pub(crate) flyte2: bool,
}

impl Settings {
    /// Where `task` runs.
    ///
    /// # Errors
    /// `InvalidArgument` with the field that is missing or invalid.
    pub(crate) fn place(
        &self,
        task: &Task<Custom>,
        session: &Session,
        only_account: Option<&str>,
    ) -> Result<Place> {
        let Custom { account, user, warehouse, database, schema, .. } = &task.custom;
        let template = Template { config: &task.config };
        let (account_field, account) = template.or("account", account, only_account)?;
        let secrets = SecretNames::read(task.custom.secrets.as_ref())?;
        // An author who chooses a key wants to authenticate with it.
        let by_secret = secrets.has_key().then_some(AuthType::KeyPair);
        let role = session.role.as_deref().or(template.in_config("role")).or(self.role.as_deref());
        let database = template.optional("database", database, self.database.as_deref());
        // A schema of no database means nothing to Snowflake.
        let is_written =
            schema.is_some() || task.config.contains_key("schema") || database.is_empty();
        let default_schema = self.schema.as_deref().or((!is_written).then_some(DEFAULT_SCHEMA));
        let place = Place {
            account,
            account_field,
            user: template.or("user", user, self.user.as_deref())?.1,
            warehouse: template.optional("warehouse", warehouse, self.warehouse.as_deref()),
            database,
            schema: template.optional("schema", schema, default_schema),
            role: role.map(str::to_owned),
            auth: session.auth.or(by_secret).unwrap_or(self.auth_type),
            secrets,
            flyte2: task.custom.sets_any() || task.config.is_empty(),
        };
        place.check_names()?;
        Ok(place)
    }
}

/// The settings of a task's template.
struct Template<'a> {
    config: &'a BTreeMap<String, String>,
}

impl<'a> Template<'a> {
    fn in_config(&self, name: &str) -> Option<&'a str> {
        self.config.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The field that sets `name`, and its value: from `custom`, else `config`, else `default`.
    fn find<'b>(
        &self,
        name: &str,
        custom: &'b Option<String>,
        default: Option<&'b str>,
    ) -> Option<(String, &'b str)>
    where
        'a: 'b,
    {
        let custom = custom.as_deref().filter(|text| !text.is_empty());
        custom
            .map(|text| (format!("custom.{name}"), text))
            .or_else(|| self.in_config(name).map(|text| (format!("template.config.{name}"), text)))
            .or_else(|| default.map(|text| (name.to_owned(), text)))
    }

    /// What [`find`](Self::find) finds, or nothing: the vendor has a default.
    fn optional(&self, name: &str, custom: &Option<String>, default: Option<&str>) -> String {
        self.find(name, custom, default).map_or_else(String::new, |(_, text)| text.to_owned())
    }

    /// What [`find`](Self::find) finds.
    ///
    /// # Errors
    /// `InvalidArgument` when nothing sets it.
    fn or(
        &self,
        name: &str,
        custom: &Option<String>,
        default: Option<&str>,
    ) -> Result<(String, String)> {
        let found = self.find(name, custom, default);
        let (field, text) = found.ok_or_else(|| {
            Error::invalid(format!(
                "{name}: missing; neither custom.{name} (Flyte 2) nor template.config.{name} \
                 (Flyte 1) is set, and the service has no default"
            ))
        })?;
        Ok((field, text.to_owned()))
    }
}

impl Place {
    /// Bounds the names, which become part of URIs and of the handle.
    fn check_names(&self) -> Result<()> {
        let names = [
            ("user", &self.user),
            ("warehouse", &self.warehouse),
            ("database", &self.database),
            ("schema", &self.schema),
        ];
        let forbidden = |c: char| c.is_control() || "/:?#".contains(c);
        for (field, name) in names {
            if name.contains(forbidden) {
                return Err(Error::invalid(format!(
                    "{field}: {name:?} must not have control characters or any of /:?#"
                )));
            }
        }
        let names = names.into_iter().map(|(_, name)| name.as_str());
        if names.chain(self.secrets.iter()).map(json_len).sum::<usize>() > MAX_NAMES {
            return Err(Error::invalid(format!(
                "user, warehouse, database, schema, custom.secrets: must be at most {MAX_NAMES} bytes \
                 together"
            )));
        }
        Ok(())
    }
}

/// The length of `name` as JSON.
fn json_len(name: &str) -> usize {
    serde_json::to_string(name).map_or(MAX_NAMES + 1, |json| json.len())
}

/// `name` as the SQL API expects it: in upper case unless quoted, as in SQL.
pub(crate) fn identifier(name: &str) -> String {
    let quoted = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(inner) = quoted {
        return inner.replace("\"\"", "\"");
    }
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    // Any other name must have been created with quotes.
    if is_plain { name.to_uppercase() } else { name.to_owned() }
}

impl Custom {
    fn sets_any(&self) -> bool {
        [&self.account, &self.user, &self.warehouse, &self.database, &self.schema]
            .into_iter()
            .any(Option::is_some)
    }
}

/// The parameters of `session`, with Flyte 1's or the operator's query tag if it sets none.
pub(crate) fn parameters(
    session: &Session,
    config: &BTreeMap<String, String>,
    default_tag: Option<&str>,
) -> Map<String, Json> {
    let mut parameters = session.parameters.clone();
    let tag = config.get("query_tag").map(String::as_str).or(default_tag);
    if let Some(tag) = tag {
        parameters.entry("query_tag").or_insert_with(|| tag.into());
    }
    parameters
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::json;

    use super::*;

    fn place(user: &str) -> Place {
        Place {
            account: "A".to_owned(),
            account_field: "account".to_owned(),
            user: user.to_owned(),
            warehouse: "W".to_owned(),
            database: "D".to_owned(),
            schema: "S".to_owned(),
            role: None,
            auth: AuthType::KeyPair,
            secrets: SecretNames::default(),
            flyte2: true,
        }
    }

    #[test]
    fn names_are_bounded_by_their_length_as_json() {
        // Each has two quotes.
        let left = MAX_NAMES - "\"\"\"W\"\"D\"\"S\"".len();
        for (user, fits) in [
            ("u".repeat(left), true),
            ("u".repeat(left + 1), false),
            ("\"".repeat(left / 2), true),
            ("\"".repeat(left / 2 + 1), false),
            ("u\u{1}".to_owned(), false),
            ("u\u{7f}".to_owned(), false),
        ] {
            assert_eq!(place(&user).check_names().is_ok(), fits, "{user:?}");
        }
        let name = "k".repeat(left / 2);
        let secrets =
            json!({"snowflake_private_key": name, "snowflake_private_key_passphrase": name});
        let secrets = SecretNames::read(secrets.as_object()).unwrap();
        assert!(Place { secrets, ..place("u") }.check_names().is_err());
    }

    #[test]
    fn names_are_upper_case_unless_quoted() {
        for (name, expected) in [
            ("wh_small", "WH_SMALL"),
            ("SALES", "SALES"),
            ("\"Mixed Case\"", "Mixed Case"),
            ("\"a\"\"b\"", "a\"b"),
            ("my-wh", "my-wh"),
            ("\"", "\""),
        ] {
            assert_eq!(identifier(name), expected, "{name}");
        }
    }
}
