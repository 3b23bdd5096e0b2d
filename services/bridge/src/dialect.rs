//! What connectors and plugins speak. Both versions of Flyte have the same messages.

use plugin_core::upstream::Operation;
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

impl Dialect {
    /// The path of the method for `operation`. Flyte 2 has none to execute a task; a call of Flyte 1's is answered with
    /// UNIMPLEMENTED.
    pub(crate) fn path(self, operation: Operation) -> PathAndQuery {
        PathAndQuery::from_static(match (self, operation) {
            (Self::Flyte1, Operation::Discover) => {
                "/flyteidl.service.AgentMetadataService/ListAgents"
            }
            (Self::Flyte1, Operation::Create) => "/flyteidl.service.AsyncAgentService/CreateTask",
            (Self::Flyte1, Operation::Get) => "/flyteidl.service.AsyncAgentService/GetTask",
            (Self::Flyte1, Operation::Delete) => "/flyteidl.service.AsyncAgentService/DeleteTask",
            (_, Operation::Execute) => "/flyteidl.service.SyncAgentService/ExecuteTaskSync",
            (Self::Flyte2, Operation::Discover) => {
                "/flyteidl2.connector.ConnectorMetadataService/ListConnectors"
            }
            (Self::Flyte2, Operation::Create) => {
                "/flyteidl2.connector.AsyncConnectorService/CreateTask"
            }
            (Self::Flyte2, Operation::Get) => "/flyteidl2.connector.AsyncConnectorService/GetTask",
            (Self::Flyte2, Operation::Delete) => {
                "/flyteidl2.connector.AsyncConnectorService/DeleteTask"
            }
        })
    }
}
