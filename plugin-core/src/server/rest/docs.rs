//! The OpenAPI document of one service, with its task types, and the page that shows it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::{Router, routing::get};
use bytes::Bytes;
use http::header;
use serde_json::{Map, Value, json};
use server_core::ServiceInfo;

use super::{SCHEMA, TASKS, openapi::openapi, page::page};
use crate::verbs::{Served, Verbs};

/// The path of the document.
const DOCUMENT: &str = "/openapi.json";

/// `/openapi.json`, and `/docs`, which shows it in a browser. Anyone may read both: they have no secrets, and a browser that
/// opens a page sends no token.
pub(super) fn docs(verbs: &Arc<Verbs>, info: ServiceInfo) -> Router {
    let encoded = Encoded::new(Arc::clone(verbs), info);
    let document =
        get(async move || ([(header::CONTENT_TYPE, "application/json")], encoded.current()));
    page(&title(info), format!("..{DOCUMENT}")).route(DOCUMENT, document)
}

/// The document, encoded once for each revision of the plugins: anyone may ask for it, many times, and not read it. And not
/// before: few do, and what is built for it would stay a part of the memory of every service.
struct Encoded {
    verbs: Arc<Verbs>,
    info: ServiceInfo,
    current: ArcSwapOption<(u64, Bytes)>,
}

impl Encoded {
    fn new(verbs: Arc<Verbs>, info: ServiceInfo) -> Arc<Self> {
        Arc::new(Self { verbs, info, current: ArcSwapOption::empty() })
    }

    fn current(&self) -> Bytes {
        if let Some(known) = &*self.current.load()
            && known.0 == revision(&self.verbs)
        {
            return known.1.clone();
        }
        let fresh = encode(&self.verbs, self.info);
        let bytes = fresh.1.clone();
        self.current.store(Some(Arc::new(fresh)));
        bytes
    }
}

/// The document, and the revision that it is at least of.
fn encode(verbs: &Verbs, info: ServiceInfo) -> (u64, Bytes) {
    let revision = revision(verbs);
    (revision, document(verbs, info).to_string().into())
}

/// What changes with any plugin's revision, which only grow.
fn revision(verbs: &Verbs) -> u64 {
    verbs.served().map(|served| served.plugin.revision()).fold(0, u64::wrapping_add)
}

/// The document of one service: its name and version, and for each task type its paths, the schema of its `custom` and an
/// example.
fn document(verbs: &Verbs, info: ServiceInfo) -> Value {
    let mut document = json!(openapi());
    document["info"]["title"] = title(info).into();
    document["info"]["version"] = info.version.into();
    // Where the document is, whatever path an ingress puts before it.
    document["servers"] =
        json!([{ "url": "./", "description": "The service that serves this document" }]);
    let Some(paths) = document["paths"].as_object_mut() else {
        return document;
    };
    let (tasks, schema) = (paths.remove(TASKS), paths.remove(SCHEMA));
    for served in verbs.served() {
        let path = path_of(served);
        let document = &mut document;
        if let Some(item) = &tasks {
            document["paths"][&path] = tasks_of(item.clone(), served);
        }
        if let Some(item) = &schema {
            document["paths"][format!("{path}/schema")] = addressed(item.clone(), served);
        }
        add_schemas(document, served);
    }
    document
}

/// What the document and the page are called.
fn title(info: ServiceInfo) -> String {
    format!("{}: Flyte tasks over REST", info.name)
}

fn path_of(served: &Served) -> String {
    format!("/plugins/v1/{}/{}", served.task_type.name, served.task_type.version)
}

/// The name of a task type's schemas, which is also part of the names of its operations.
fn name_of(served: &Served) -> String {
    format!("{}_{}", served.task_type.name.replace(['-', '.'], "_"), served.task_type.version)
}

/// The operations that a task type has: on jobs, or the execution.
fn tasks_of(mut item: Value, served: &Served) -> Value {
    let absent: &[&str] =
        if served.plugin.is_sync() { &["put", "get", "delete"] } else { &["post"] };
    let schema = json!({ "$ref": format!("#/components/schemas/Create_{}", name_of(served)) });
    if let Some(operations) = item.as_object_mut() {
        operations.retain(|method, _| !absent.contains(&&**method));
        for operation in operations.values_mut() {
            if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json") {
                *body =
                    json!({ "schema": schema, "example": served.plugin.example(served.task_type) });
            }
        }
    }
    addressed(item, served)
}

/// The operations of `item` at the path of one task type: its name and version are no parameters, and the operations have
/// names of their own.
fn addressed(mut item: Value, served: &Served) -> Value {
    let address = ["task_type", "version"];
    for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(id) = operation["operationId"].as_str() {
            operation["operationId"] = format!("{id}_{}", name_of(served)).into();
        }
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            let name =
                |parameter: &Value| parameter["name"].as_str().unwrap_or_default().to_owned();
            parameters.retain(|parameter| !address.contains(&&*name(parameter)));
        }
    }
    item
}

/// Adds the schema of a task type's `custom`, and of the body that has it.
fn add_schemas(document: &mut Value, served: &Served) {
    let name = name_of(served);
    let mut custom = served.plugin.custom_schema(served.task_type);
    let prefix = format!("#/components/schemas/{name}.");
    rename_references(&mut custom, &prefix);
    let definitions = custom.as_object_mut().and_then(|custom| custom.remove("$defs"));
    let mut body = document["components"]["schemas"]["CreateJob"].clone();
    body["properties"]["custom"] = json!({ "$ref": format!("#/components/schemas/Custom_{name}") });
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else {
        return;
    };
    if let Some(Value::Object(definitions)) = definitions {
        schemas
            .extend(definitions.into_iter().map(|(own, schema)| (format!("{name}.{own}"), schema)));
    }
    schemas.insert(format!("Custom_{name}"), custom);
    schemas.insert(format!("Create_{name}"), body);
}

/// Schemas refer to others in their own `$defs`; in the document all are components.
fn rename_references(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/$defs/")
            {
                *reference = format!("{prefix}{name}");
            }
            members.values_mut().for_each(|member| rename_references(member, prefix));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename_references(item, prefix)),
        _ => {}
    }
}
