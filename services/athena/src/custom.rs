//! What a task's author writes in `custom`, for each of the three task types.

use std::collections::BTreeMap;

use plugin_core::{
    Context, Error, Result, Task,
    schemars::{self, JsonSchema},
};
use serde::{Deserialize, Deserializer};

use crate::{names, text::plain};

/// The task's configuration.
///
/// The task type says which keys there are: `presto` has those of flytekit's AthenaTask (`statement`,
/// `routingGroup`, `catalog`, `schema`), `hive` those of its HiveTask (`query`, `clusterLabel`, `tags`), `athena`
/// all others, with its statement in `template.sql`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Custom {
    /// `presto`: the SQL statement.
    #[serde(deserialize_with = "non_empty")]
    pub(crate) statement: Option<String>,
    /// `presto`: the workgroup.
    #[serde(rename = "routingGroup", alias = "routing_group", deserialize_with = "non_empty")]
    pub(crate) routing_group: Option<String>,
    /// `presto`: the database.
    #[serde(deserialize_with = "non_empty")]
    pub(crate) schema: Option<String>,

    /// `hive`: the SQL statement.
    pub(crate) query: Option<HiveQuery>,
    /// `hive`: the database.
    #[serde(rename = "clusterLabel", alias = "cluster_label", deserialize_with = "non_empty")]
    pub(crate) cluster_label: Option<String>,
    /// `hive`: Qubole's tags. flytekit writes them; Athena's queries have none, and they are ignored.
    #[serde(rename = "tags")]
    _tags: Option<Vec<String>>,

    /// `athena`, `presto`: the data catalog, by default the service's, else `AwsDataCatalog`.
    #[serde(deserialize_with = "non_empty")]
    pub(crate) catalog: Option<String>,
    /// `athena`: the database of tables without one.
    #[serde(deserialize_with = "non_empty")]
    pub(crate) database: Option<String>,
    /// `athena`: the workgroup, by default the service's.
    #[serde(deserialize_with = "non_empty")]
    pub(crate) workgroup: Option<String>,
    /// `athena`: the region, one of those that the service's operator lists.
    #[serde(deserialize_with = "non_empty")]
    pub(crate) region: Option<String>,
    /// `athena`: the ARN of the role to run as, one of those that the service's operator allows.
    #[serde(deserialize_with = "non_empty")]
    pub(crate) role: Option<String>,
    /// `athena`: the values of the statement's `?`, in their order.
    pub(crate) parameters: Option<Vec<Parameter>>,
    /// `athena`: where Athena writes the result, `s3://bucket/prefix/`.
    #[serde(deserialize_with = "non_empty")]
    pub(crate) output_location: Option<String>,
    /// `athena`: how Athena encrypts the result.
    pub(crate) encryption: Option<Encryption>,
    /// `athena`: the 12 digits of the account that owns the result's bucket; Athena refuses another's.
    #[serde(deserialize_with = "non_empty")]
    pub(crate) expected_bucket_owner: Option<String>,
    /// `athena`: whether the owner of the result's bucket gets full control of the result.
    pub(crate) bucket_owner_full_control: Option<bool>,
    /// `athena`: the age in minutes, up to 10080, of an earlier result that Athena may answer with.
    #[schemars(range(max = 10080))]
    pub(crate) result_reuse_minutes: Option<u32>,
    /// `athena`: the processing units of a query that runs on provisioned capacity.
    pub(crate) engine: Option<Engine>,
    /// `athena`: writes the rows of a SELECT as files of another format than CSV, by UNLOAD.
    pub(crate) unload: Option<Unload>,
    /// `athena`: writes the rows of a SELECT as a new table, by CREATE TABLE AS.
    pub(crate) create_table: Option<CreateTable>,

    /// The names of the secrets whose values Flyte 2 sends with each call, by `aws_access_key_id`,
    /// `aws_secret_access_key` and `aws_session_token`. Flyte 2 reads it, not the service.
    #[serde(rename = "secrets")]
    _secrets: Option<BTreeMap<String, String>>,
    /// Settings of Flyte 2's connection, which have no meaning here.
    #[serde(rename = "configs")]
    _configs: Option<BTreeMap<String, String>>,
}

