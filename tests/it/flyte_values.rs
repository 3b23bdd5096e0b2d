//! docs/flyte-values matches the services: it routes the task types that they serve to the ports that they
//! listen on.

use std::collections::{BTreeMap, BTreeSet};

use plugin_core::{
    ServiceInfo,
    testing::{TestService, proto::flyteidl::admin::ListAgentsResponse, spawn},
};
use prost::Message as _;
use serde_json::Value as Json;
use tonic::transport::Channel;

use crate::raw;

/// The task types that a service lists to Flyte 1 and Flyte 2.
async fn served(service: &TestService) -> BTreeSet<String> {
    let url = format!("http://{}", service.api());
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let token = service.token("propeller");
    let mut lists = Vec::new();
    for method in [
        "/flyteidl.service.AgentMetadataService/ListAgents",
        "/flyteidl2.connector.ConnectorMetadataService/ListConnectors",
    ] {
        let listed = raw::call(channel.clone(), method, Vec::new(), Some(&token)).await.unwrap();
        let agents = ListAgentsResponse::decode(listed).unwrap().agents;
        let categories = agents.into_iter().flat_map(|agent| agent.supported_task_categories);
        lists.push(categories.map(|category| category.name).collect::<BTreeSet<_>>());
    }
    assert_eq!(lists[0], lists[1], "both Flytes get the same list");
    lists.remove(0)
}

/// The task types that each plugin serves by default.
async fn all_served() -> BTreeMap<&'static str, BTreeSet<String>> {
    BTreeMap::from([
        ("athena", served(&spawn::<athena::Athena>(&["--region=eu-west-1"]).await).await),
        (
            "aws-batch",
            served(
                &spawn::<aws_batch::AwsBatch>(&["--region=eu-west-1", "--job-queues=etl"]).await,
            )
            .await,
        ),
        (
            "bigquery",
            served(&spawn::<bigquery::BigQuery>(&["--emulator-host=127.0.0.1:1"]).await).await,
        ),
        (
            "databricks",
            served(
                &spawn::<databricks::Databricks>(&["--default-instance=x.cloud.databricks.com"])
                    .await,
            )
            .await,
        ),
        (
            "emr-serverless",
            served(
                &spawn::<emr_serverless::EmrServerless>(&[
                    "--region=eu-west-1",
                    "--execution-roles=arn:aws:iam::111122223333:role/etl",
                ])
                .await,
            )
            .await,
        ),
        (
            "redshift",
            served(
                &spawn::<redshift::Redshift>(&[
                    "--region=eu-west-1",
                    "--workgroups=sales",
                    "--databases=d",
                ])
                .await,
            )
            .await,
        ),
        (
            "sagemaker",
            served(
                &spawn::<sagemaker::SageMaker>(&[
                    "--region=eu-west-1",
                    "--execution-roles=arn:aws:iam::111122223333:role/ml",
                    // Values route `boto` to it only when asked to: its tasks call any service of AWS.
                    "--boto-methods=",
                ])
                .await,
            )
            .await,
        ),
        ("snowflake", served(&spawn::<snowflake::Snowflake>(&["--accounts=ACME-ONE"]).await).await),
    ])
}

/// The default API port of a service.
fn default_port() -> String {
    let info = ServiceInfo { name: "x", version: "0" };
    let command = plugin_core::command::<bigquery::BigQuery>(info);
    let listen = command.get_arguments().find(|arg| arg.get_id() == "listen").unwrap();
    let address = listen.get_default_values()[0].to_string_lossy().into_owned();
    address.rsplit_once(':').unwrap().1.to_owned()
}

/// The configuration of Flyte's plugin that calls services, in the values of either chart.
fn section(values: &Json) -> &Json {
    let plugins = [
        &values["configmap"]["enabled_plugins"]["plugins"],
        &values["configuration"]["inline"]["plugins"],
    ];
    let plugins = plugins.into_iter().find(|plugins| plugins.is_object()).unwrap();
    plugins.as_object().unwrap().values().next().unwrap()
}

/// The target of the sidecar's route from `endpoint`, if the values have a sidecar.
fn through_the_proxy<'a>(values: &'a Json, endpoint: &str) -> Option<&'a str> {
    let sidecars = values["flytepropeller"]["additionalContainers"]
        .as_array()
        .or(values["deployment"]["sidecars"].as_array())?;
    let route = format!("--route={}=", endpoint.strip_prefix("dns:///").unwrap());
    let args = sidecars[0]["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    Some(args.filter_map(|arg| arg.strip_prefix(&route)).next().expect("a route"))
}

#[tokio::test]
async fn values_match_the_served_task_types_and_ports() {
    let served = all_served().await;
    let all = served.values().flatten().cloned().collect::<BTreeSet<_>>();
    let directory = tests::repository().join("docs/flyte-values");
    let mut flavours = 0;
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let values: Json =
            serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let section = section(&values);
        let listed = section["supportedTaskTypes"].as_array().unwrap().iter();
        let listed = listed.map(|each| each.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(listed, all, "{}", path.display());
        let either = |one: &str, other: &str| {
            section.get(one).or(section.get(other)).unwrap().as_object().unwrap().clone()
        };
        let connectors = either("connectors", "agents");
        let routed = either("connectorForTaskTypes", "agentForTaskTypes");
        for (plugin, types) in &served {
            let endpoint = connectors[*plugin]["endpoint"].as_str().unwrap();
            let endpoint = through_the_proxy(&values, endpoint).unwrap_or(endpoint);
            assert!(endpoint.starts_with(&format!("dns:///{plugin}-headless.")), "{endpoint}");
            assert!(endpoint.ends_with(&format!(":{}", default_port())), "{endpoint}");
            for each in types {
                assert_eq!(routed[each], *plugin, "{}", path.display());
            }
        }
        assert_eq!(routed.len(), all.len());
        flavours += 1;
    }
    assert_eq!(flavours, 10);
}
