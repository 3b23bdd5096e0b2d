//! What a service says it serves.

use http::Method;
use plugin_core::testing::{
    Dialect,
    proto::flyteidl::admin::{Agent, ListAgentsRequest, ListAgentsResponse},
};
use serde_json::Value as Json;

use crate::{grpc::Silence, status::CallError, target::Target, task::ServedType};

/// The most task types of a service.
const MAX_TYPES: usize = 10_000;

/// The list of one protocol.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    /// In order.
    pub(crate) types: Vec<ServedType>,
    /// gRPC's.
    pub(crate) agents: Vec<Agent>,
}

/// The path of the list.
pub(crate) fn list_path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Flyte1 => "/flyteidl.service.AgentMetadataService/ListAgents",
        Dialect::Flyte2 => "/flyteidl2.connector.ConnectorMetadataService/ListConnectors",
        Dialect::Rest => "/plugins/v1",
    }
}

impl Target {
    /// The task types that the service lists over `dialect`.
    pub(crate) async fn list(&self, dialect: Dialect) -> Result<Listing, CallError> {
        let path = list_path(dialect);
        let mut listing = if dialect == Dialect::Rest {
            from_rest(&self.rest_json(Method::GET, path, None).await?)?
        } else {
            let answer = self.unary::<ListAgentsResponse>(path, &ListAgentsRequest {}).await?;
            from_agents(answer.agents)
        };
        if listing.types.len() > MAX_TYPES {
            return Err(Silence::Broken(format!("more than {MAX_TYPES} task types")).into());
        }
        listing.types.sort();
        Ok(listing)
    }
}

fn from_agents(agents: Vec<Agent>) -> Listing {
    let types = agents.iter().flat_map(|agent| {
        let categories = agent.supported_task_categories.iter();
        categories.map(|category| ServedType {
            name: category.name.clone(),
            version: category.version,
            is_sync: agent.is_sync,
        })
    });
    Listing { types: types.collect(), agents }
}

fn from_rest(answer: &Json) -> Result<Listing, CallError> {
    let wrong = |what: &str| CallError::from(Silence::Broken(format!("an answer without {what}")));
    let plugins = answer["plugins"].as_array().ok_or_else(|| wrong("plugins"))?;
    let types = plugins.iter().map(|plugin| {
        let version = plugin["version"].as_i64().and_then(|version| version.try_into().ok());
        Ok(ServedType {
            name: plugin["task_type"].as_str().ok_or_else(|| wrong("task_type"))?.to_owned(),
            version: version.ok_or_else(|| wrong("version"))?,
            is_sync: match plugin["mode"].as_str() {
                Some("sync") => true,
                Some("async") => false,
                _ => return Err(wrong("a mode, sync or async")),
            },
        })
    });
    Ok(Listing { types: types.collect::<Result<_, CallError>>()?, agents: Vec::new() })
}
