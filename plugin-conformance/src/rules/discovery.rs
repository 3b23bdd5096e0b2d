//! Rules about what a service says it serves.

use std::collections::BTreeSet;

use http::Method;
use plugin_core::testing::{
    Dialect,
    proto::flyteidl::admin::{Agent, GetAgentRequest, GetAgentResponse},
};
use tonic::Code;

use crate::{
    discovery::Listing,
    rest::RestBody,
    session::Session,
    status::quoted,
    task::ServedType,
    verdict::{Checked, ensure, failed, skipped},
};

/// The lists that were answered.
fn listings(session: &Session) -> impl Iterator<Item = (Dialect, &Listing)> {
    let lists = session.listings.iter();
    lists.filter_map(|(dialect, listing)| Some((*dialect, listing.as_ref().ok()?)))
}

fn agents(session: &Session) -> Checked<Vec<(Dialect, &Agent)>> {
    let lists = listings(session).filter(|(dialect, _)| dialect.is_grpc());
    let agents = lists
        .flat_map(|(dialect, listing)| listing.agents.iter().map(move |agent| (dialect, agent)));
    let agents = agents.collect::<Vec<_>>();
    if agents.is_empty() { Err(skipped("no list over gRPC has an agent")) } else { Ok(agents) }
}

pub(super) async fn lists_a_task_type(session: &Session) -> Checked {
    for (dialect, listing) in &session.listings {
        let listing = listing.as_ref();
        let listing = listing.map_err(|error| failed(format!("{dialect}: {error}")))?;
        ensure(!listing.types.is_empty(), || format!("{dialect}: no task type"))?;
        let wrong = |served: &&ServedType| served.name.is_empty() || served.version < 0;
        if let Some(served) = listing.types.iter().find(wrong) {
            return Err(failed(format!("{dialect}: {}", quoted(&served.to_string()))));
        }
    }
    Ok(())
}

pub(super) async fn every_protocol_lists_the_same(session: &Session) -> Checked {
    let mut lists = listings(session);
    let Some((first, expected)) = lists.next() else { return Err(skipped("no list")) };
    let mut compared = false;
    for (dialect, listing) in lists {
        compared = true;
        let set = |listing: &Listing| listing.types.iter().cloned().collect::<BTreeSet<_>>();
        let (expected, listed) = (set(expected), set(listing));
        if let Some(only) = expected.symmetric_difference(&listed).next() {
            let which = if expected.contains(only) { first } else { dialect };
            let only = quoted(&only.to_string());
            return Err(failed(format!("of {first} and {dialect}, only {which} lists {only}")));
        }
    }
    if compared { Ok(()) } else { Err(skipped("needs two protocols")) }
}

pub(super) async fn types_and_categories_agree(session: &Session) -> Checked {
    for (dialect, agent) in agents(session)? {
        let types = agent.supported_task_types.iter().collect::<BTreeSet<_>>();
        let categories = agent.supported_task_categories.iter().map(|category| &category.name);
        let categories = categories.collect::<BTreeSet<_>>();
        if let Some(only) = types.symmetric_difference(&categories).next() {
            let (agent, only) = (quoted(&agent.name), quoted(only));
            return Err(failed(format!(
                "{dialect}: {agent} has {only} in only one of supported_task_types and \
                 supported_task_categories"
            )));
        }
    }
    Ok(())
}

pub(super) async fn each_task_type_once(session: &Session) -> Checked {
    for (dialect, listing) in listings(session) {
        let mut names = BTreeSet::new();
        if let Some(served) = listing.types.iter().find(|served| !names.insert(&served.name)) {
            let name = quoted(&served.name);
            return Err(failed(format!("{dialect}: {name} is listed more than once")));
        }
    }
    Ok(())
}

/// A body that is no JSON is refused by the verb that the type has, and the other verb is not found.
pub(super) async fn mode_is_true(session: &Session) -> Checked {
    if !session.has_rest() {
        return Err(skipped("needs REST"));
    }
    for served in &session.types {
        for (method, is_of) in [(Method::PUT, !served.is_sync), (Method::POST, served.is_sync)] {
            let body = RestBody::Json("{".into());
            let reply = session.target.rest(method.clone(), &served.path(), body).await;
            let status = reply.map_err(|error| failed(error.to_string()))?.status;
            ensure([404, 405].contains(&status) != is_of, || {
                let name = quoted(&served.to_string());
                format!("{name} is listed, and {method} of a body that is no JSON is {status}")
            })?;
        }
    }
    Ok(())
}

pub(super) async fn agent_by_name(session: &Session) -> Checked {
    for (dialect, agent) in agents(session)? {
        let path = match dialect {
            Dialect::Flyte2 => "/flyteidl2.connector.ConnectorMetadataService/GetConnector",
            _ => "/flyteidl.service.AgentMetadataService/GetAgent",
        };
        let ask = |name: &str| {
            let request = GetAgentRequest { name: name.to_owned() };
            async move { session.target.unary::<GetAgentResponse>(path, &request).await }
        };
        let found = ask(&agent.name).await;
        let found = found.map_err(|error| failed(format!("{dialect}: {error}")))?;
        let found = found.agent.unwrap_or_default();
        ensure(found.name == agent.name, || {
            format!("{dialect}: {} is answered with {}", quoted(&agent.name), quoted(&found.name))
        })?;
        match ask("plugin-conformance-unknown").await {
            Err(error) if error.is(&[Code::NotFound], &[]) => {}
            Err(error) => return Err(failed(format!("{dialect}: unknown name: {error}"))),
            Ok(_) => return Err(failed(format!("{dialect}: an unknown name is answered"))),
        }
    }
    Ok(())
}

pub(super) async fn schema_is_an_object(session: &Session) -> Checked {
    if !session.has_rest() {
        return Err(skipped("needs REST"));
    }
    for served in &session.types {
        let path = format!("{}/schema", served.path());
        let schema = session.target.rest_json(Method::GET, &path, None).await;
        let schema = schema.map_err(|error| failed(format!("{path}: {error}")))?;
        ensure(schema.is_object(), || format!("{path}: no JSON object"))?;
    }
    Ok(())
}
