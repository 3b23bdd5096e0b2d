//! The gRPC services: those of Flyte 1 and Flyte 2, health and reflection.

mod health;
mod reflection;
mod sync;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router, body::Body, extract::Request as HttpRequest, response::Response as HttpResponse,
};
use server_core::{Error, Result};
use tokio::sync::watch;
use tonic::{Request, Response, Status, service::Routes};
use tonic_health::pb::health_server::HealthServer;
use tower::Service as _;

use self::health::Healthy;
use super::route;
use crate::{
    context::Verb,
    task::TaskType,
    verbs::{Incoming, Opened, Served, UNREADABLE_HANDLE, Verbs},
    wire::{
        Encoded, Submitted, category, connection,
        proto::{
            flyteidl::{
                admin::{
                    Agent, CreateTaskRequest, CreateTaskResponse, DeleteTaskRequest,
                    DeleteTaskResponse, GetAgentRequest, GetAgentResponse, GetTaskRequest,
                    GetTaskResponse, ListAgentsRequest, ListAgentsResponse, TaskCategory,
                },
                service::{
                    agent_metadata_service_server::{
                        AgentMetadataService, AgentMetadataServiceServer,
                    },
                    async_agent_service_server::{AsyncAgentService, AsyncAgentServiceServer},
                    sync_agent_service_server::SyncAgentServiceServer,
                },
            },
            flyteidl2::connector::{
                async_connector_service_server::{
                    AsyncConnectorService, AsyncConnectorServiceServer,
                },
                connector_metadata_service_server::{
                    ConnectorMetadataService, ConnectorMetadataServiceServer,
                },
            },
        },
        resource, unreadable_resource,
    },
};

/// The implementation for both versions of Flyte, whose messages have the same encoding.
#[derive(Clone)]
pub(super) struct Server {
    verbs: Arc<Verbs>,
}

/// The most bytes of a message to the services that take a name at most.
const MAX_NAME_MESSAGE_BYTES: usize = 4 << 10;

/// A service of jobs.
#[derive(Clone)]
pub(super) enum Jobs {
    Agents(AsyncAgentServiceServer<Server>),
    Connectors(AsyncConnectorServiceServer<Server>),
}

impl Jobs {
    pub(super) fn new(jobs: route::Jobs, verbs: Arc<Verbs>, max_message_bytes: usize) -> Self {
        let server = Server { verbs };
        match jobs {
            route::Jobs::Agents => Self::Agents(agents(server, max_message_bytes)),
            route::Jobs::Connectors => Self::Connectors(connectors(server, max_message_bytes)),
        }
    }

    pub(super) async fn serve(self, request: HttpRequest) -> HttpResponse {
        let served = match self {
            Self::Agents(mut service) => service.call(request),
            Self::Connectors(mut service) => service.call(request),
        };
        match served.await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        }
    }
}

fn agents(server: Server, max_message_bytes: usize) -> AsyncAgentServiceServer<Server> {
    AsyncAgentServiceServer::new(server).max_decoding_message_size(max_message_bytes)
}

fn connectors(server: Server, max_message_bytes: usize) -> AsyncConnectorServiceServer<Server> {
    AsyncConnectorServiceServer::new(server).max_decoding_message_size(max_message_bytes)
}

/// Every gRPC route. `serving` is what the health service reports.
pub(super) fn routes(
    verbs: Arc<Verbs>,
    max_message_bytes: usize,
    serving: watch::Sender<bool>,
) -> Router {
    let server = Server { verbs };
    let agents = agents(server.clone(), max_message_bytes);
    let sync_agents =
        SyncAgentServiceServer::new(server.clone()).max_decoding_message_size(max_message_bytes);
    let connectors = connectors(server.clone(), max_message_bytes);
    let agent_metadata = AgentMetadataServiceServer::new(server.clone());
    let connector_metadata = ConnectorMetadataServiceServer::new(server);
    let health = HealthServer::new(Healthy::new(serving));
    // From an empty router, because the default one has a fallback that conflicts with REST's.
    let routes = Routes::from(Router::new())
        .add_service(agents)
        .add_service(sync_agents)
        .add_service(connectors)
        .add_service(agent_metadata.max_decoding_message_size(MAX_NAME_MESSAGE_BYTES))
        .add_service(connector_metadata.max_decoding_message_size(MAX_NAME_MESSAGE_BYTES))
        .add_service(health.max_decoding_message_size(MAX_NAME_MESSAGE_BYTES));
    routes.into_axum_router().merge(reflection::routes())
}

fn is_unreadable(error: &Error) -> bool {
    error.code() == Some(UNREADABLE_HANDLE)
}

