//! Several plugins in one process, isolated from each other.

use std::time::Duration;

use bigquery::BigQuery;
use databricks::Databricks;
use plugin_core::{
    Bundle, Context, HttpBuilder, Phase, Result, Status, SyncPlugin, Task, TaskType,
    testing::{
        Dialect, TestService,
        proto::flyteidl::admin::{
            Agent, GetAgentRequest, GetAgentResponse, GetTaskRequest, GetTaskResponse,
            ListAgentsResponse, Resource, TaskCategory,
        },
        rsa_private_key, spawn_bundle,
    },
};
use prost::Message as _;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use snowflake::Snowflake;
use tempfile::TempDir;
use tests::{
    fakes::{
        athena::Athena,
        aws::Fake,
        aws_batch::AwsBatch,
        bigquery::{self as fake_bigquery, FakeBigQuery, service_account_key},
        databricks::{self as fake_databricks, FakeDatabricks},
        emr_serverless::EmrServerless,
        redshift::Redshift,
        sagemaker::SageMaker,
        snowflake::{self as fake_snowflake, FakeSnowflake},
    },
    golden::{Flyte, Golden},
};

use crate::{
    aws::stage::{self, Staged},
    program::{ANYWHERE, Running, output},
    replay,
    stage::replica,
};

/// A sync plugin.
struct Echo;

#[derive(Debug, clap::Args)]
struct Settings {}

#[derive(Deserialize, JsonSchema)]
struct Anything {}

impl SyncPlugin for Echo {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("echo", 0)];
    type Settings = Settings;
    type Custom = Anything;

    fn new(_: Settings, _: HttpBuilder) -> Result<Self> {
        Ok(Self)
    }

    async fn execute(&self, _: &Context, _: Task<Anything>) -> Result<Status> {
        Ok(Status::new(Phase::Succeeded))
    }
}

/// A fake of each vendor, and the secrets that their plugins need.
struct Vendors {
    aws: Vec<OfAws>,
    bigquery: FakeBigQuery,
    databricks: FakeDatabricks,
    snowflake: FakeSnowflake,
    secrets: TempDir,
}

/// A fake of a service of AWS, and what its plugin needs.
struct OfAws {
    /// The plugin's name in the bundle.
    name: &'static str,
    /// A golden request.
    golden: &'static str,
    /// A part of the link to the job.
    link: &'static str,
    /// The plugin's flags.
    flags: Vec<String>,
    /// The same as variables.
    variables: Vec<(String, String)>,
    fake: Box<dyn Watched>,
}

/// What the tests want to know of a fake of AWS.
trait Watched: Send + Sync {
    fn jobs(&self) -> usize;
    fn requests(&self) -> usize;
    fn breaches(&self) -> Vec<String>;
}

impl<S: Staged> Watched for Fake<S> {
    fn jobs(&self) -> usize {
        self.jobs()
    }

    fn requests(&self) -> usize {
        self.requests()
    }

    fn breaches(&self) -> Vec<String> {
        self.breaches()
    }
}