/// The statement of a task of type `hive`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HiveQuery {
    /// The SQL statement.
    #[serde(deserialize_with = "non_empty")]
    query: Option<String>,
    /// Flyte's own timeout counts instead.
    #[serde(rename = "timeoutSec", alias = "timeout_sec")]
    _timeout_sec: Option<f64>,
    /// Flyte's own retries count instead.
    #[serde(rename = "retryCount", alias = "retry_count")]
    _retry_count: Option<f64>,
}

/// The value of a `?`: the name of an input, or an input and the SQL type that it is given.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "must be the name of an input, or an input and a type: {\"input\": \"day\", \"type\": \"date\"}"
)]
pub(crate) enum Parameter {
    /// The name of an input.
    Input(String),
    /// An input as a value of another type.
    Typed(TypedParameter),
}

/// An input as a value of another type.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedParameter {
    /// The name of the input.
    pub(crate) input: String,
    /// The type of the value.
    pub(crate) r#type: SqlType,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SqlType {
    /// `DATE`: of a date, a time at midnight or a string `YYYY-MM-DD`.
    Date,
    /// `TIMESTAMP`: of a time, or a string `YYYY-MM-DD hh:mm:ss`.
    Timestamp,
    /// `DECIMAL`: of a number, or a string of one.
    Decimal,
    /// `VARCHAR`: of anything but a list.
    Varchar,
}

/// How a result is encrypted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encryption {
    /// By which keys.
    pub(crate) option: EncryptionOption,
    /// The ARN or id of the key, for `SSE_KMS` and `CSE_KMS`.
    #[serde(default)]
    pub(crate) kms_key: Option<String>,
}

/// Athena's `EncryptionOption`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum EncryptionOption {
    /// Keys of S3.
    SseS3,
    /// A key of KMS, at S3.
    SseKms,
    /// A key of KMS, at the client.
    CseKms,
}

/// The processing units of a query on provisioned capacity.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct Engine {
    /// The least, `min-dpu-count`.
    pub(crate) min_dpus: Option<u32>,
    /// The most, `max-dpu-count`.
    pub(crate) max_dpus: Option<u32>,
}

/// The format of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Apache Parquet.
    #[default]
    Parquet,
    /// Apache ORC.
    Orc,
    /// Apache Avro.
    Avro,
    /// JSON, a row a line.
    Json,
    /// Text, fields between delimiters.
    Textfile,
}

/// An UNLOAD of a SELECT's rows.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Unload {
    /// The format of the files.
    pub(crate) format: Format,
    /// How they are compressed, for example `snappy` or `zstd`; by default as Athena does.
    pub(crate) compression: Option<String>,
    /// The empty prefix to write below, `s3://bucket/prefix/`; by default one of the task's own.
    pub(crate) location: Option<String>,
}

/// A table of a SELECT's rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTable {
    /// The new table, `name` or `database.name`. It must not exist; `{{ .PerRetryUniqueKey }}` is unique.
    pub(crate) name: String,
    /// The format of its files.
    #[serde(default)]
    pub(crate) format: Format,
    /// How they are compressed, for example `snappy` or `zstd`; by default as Athena does.
    #[serde(default)]
    pub(crate) compression: Option<String>,
    /// The empty prefix of its files, `s3://bucket/prefix/`; by default one below the result's location.
    #[serde(default)]
    pub(crate) location: Option<String>,
}

impl Format {
    /// As SQL names it.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Parquet => "PARQUET",
            Self::Orc => "ORC",
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Textfile => "TEXTFILE",
        }
    }
}

/// A string that counts as absent when it is empty: proto's JSON does not tell the two apart.
fn non_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|text| !text.is_empty()))
}

/// The names that a query runs with, in Athena's terms, and the field that has its statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) field: &'static str,
    pub(crate) statement: String,
    pub(crate) workgroup: Option<String>,
    pub(crate) catalog: Option<String>,
    pub(crate) database: Option<String>,
}

/// The task type of flytekit's AthenaTask.
pub(crate) const PRESTO: &str = "presto";
/// The task type of flytekit's HiveTask and HiveSelectTask.
pub(crate) const HIVE: &str = "hive";

