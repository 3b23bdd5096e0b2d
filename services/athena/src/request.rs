//! The request that starts a query.

use plugin_core::{
    Context, Error, Result, Task,
    serde_json::{Map, Value as Json, json},
};
use serde::Serialize;

use crate::{
    custom::{Custom, EncryptionOption, Names},
    literal,
    location::{self, OutputLocation},
    names, parameters,
    sql::{self, Rendered},
    text::plain,
};

/// Athena's longest age of a reused result, in minutes: the model's `Age`.
const MAX_REUSE_MINUTES: u32 = 10_080;
/// The classification of provisioned capacity, from the model's documentation of `EngineConfiguration`.
const ENGINE_PROPERTIES: &str = "athena-query-engine-properties";

/// `StartQueryExecution`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Start {
    client_request_token: String,
    query_string: String,
    work_group: String,
    #[serde(skip_serializing_if = "QueryContext::is_empty")]
    query_execution_context: QueryContext,
    #[serde(skip_serializing_if = "Map::is_empty")]
    result_configuration: Map<String, Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    execution_parameters: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_reuse_configuration: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_configuration: Option<Json>,
}

/// `QueryExecutionContext`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct QueryContext {
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog: Option<String>,
}

impl QueryContext {
    fn is_empty(&self) -> bool {
        self.database.is_none() && self.catalog.is_none()
    }
}

/// What the service adds to a task's own choices.
pub(crate) struct Defaults<'a> {
    pub(crate) workgroup: &'a str,
    pub(crate) catalog: Option<&'a str>,
    pub(crate) database: Option<&'a str>,
    pub(crate) output_location: &'a OutputLocation,
}

impl Start {
    /// The request that runs `task` with `names`.
    ///
    /// # Errors
    /// `InvalidArgument` with the field that Athena would not take.
    pub(crate) fn new(
        cx: &Context,
        task: &Task<Custom>,
        names: Names,
        by: &Defaults<'_>,
    ) -> Result<Self> {
        let Names { field, statement, workgroup, catalog, database } = names;
        let custom = &task.custom;
        let rendered = sql::render(cx, field, &statement, &task.inputs)?;
        let parameters = custom.parameters.as_deref().unwrap_or_default();
        let or =
            |own: Option<String>, default: Option<&str>| own.or_else(|| default.map(str::to_owned));
        Ok(Self {
            // 64 characters, of Athena's 32 to 128.
            client_request_token: cx.idempotency_key().hex(),
            execution_parameters: parameters::values(parameters, rendered.marks, &task.inputs)?,
            query_string: around(cx, task, field, rendered, by)?,
            work_group: workgroup.unwrap_or_else(|| by.workgroup.to_owned()),
            query_execution_context: QueryContext {
                database: or(database, by.database),
                catalog: or(catalog, by.catalog),
            },
            result_configuration: result_configuration(cx, task, by.output_location)?,
            result_reuse_configuration: reuse(custom.result_reuse_minutes)?,
            engine_configuration: engine(custom)?,
        })
    }

    /// The workgroup that the query runs in.
    pub(crate) fn workgroup(&self) -> &str {
        &self.work_group
    }

    /// The same request with a location of the result, which it has none of.
    pub(crate) fn at(mut self, location: String) -> Self {
        self.result_configuration.insert("OutputLocation".to_owned(), location.into());
        self
    }

    /// Whether the workgroup decides where the result is.
    pub(crate) fn has_no_location(&self) -> bool {
        !self.result_configuration.contains_key("OutputLocation")
    }
}

/// The statement, in the UNLOAD or CREATE TABLE that the author asks for.
fn around(
    cx: &Context,
    task: &Task<Custom>,
    field: &str,
    rendered: Rendered,
    by: &Defaults<'_>,
) -> Result<String> {
    let custom = &task.custom;
    let (key, head, tail) = match (&custom.unload, &custom.create_table) {
        (None, None) => return Ok(rendered.statement),
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "custom.create_table: a task cannot have both it and custom.unload",
            ));
        }
        (Some(unload), None) => {
            let authors =
                location::authors(cx, task, "custom.unload.location", unload.location.as_deref())?;
            let location = authors.map_or_else(|| by.output_location.of_files(cx, task), Ok)?;
            let compression = compression(
                "custom.unload.compression",
                "compression",
                unload.compression.as_deref(),
            )?;
            let (location, format) = (literal::quoted(&location), unload.format.sql());
            let tail = format!("\n) TO {location} WITH (format = '{format}'{compression})");
            ("custom.unload", "UNLOAD (".to_owned(), tail)
        }
        (None, Some(table)) => {
            let name = table_name(cx, task, &table.name)?;
            let field = "custom.create_table.compression";
            let compression =
                compression(field, "write_compression", table.compression.as_deref())?;
            let location = table.location.as_deref();
            let location = location::authors(cx, task, "custom.create_table.location", location)?;
            let location = location.map_or_else(String::new, |location| {
                format!(", external_location = {}", literal::quoted(&location))
            });
            let format = table.format.sql();
            let head = format!(
                "CREATE TABLE {name} WITH (format = '{format}'{compression}{location}) AS\n"
            );
            ("custom.create_table", head, String::new())
        }
    };
    if !rendered.is_query {
        return Err(Error::invalid(format!(
            "{key}: the statement must be a SELECT, WITH, VALUES or TABLE"
        )));
    }
    let statement = format!("{head}{}{tail}", rendered.statement);
    sql::check_size(field, statement.len())?;
    Ok(statement)
}