impl Server {
    async fn create(&self, mut request: Request<CreateTaskRequest>) -> Result<CreateTaskResponse> {
        let mut incoming = Incoming::of(request.extensions_mut())?;
        let encoded = incoming.message.take().map_or(Encoded::No, Encoded::Request);
        let submitted = Submitted { request: Box::new(request.into_inner()), encoded };
        // Boxed, because tonic moves the future of each call twice.
        let created = Box::pin(self.verbs.create(&incoming, submitted, None)).await?;
        Ok(CreateTaskResponse { resource_meta: created.handle.into() })
    }

    async fn get(&self, mut request: Request<GetTaskRequest>) -> Result<GetTaskResponse> {
        let incoming = Incoming::of(request.extensions_mut())?;
        let request = request.into_inner();
        let task_type = category(request.task_category, request.task_type);
        let handle = &request.resource_meta;
        let opened = match self.verbs.open(&incoming, Verb::Get, handle, task_type.as_deref()) {
            Ok(opened) => opened,
            Err(error) if is_unreadable(&error) => {
                let resource = unreadable_resource(error.message());
                incoming.record.fields().error = Some(error);
                return Ok(GetTaskResponse { resource: Some(resource) });
            }
            Err(error) => return Err(error),
        };
        let status = self.verbs.get(&incoming, &opened, connection(request.connection)).await;
        Ok(GetTaskResponse { resource: Some(resource(&status)) })
    }

    async fn delete(&self, mut request: Request<DeleteTaskRequest>) -> Result<DeleteTaskResponse> {
        let incoming = Incoming::of(request.extensions_mut())?;
        let request = request.into_inner();
        let task_type = category(request.task_category, request.task_type);
        let handle = &request.resource_meta;
        let opened: Opened =
            match self.verbs.open(&incoming, Verb::Delete, handle, task_type.as_deref()) {
                Ok(opened) => opened,
                // Nothing can be deleted, and an error would be retried forever.
                Err(error) if is_unreadable(&error) => {
                    incoming.record.fields().error = Some(error);
                    return Ok(DeleteTaskResponse {});
                }
                Err(error) => return Err(error),
            };
        self.verbs.delete(&incoming, &opened, connection(request.connection)).await?;
        Ok(DeleteTaskResponse {})
    }

    /// The plugins for discovery, with their task types in both of the fields that callers read.
    fn agents(&self) -> Vec<Agent> {
        let mut agents = BTreeMap::<_, Agent>::new();
        for Served { agent: name, task_type, plugin, .. } in self.verbs.served() {
            // A plugin with tasks of both modes is two agents.
            let is_sync = plugin.is_sync();
            let agent = agents.entry((*name, is_sync)).or_default();
            (*name).clone_into(&mut agent.name);
            agent.is_sync = is_sync;
            let TaskType { name, version } = *task_type;
            agent.supported_task_types.push(name.to_owned());
            agent.supported_task_categories.push(TaskCategory { name: name.to_owned(), version });
        }
        agents.into_values().collect()
    }

    fn agent_named(&self, name: &str) -> Result<GetAgentResponse> {
        let mut agents = self.agents();
        if let Some(found) = agents.iter().position(|agent| agent.name == name) {
            return Ok(GetAgentResponse { agent: Some(agents.swap_remove(found)) });
        }
        let names = agents.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>().join(", ");
        Err(Error::not_found(format!("unknown agent {name:?}; available: {names}")))
    }
}

/// Both services have the same methods.
macro_rules! async_service {
    ($service:ident) => {
        #[tonic::async_trait]
        impl $service for Server {
            async fn create_task(
                &self,
                request: Request<CreateTaskRequest>,
            ) -> Result<Response<CreateTaskResponse>, Status> {
                Ok(Response::new(self.create(request).await?))
            }

            async fn get_task(
                &self,
                request: Request<GetTaskRequest>,
            ) -> Result<Response<GetTaskResponse>, Status> {
                Ok(Response::new(self.get(request).await?))
            }

            async fn delete_task(
                &self,
                request: Request<DeleteTaskRequest>,
            ) -> Result<Response<DeleteTaskResponse>, Status> {
                Ok(Response::new(self.delete(request).await?))
            }
        }
    };
}

async_service!(AsyncAgentService);
async_service!(AsyncConnectorService);

#[tonic::async_trait]
impl AgentMetadataService for Server {
    async fn get_agent(
        &self,
        request: Request<GetAgentRequest>,
    ) -> Result<Response<GetAgentResponse>, Status> {
        Ok(Response::new(self.agent_named(&request.get_ref().name)?))
    }

    async fn list_agents(
        &self,
        _: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        Ok(Response::new(ListAgentsResponse { agents: self.agents() }))
    }
}

#[tonic::async_trait]
impl ConnectorMetadataService for Server {
    async fn get_connector(
        &self,
        request: Request<GetAgentRequest>,
    ) -> Result<Response<GetAgentResponse>, Status> {
        Ok(Response::new(self.agent_named(&request.get_ref().name)?))
    }

    async fn list_connectors(
        &self,
        _: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        Ok(Response::new(ListAgentsResponse { agents: self.agents() }))
    }
}