impl Names {
    /// Those of `task`, which is of type `ty`.
    ///
    /// # Errors
    /// `InvalidArgument` for a key of another task type, a missing statement, a placeholder that cannot be rendered
    /// and a name that Athena would not take.
    pub(crate) fn read(cx: &Context, ty: &str, task: &Task<Custom>) -> Result<Self> {
        let custom = &task.custom;
        custom.check_keys(ty)?;
        let (field, statement) = custom.statement(ty, task)?;
        let (workgroup, database) = match ty {
            PRESTO => (("routingGroup", &custom.routing_group), ("schema", &custom.schema)),
            HIVE => (("workgroup", &None), ("clusterLabel", &custom.cluster_label)),
            _ => (("workgroup", &custom.workgroup), ("database", &custom.database)),
        };
        let render = |(key, text): (&str, &Option<String>)| -> Result<Option<String>> {
            text.as_deref().map(|text| name(cx, task, key, text)).transpose()
        };
        let catalog = render(("catalog", &custom.catalog))?;
        let (workgroup, database) = (render(workgroup)?, render(database)?);
        Ok(Self { field, statement: statement.to_owned(), workgroup, catalog, database })
    }
}

impl Custom {
    fn statement<'t>(&'t self, ty: &str, task: &'t Task<Self>) -> Result<(&'static str, &'t str)> {
        let (field, statement) = match ty {
            PRESTO => ("custom.statement", self.statement.as_deref()),
            HIVE => {
                ("custom.query.query", self.query.as_ref().and_then(|hive| hive.query.as_deref()))
            }
            _ => ("template.sql.statement", Some(task.sql()?)),
        };
        match statement.map(str::trim) {
            Some("") | None => Err(Error::invalid(format!(
                "{field}: missing; a task of type {ty} has its SQL there"
            ))),
            Some(statement) => Ok((field, statement)),
        }
    }

    /// Refuses keys that a task of type `ty` does not have: they would be ignored.
    fn check_keys(&self, ty: &str) -> Result<()> {
        let presto = [
            ("statement", self.statement.is_some()),
            ("routingGroup", self.routing_group.is_some()),
            ("schema", self.schema.is_some()),
        ];
        let hive = [
            ("query", self.query.is_some()),
            ("clusterLabel", self.cluster_label.is_some()),
            ("tags", self._tags.is_some()),
        ];
        let athena = [
            ("database", self.database.is_some()),
            ("workgroup", self.workgroup.is_some()),
            ("region", self.region.is_some()),
            ("role", self.role.is_some()),
            ("parameters", self.parameters.is_some()),
            ("output_location", self.output_location.is_some()),
            ("encryption", self.encryption.is_some()),
            ("expected_bucket_owner", self.expected_bucket_owner.is_some()),
            ("bucket_owner_full_control", self.bucket_owner_full_control.is_some()),
            ("result_reuse_minutes", self.result_reuse_minutes.is_some()),
            ("engine", self.engine.is_some()),
            ("unload", self.unload.is_some()),
            ("create_table", self.create_table.is_some()),
        ];
        let catalog = [("catalog", ty == HIVE && self.catalog.is_some())];
        let others: [&[(&str, bool)]; 3] = match ty {
            PRESTO => [&hive, &athena, &catalog],
            HIVE => [&presto, &athena, &catalog],
            _ => [&presto, &hive, &catalog],
        };
        match others.into_iter().flatten().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((key, _)) => {
                Err(Error::invalid(format!("custom.{key}: a task of type {ty} has no such key")))
            }
        }
    }
}

/// The name `text` of the key `key`, with its placeholders rendered.
fn name(cx: &Context, task: &Task<Custom>, key: &str, text: &str) -> Result<String> {
    let field = format!("custom.{key}");
    let name = plain(cx, &task.inputs, &field, text)?;
    let pattern = match key {
        "workgroup" | "routingGroup" => &names::WORKGROUP,
        "catalog" => &names::CATALOG,
        _ => &names::DATABASE,
    };
    pattern.check(&name).map_err(|why| Error::invalid(format!("{field}: {why}")))?;
    Ok(name)
}
