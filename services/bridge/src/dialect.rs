//! What connectors and plugins speak. Both versions of Flyte have the same messages.

use tonic::codegen::http::uri::PathAndQuery;

/// What a process speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Flyte's gRPC of connectors.
    Grpc(Dialect),
    /// The proposal's REST, with plain JSON.
    Rest,
}

/// A version of Flyte that connectors are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Flyte1,
    Flyte2,
}

/// A method of connectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    List,
    Create,
    Get,
    Delete,
    Execute,
}

impl Dialect {
    /// The path of `method`. Flyte 2 has none to execute a task; a call of Flyte 1's is answered with UNIMPLEMENTED.
    pub(crate) fn path(self, method: Method) -> PathAndQuery {
        PathAndQuery::from_static(match (self, method) {
            (Self::Flyte1, Method::List) => "/flyteidl.service.AgentMetadataService/ListAgents",
            (Self::Flyte1, Method::Create) => "/flyteidl.service.AsyncAgentService/CreateTask",
            (Self::Flyte1, Method::Get) => "/flyteidl.service.AsyncAgentService/GetTask",
            (Self::Flyte1, Method::Delete) => "/flyteidl.service.AsyncAgentService/DeleteTask",
            (_, Method::Execute) => "/flyteidl.service.SyncAgentService/ExecuteTaskSync",
            (Self::Flyte2, Method::List) => {
                "/flyteidl2.connector.ConnectorMetadataService/ListConnectors"
            }
            (Self::Flyte2, Method::Create) => {
                "/flyteidl2.connector.AsyncConnectorService/CreateTask"
            }
            (Self::Flyte2, Method::Get) => "/flyteidl2.connector.AsyncConnectorService/GetTask",
            (Self::Flyte2, Method::Delete) => {
                "/flyteidl2.connector.AsyncConnectorService/DeleteTask"
            }
        })
    }
}