impl OfAws {
    async fn start<S: Staged>(
        name: &'static str,
        golden: &'static str,
        link: &'static str,
        variables: &[(&str, &str)],
    ) -> Self {
        let fake = Fake::<S>::start(S::Options::default()).await.unwrap();
        let endpoint = format!("{}_ENDPOINT", name.to_uppercase().replace('-', "_"));
        let own = [(endpoint.as_str(), fake.url())].into_iter();
        let own = own.chain(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let variables = own.map(|(name, value)| (name.to_owned(), value)).collect();
        let flags = [format!("--endpoint={}", fake.url()), "--region=eu-central-1".to_owned()];
        let flags = flags.into_iter().chain(S::ARGS.iter().map(|&flag| flag.to_owned())).collect();
        Self { name, golden, link, flags, variables, fake: Box::new(fake) }
    }

    /// All of them. A further one is a line here, and one each in [`Vendors::service`] and
    /// [`discovery_lists_every_plugin_by_its_own_name`].
    async fn all() -> Vec<Self> {
        const REDSHIFT: &[(&str, &str)] =
            &[("REDSHIFT_WORKGROUPS", "sales"), ("REDSHIFT_DATABASES", "dev")];
        // They have one value for all plugins.
        const ROLES: &[(&str, &str)] = &[(
            "AWS_EXECUTION_ROLES",
            "arn:aws:iam::111122223333:role/etl-*,arn:aws:iam::111122223333:role/ml-*",
        )];
        const QUEUES: &[(&str, &str)] = &[("AWS_BATCH_JOB_QUEUES", "etl")];
        vec![
            Self::start::<Athena>("athena", "ath_select", "/athena/home", &[]).await,
            Self::start::<AwsBatch>("aws-batch", "aws_minimal", "/batch/home", QUEUES).await,
            Self::start::<EmrServerless>("emr-serverless", "emr_minimal", "/emr/home", ROLES).await,
            Self::start::<Redshift>("redshift", "rs_unload", "/redshiftv2/home", REDSHIFT).await,
            Self::start::<SageMaker>("sagemaker", "sm_training", "/sagemaker/home", ROLES).await,
        ]
    }
}

const WORKSPACES: &str = "acme-prod.cloud.databricks.com,myorg.cloud.databricks.com";
const ACCOUNTS: &str = "ACMEORG-ANALYTICS,xy12345.eu-central-1,ORG-ACC";

impl Vendors {
    async fn start() -> Self {
        let secrets = tempfile::tempdir().unwrap();
        stage::write_keys(secrets.path());
        for (name, value) in [
            ("google_application_credentials", service_account_key().as_str()),
            ("databricks_token", "dapi-of-the-service-0123456789"),
            ("snowflake_private_key", rsa_private_key()),
        ] {
            std::fs::write(secrets.path().join(name), value).unwrap();
        }
        let snowflake = FakeSnowflake::start(fake_snowflake::Options::default()).await.unwrap();
        snowflake.register_key(rsa_private_key()).unwrap();
        Self {
            aws: OfAws::all().await,
            bigquery: FakeBigQuery::start(fake_bigquery::Options::default()).await.unwrap(),
            databricks: FakeDatabricks::start(fake_databricks::Options::default()).await.unwrap(),
            snowflake,
            secrets,
        }
    }

    /// A service with all plugins, within this process.
    async fn service(&self, args: &[&str]) -> TestService {
        let bundle = Bundle::new(plugin_core::service_info!())
            .plugin::<athena::Athena>("athena")
            .plugin::<aws_batch::AwsBatch>("aws-batch")
            .plugin::<BigQuery>("bigquery")
            .plugin::<Databricks>("databricks")
            .sync_plugin::<Echo>("echo")
            .plugin::<emr_serverless::EmrServerless>("emr-serverless")
            .plugin::<redshift::Redshift>("redshift")
            .plugin::<sagemaker::SageMaker>("sagemaker")
            .plugin::<Snowflake>("snowflake");
        let endpoint = |url: String| format!("--endpoint={url}");
        let bigquery = endpoint(self.bigquery.url());
        let databricks = [endpoint(self.databricks.url()), format!("--instances={WORKSPACES}")];
        let snowflake = [endpoint(self.snowflake.url()), format!("--accounts={ACCOUNTS}")];
        let secrets = format!("--secrets-dir={}", self.secrets.path().display());
        let args = [&[secrets.as_str()], args].concat();
        let aws = self
            .aws
            .iter()
            .map(|one| (one.name, one.flags.iter().map(String::as_str).collect::<Vec<_>>()));
        let aws = aws.collect::<Vec<_>>();
        let others = [
            ("bigquery", &[bigquery.as_str()][..]),
            ("databricks", &databricks.each_ref().map(String::as_str)),
            ("snowflake", &snowflake.each_ref().map(String::as_str)),
        ];
        let aws = aws.iter().map(|(name, flags)| (*name, flags.as_slice()));
        let own = aws.chain(others).collect::<Vec<_>>();
        spawn_bundle(bundle, &args, &own).await
    }

    /// The bundle's program, configured for the vendors and with `variables`.
    async fn program(&self, variables: &[(&str, &str)]) -> Running {
        let (bigquery, databricks, snowflake) =
            (self.bigquery.url(), self.databricks.url(), self.snowflake.url());
        let ours = [
            ("PLUGIN_SECRETS_DIR", self.secrets.path().to_str().unwrap()),
            ("AWS_REGION", "eu-central-1"),
            ("BIGQUERY_ENDPOINT", &bigquery),
            ("DATABRICKS_ENDPOINT", &databricks),
            ("DATABRICKS_INSTANCES", WORKSPACES),
            ("SNOWFLAKE_ENDPOINT", &snowflake),
            ("SNOWFLAKE_ACCOUNTS", ACCOUNTS),
        ];
        let aws = self.aws.iter().flat_map(|one| &one.variables);
        let aws = aws.map(|(name, value)| (name.as_str(), value.as_str()));
        let variables = ours.into_iter().chain(aws).chain(variables.iter().copied());
        let variables = variables.collect::<Vec<_>>();
        Running::start("bundle", &["--insecure-no-auth", "--drain-delay=0s"], &variables).await
    }