fn compression(field: &str, key: &str, name: Option<&str>) -> Result<String> {
    let Some(name) = name else { return Ok(String::new()) };
    match !name.is_empty() && name.len() <= 16 && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        true => Ok(format!(", {key} = '{}'", name.to_uppercase())),
        false => Err(Error::invalid(format!(
            "{field}: {name:?} must be a name such as snappy, gzip or zstd"
        ))),
    }
}

/// The name of a table in quotes, as `"database"."name"`.
fn table_name(cx: &Context, task: &Task<Custom>, name: &str) -> Result<String> {
    let name = plain(cx, &task.inputs, "custom.create_table.name", name)?;
    let parts = name.split('.').collect::<Vec<_>>();
    let is_name = |part: &&str| {
        !part.is_empty()
            && part.len() <= 255
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    match parts.len() <= 2 && parts.iter().all(is_name) {
        true => Ok(parts.iter().map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join(".")),
        false => Err(Error::invalid(format!(
            "custom.create_table.name: {name:?} must be a table's name of letters, digits, _ and -, perhaps after its \
             database and a dot"
        ))),
    }
}

fn result_configuration(
    cx: &Context,
    task: &Task<Custom>,
    setting: &OutputLocation,
) -> Result<Map<String, Json>> {
    let custom = &task.custom;
    let mut configuration = Map::new();
    let mut add = |key: &str, value: Option<Json>| {
        value.and_then(|value| configuration.insert(key.to_owned(), value));
    };
    add("OutputLocation", setting.of(cx, task)?.map(Json::from));
    if let Some(encryption) = &custom.encryption {
        let mut body = json!({ "EncryptionOption": encryption.option });
        match (encryption.option, encryption.kms_key.as_deref().unwrap_or_default()) {
            (EncryptionOption::SseS3, "") => {}
            (EncryptionOption::SseS3, _) => {
                return Err(Error::invalid("custom.encryption.kms_key: SSE_S3 has no key of KMS"));
            }
            (_, "") => return Err(Error::invalid("custom.encryption.kms_key: missing")),
            (_, key) if !names::is_kms_key(key) => {
                return Err(Error::invalid(format!(
                    "custom.encryption.kms_key: {key:?} must be the ARN of a key or alias of KMS, alias/NAME or a key's id"
                )));
            }
            (_, key) => body["KmsKey"] = key.into(),
        }
        add("EncryptionConfiguration", Some(body));
    }
    if let Some(owner) = &custom.expected_bucket_owner {
        if owner.len() != 12 || !owner.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::invalid(format!(
                "custom.expected_bucket_owner: {owner:?} must be the 12 digits of an AWS account"
            )));
        }
        add("ExpectedBucketOwner", Some(owner.as_str().into()));
    }
    if custom.bucket_owner_full_control == Some(true) {
        add("AclConfiguration", Some(json!({ "S3AclOption": "BUCKET_OWNER_FULL_CONTROL" })));
    }
    Ok(configuration)
}

fn reuse(minutes: Option<u32>) -> Result<Option<Json>> {
    match minutes {
        None => Ok(None),
        Some(minutes) if minutes <= MAX_REUSE_MINUTES => Ok(Some(json!({
            "ResultReuseByAgeConfiguration": { "Enabled": minutes > 0, "MaxAgeInMinutes": minutes }
        }))),
        Some(minutes) => Err(Error::invalid(format!(
            "custom.result_reuse_minutes: {minutes} is more than {MAX_REUSE_MINUTES}, a week"
        ))),
    }
}

fn engine(custom: &Custom) -> Result<Option<Json>> {
    let Some(engine) = custom.engine else { return Ok(None) };
    let mut properties = Map::new();
    for (key, dpus) in [("min-dpu-count", engine.min_dpus), ("max-dpu-count", engine.max_dpus)] {
        if let Some(dpus) = dpus {
            properties.insert(key.to_owned(), dpus.to_string().into());
        }
    }
    if properties.is_empty() {
        return Err(Error::invalid("custom.engine: needs min_dpus or max_dpus"));
    }
    if engine.min_dpus.zip(engine.max_dpus).is_some_and(|(min, max)| min > max) {
        return Err(Error::invalid("custom.engine.min_dpus: is more than max_dpus"));
    }
    Ok(Some(
        json!({ "Classifications": [{ "Name": ENGINE_PROPERTIES, "Properties": properties }] }),
    ))
}

#[cfg(test)]
mod tests;
