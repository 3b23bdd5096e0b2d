//! What connectors and plugins speak. Both versions of Flyte have the same messages.

use plugin_core::upstream::Operation;
use tonic::codegen::http::uri::PathAndQuery;

/// The code of an exception in a connector.
pub(crate) const CONNECTOR_ERROR: &str = "CONNECTOR_ERROR";
/// The code of an exception in a plugin in another language.
pub(crate) const PLUGIN_ERROR: &str = "PLUGIN_ERROR";

/// What a process speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Flyte's gRPC of connectors.
    Grpc(Dialect),
    /// The proposal's REST, with plain JSON.
    Rest,
}

/// The process behind the bridge, in messages: what stands there is known once it has answered, or when the operator
/// has said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    Connectors,
    Plugin,
    Unknown,
}

impl Process {
    /// What speaks `protocol`, if that is known.
    pub(crate) const fn of(protocol: Option<Protocol>) -> Self {
        match protocol {
            Some(Protocol::Grpc(_)) => Self::Connectors,
            Some(Protocol::Rest) => Self::Plugin,
            None => Self::Unknown,
        }
    }

    pub(crate) const fn has_not_answered(self) -> &'static str {
        match self {
            Self::Connectors => "the connectors have not answered yet",
            Self::Plugin => "the plugin has not answered yet",
            Self::Unknown => "the process behind the bridge has not answered yet",
        }
    }

    pub(crate) const fn does_not_answer(self) -> &'static str {
        match self {
            Self::Connectors => "the connectors do not answer",
            Self::Plugin => "the plugin does not answer",
            Self::Unknown => "the process behind the bridge does not answer",
        }
    }

    pub(crate) const fn answers(self) -> &'static str {
        match self {
            Self::Connectors => "the connectors answer",
            Self::Plugin => "the plugin answers",
            Self::Unknown => "the process behind the bridge answers",
        }
    }

    pub(crate) const fn is_incomplete(self) -> &'static str {
        match self {
            Self::Connectors => {
                "the connectors do not have every task type; the log names those that are missing"
            }
            Self::Plugin => {
                "the plugin does not have every task type; the log names those that are missing"
            }
            Self::Unknown => "task types are missing; the log names them",
        }
    }
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