    /// The number of jobs at each vendor.
    fn jobs(&self) -> Vec<usize> {
        let others = [self.bigquery.jobs(), self.databricks.runs(), self.snowflake.statements()];
        others.into_iter().chain(self.aws.iter().map(|one| one.fake.jobs())).collect()
    }

    fn violations(&self) -> Vec<String> {
        let (bigquery, snowflake) = (self.bigquery.violations(), self.snowflake.violations());
        let aws = self.aws.iter().flat_map(|one| one.fake.breaches()).collect();
        [bigquery, self.databricks.violations(), snowflake, aws].concat()
    }

    /// A task for each vendor, all with the same `output_prefix` and thus the same key.
    fn tasks(&self) -> Vec<Json> {
        let aws = self.aws.iter().map(|one| one.golden);
        let names = ["bq_scalars", "dbx_existing_cluster", "sf_scalars"].into_iter().chain(aws);
        let task = |name: &str| {
            let mut task = Golden::read(Flyte::V1, name).unwrap().json;
            task["output_prefix"] = json!("s3://bucket/the/same");
            task
        };
        names.map(task).collect()
    }

    /// Parts of the links to the jobs of these tasks.
    fn links(&self) -> impl Iterator<Item = &str> {
        let others = ["console.cloud.google.com", "#job/", "app.snowflake.com"];
        others.into_iter().chain(self.aws.iter().map(|one| one.link))
    }
}

#[tokio::test]
async fn every_plugin_works_in_one_service() {
    for dialect in Dialect::ALL {
        let vendors = Vendors::start().await;
        let service = vendors.service(&[]).await;
        let client = service.client(dialect, "propeller").await;
        let tasks = vendors.tasks();
        let creates = tasks.iter().map(|task| client.create(task));
        let handles = futures_util::future::join_all(creates).await;
        let handles = handles.into_iter().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(vendors.jobs(), vec![1; tasks.len()], "one job per vendor with the same key");
        let mut ends = Vec::new();
        for (task, handle) in tasks.iter().zip(&handles) {
            while client.get(task, handle).await.unwrap().phase != "SUCCEEDED" {}
            ends.push(client.get(task, handle).await.unwrap().links);
            assert!(client.delete(task, handle).await.is_ok());
        }
        for (link, host) in ends.iter().zip(vendors.links()) {
            assert!(link.iter().any(|(_, uri)| uri.contains(host)), "{link:?} leads to {host}");
        }
        assert_eq!(vendors.violations(), [""; 0], "{dialect:?}");
    }
}

/// The response to a get that sends the task type with the handle.
async fn get_as(
    service: &TestService,
    method: &'static str,
    handle: &[u8],
    task: &Json,
) -> Resource {
    let name = task["template"]["type"].as_str().unwrap().to_owned();
    let request = GetTaskRequest {
        resource_meta: handle.to_vec().into(),
        task_category: Some(TaskCategory { name, version: 0 }),
        ..GetTaskRequest::default()
    };
    let (channel, token) = (replay::channel(service).await, service.token("propeller"));
    let got = crate::raw::call(channel, method, request.encode_to_vec(), Some(&token)).await;
    GetTaskResponse::decode(got.unwrap()).unwrap().resource.unwrap()
}

#[tokio::test]
async fn handle_is_rejected_under_another_plugins_task_type() {
    let why = "the job's handle is for a bigquery_query_job_task task, not ";
    let vendors = Vendors::start().await;
    let service = vendors.service(&[]).await;
    let client = service.client(Dialect::Rest, "propeller").await;
    let [bigquery, others @ ..] = &vendors.tasks()[..] else { unreachable!() };
    let handle = client.create(bigquery).await.unwrap();
    for other in others {
        for refused in [
            client.get(other, &handle).await.map(drop).unwrap_err(),
            client.delete(other, &handle).await.unwrap_err(),
        ] {
            assert_eq!(refused.code, 400);
            assert!(refused.message.contains(why), "{refused:?}");
        }
        for method in [
            "/flyteidl.service.AsyncAgentService/GetTask",
            "/flyteidl2.connector.AsyncConnectorService/GetTask",
        ] {
            let seen = get_as(&service, method, &handle, other).await;
            assert_eq!(seen.phase().as_str_name(), "FAILED");
            assert!(seen.message.contains(why), "{}", seen.message);
        }
    }
    assert_eq!([vendors.databricks.requests(), vendors.snowflake.requests()], [0, 0]);
    assert!(vendors.aws.iter().all(|one| one.fake.requests() == 0));
    assert_eq!(client.get(bigquery, &handle).await.unwrap().phase, "QUEUED", "not stopped");
}

#[tokio::test]
async fn bundle_and_single_service_share_jobs() {
    let vendors = Vendors::start().await;
    let bundle = vendors.service(&[]).await;
    let alone = replica(&vendors.bigquery, &[]).await;
    let task = vendors.tasks().remove(0);
    for (from, to) in [(&alone, &bundle), (&bundle, &alone)] {
        let handle = from.client(Dialect::Flyte1, "propeller").await.create(&task).await.unwrap();
        let client = to.client(Dialect::Flyte1, "propeller").await;
        assert_ne!(client.get(&task, &handle).await.unwrap().phase, "FAILED");
        client.create(&task).await.unwrap();
    }
    assert_eq!(vendors.bigquery.jobs(), 1, "both use the same key");
}

#[tokio::test]
async fn vendor_outage_affects_only_its_plugin() {
    let vendors = Vendors::start().await;
    let service = vendors.service(&[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let [bigquery, _, snowflake, ..] = &vendors.tasks()[..] else { unreachable!() };
    let one = client.create(bigquery).await.unwrap();
    let other = client.create(snowflake).await.unwrap();
    vendors.bigquery.fail_with([429; 1000]);
    let hasty = client.clone().with_timeout(Duration::from_millis(500));
    let seen = hasty.get(bigquery, &one).await.unwrap();
    assert!(seen.message.starts_with("last known state"), "{}", seen.message);
    for phase in ["RUNNING", "RUNNING", "SUCCEEDED"] {
        assert_eq!(hasty.get(snowflake, &other).await.unwrap().phase, phase);
    }
}

#[tokio::test]
async fn bundle_may_contain_sync_plugins() {
    let vendors = Vendors::start().await;
    let service = vendors.service(&["--plugins=echo,bigquery"]).await;
    let echo = json!({"template": {"type": "echo", "custom": {}}, "output_prefix": "s3://b/1"});
    for dialect in Dialect::SYNC {
        let client = service.client(dialect, "propeller").await;
        assert_eq!(client.execute(&echo).await.unwrap().phase, "SUCCEEDED");
        assert!(client.create(&echo).await.unwrap_err().message.contains("is synchronous"));
        assert!(client.create(&vendors.tasks()[0]).await.is_ok());
    }
}

async fn agents(service: &TestService, method: &'static str) -> Vec<Agent> {
    let token = service.token("propeller");
    let channel = replay::channel(service).await;
    let listed = crate::raw::call(channel, method, Vec::new(), Some(&token)).await.unwrap();
    ListAgentsResponse::decode(listed).unwrap().agents
}

async fn plugins(api: &str, token: Option<String>) -> Vec<String> {
    let mut request = reqwest::Client::new().get(format!("http://{api}/plugins/v1"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let listed = request.send().await.unwrap().json::<Json>().await.unwrap();
    let names = listed["plugins"].as_array().unwrap().iter();
    names.map(|plugin| plugin["task_type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn discovery_lists_every_plugin_by_its_own_name() {
    let vendors = Vendors::start().await;
    let service = vendors.service(&[]).await;
    for method in [
        "/flyteidl.service.AgentMetadataService/ListAgents",
        "/flyteidl2.connector.ConnectorMetadataService/ListConnectors",
    ] {
        let listed = agents(&service, method).await;
        let listed = listed.iter().map(|agent| {
            (agent.name.as_str(), agent.supported_task_types[0].as_str(), agent.is_sync)
        });
        assert_eq!(
            listed.collect::<Vec<_>>(),
            [
                ("athena", "athena", false),
                ("aws-batch", "aws-batch", false),
                ("bigquery", "bigquery_query_job_task", false),
                ("databricks", "databricks", false),
                ("echo", "echo", true),
                ("emr-serverless", "emr_serverless", false),
                ("redshift", "redshift", false),
                ("sagemaker", "sagemaker-endpoint", false),
                ("sagemaker", "boto", true),
                ("snowflake", "snowflake", false),
            ]
        );
    }
    let types = [
        "athena",
        "aws-batch",
        "bigquery_query_job_task",
        "boto",
        "databricks",
        "echo",
        "emr_serverless",
        "hive",
        "presto",
        "redshift",
        "sagemaker-endpoint",
        "sagemaker-hyperparameter-tuning-job",
        "sagemaker-inference-recommender-job",
        "sagemaker-processing-job",
        "sagemaker-processing-task",
        "sagemaker-training-job",
        "sagemaker-training-task",
        "sagemaker-transform-job",
        "snowflake",
    ];
    let token = Some(service.token("propeller"));
    assert_eq!(plugins(&service.api().to_string(), token).await, types);
}

#[tokio::test]
async fn agents_are_found_by_plugin_name() {
    let vendors = Vendors::start().await;
    let service = vendors.service(&["--plugins=snowflake,echo"]).await;
    let get = async |name: &str| {
        let request = GetAgentRequest { name: name.to_owned() }.encode_to_vec();
        let method = "/flyteidl.service.AgentMetadataService/GetAgent";
        let (channel, token) = (replay::channel(&service).await, service.token("propeller"));
        crate::raw::call(channel, method, request, Some(&token)).await
    };
    let found = GetAgentResponse::decode(get("snowflake").await.unwrap()).unwrap().agent.unwrap();
    assert_eq!(found.supported_task_types, ["snowflake"]);
    let unknown = get("bigquery").await.unwrap_err();
    assert_eq!(unknown.message(), "unknown agent \"bigquery\"; available: echo, snowflake");
}

#[tokio::test]
async fn each_plugin_reads_its_own_variables() {
    let vendors = Vendors::start().await;
    let running = vendors.program(&[]).await;
    for dialect in Dialect::ALL {
        let client = running.client(dialect).await;
        for mut task in vendors.tasks() {
            task["output_prefix"] = json!(format!("s3://bucket/{dialect:?}"));
            let handle = client.create(&task).await.unwrap();
            let seen = client.get(&task, &handle).await.unwrap();
            assert!(!["UNDEFINED", "FAILED"].contains(&seen.phase.as_str()), "{seen:?}");
        }
    }
    assert_eq!(
        (vendors.jobs(), vendors.violations()),
        (vec![3; vendors.tasks().len()], Vec::new())
    );
    let url = format!("http://{}", running.api);
    let checked = output("bundle", &["health-check", &url], &[]).await;
    assert_eq!(checked, (Some(0), "SERVING\n".to_owned()));
    assert_eq!(running.terminate().await.0, Some(0));
}

#[tokio::test]
async fn only_selected_plugins_are_configured_and_served() {
    let vendors = Vendors::start().await;
    // The settings of the other plugins are missing or invalid.
    let running = vendors
        .program(&[
            ("PLUGIN_BUNDLE_PLUGINS", "databricks"),
            ("SNOWFLAKE_ACCOUNTS", ""),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json"),
        ])
        .await;
    assert_eq!(plugins(&running.api, None).await, ["databricks"]);
    let client = running.client(Dialect::Flyte1).await;
    let [bigquery, databricks, ..] = &vendors.tasks()[..] else { unreachable!() };
    assert!(client.create(databricks).await.is_ok());
    let refused = client.create(bigquery).await.unwrap_err();
    assert!(refused.message.ends_with("; available: databricks version 0"));
}

#[tokio::test]
async fn startup_errors_name_the_plugin() {
    let none = ("PLUGIN_AUTH", "");
    let (key, host) = ("/nowhere/key.json", "http://bigquery.example.com");
    for (plugins, variable, code, expected) in [
        ("snowflake", none, 2, "snowflake: the following required arguments were not provided"),
        ("snowflake", none, 2, "SNOWFLAKE_ACCOUNTS"),
        ("athena", none, 2, "athena: the following required arguments were not provided"),
        ("redshift", none, 2, "AWS_REGION"),
        ("redshift", none, 2, "REDSHIFT_DATABASES"),
        ("aws-batch", none, 2, "AWS_BATCH_JOB_QUEUES"),
        ("sagemaker", none, 2, "sagemaker: the following required arguments were not provided"),
        ("sagemaker", ("AWS_REGION", "eu-central-1"), 1, "AWS_EXECUTION_ROLES"),
        (
            "emr-serverless",
            none,
            2,
            "emr-serverless: the following required arguments were not provided",
        ),
        (
            "databricks",
            ("DATABRICKS_SPARK", "so"),
            2,
            "databricks: invalid value 'so' for 'DATABRICKS_SPARK'",
        ),
        ("bigquery", ("BIGQUERY_ENDPOINT", host), 1, "bundle: bigquery: endpoint"),
        (
            "bigquery",
            ("GOOGLE_APPLICATION_CREDENTIALS", key),
            1,
            "bigquery: the service's Google credentials",
        ),
        ("spark", none, 2, "[possible values: athena, aws-batch, bigquery,"),
    ] {
        let plugins = format!("--plugins={plugins}");
        let args = [&ANYWHERE[..], &["--insecure-no-auth", &plugins]].concat();
        let (exit, text) = output("bundle", &args, &[variable]).await;
        assert_eq!(exit, Some(code), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}
