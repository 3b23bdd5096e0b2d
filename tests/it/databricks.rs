//! Databricks: real requests of Flyte's SDKs, and the credentials used for them.

use std::time::Duration;

use databricks::Databricks;
use plugin_core::testing::{
    Answer, Client, Dialect, TestService, Upstream, proto::flyteidl::admin::Resource, spawn,
};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tests::{
    fakes::databricks::{Ending, FakeDatabricks, Options},
    golden::{Flyte, Golden},
};
use tokio::net::TcpListener;
use tonic::Code;

use crate::replay;

mod golden;
mod identity;
mod polls;
mod requests;
mod rewritten;

/// A Databricks service with its fake.
pub(crate) struct Stage {
    fake: FakeDatabricks,
    pub(crate) service: TestService,
    dir: TempDir,
}

const HOSTS: &str = "--instances=acme-prod.cloud.databricks.com,myorg.cloud.databricks.com";
/// The service's own token.
const TOKEN: &str = "dapi-of-the-service-0123456789";

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::set_with(Options::default(), &[("databricks_token", TOKEN)], &[]).await
    }

    /// A stage with `secrets`, each a path and a value.
    async fn set_with(options: Options, secrets: &[(&str, &str)], args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, value) in secrets {
            let file = dir.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, value).unwrap();
        }
        let fake = FakeDatabricks::start(options).await.unwrap();
        let endpoint = format!("--endpoint={}", fake.url());
        let secrets = format!("--secrets-dir={}", dir.path().display());
        let all = [HOSTS, endpoint.as_str(), secrets.as_str()].into_iter();
        let all = all.chain(args.iter().copied()).collect::<Vec<_>>();
        let service = spawn::<Databricks>(&all).await;
        Self { fake, service, dir }
    }

    async fn client(&self, dialect: Dialect) -> Client {
        self.service.client(dialect, "propeller").await
    }

    async fn send(&self, golden: &Golden) -> Result<Vec<u8>, tonic::Status> {
        replay::send(&self.service, golden).await
    }

    async fn poll_to_the_end(&self, golden: &Golden, handle: &[u8]) -> (String, Resource) {
        let seen = replay::poll_to_the_end(&self.service, golden, handle).await;
        (seen.phase().as_str_name().to_owned(), seen)
    }

    async fn stop(&self, golden: &Golden, handle: &[u8]) -> Result<(), tonic::Status> {
        replay::stop(&self.service, golden, handle).await
    }
}

/// A request for an existing cluster.
fn task() -> Json {
    Golden::read(Flyte::V1, "dbx_existing_cluster").unwrap().json
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
