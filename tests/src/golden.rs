//! The golden requests: real requests of Flyte's own SDKs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use plugin_core::testing::proto::flyteidl::{admin::CreateTaskRequest, core::Connection};
use prost::Message as _;
use serde_json::Value as Json;

/// The version of Flyte that made a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flyte {
    /// flytekit.
    V1,
    /// flyte-sdk.
    V2,
}

/// One golden request.
#[derive(Debug, Clone)]
pub struct Golden {
    /// The version of Flyte that made it.
    pub flyte: Flyte,
    /// Its name, for example `bq_scalars`.
    pub name: String,
    /// The request as protobuf.
    pub bytes: Vec<u8>,
    /// The request as proto-JSON.
    pub json: Json,
}

impl Flyte {
    fn dir(self) -> PathBuf {
        let version = match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(version)
    }
}

impl Golden {
    /// Reads the request `name`.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn read(flyte: Flyte, name: &str) -> Result<Self> {
        let path = |extension| flyte.dir().join(format!("{name}.{extension}"));
        let bytes = std::fs::read(path("pb")).with_context(|| format!("golden request {name}"))?;
        let json = serde_json::from_slice(&std::fs::read(path("json"))?)?;
        Ok(Self { flyte, name: name.to_owned(), bytes, json })
    }

    /// The recorded behaviour of the official connector in the case `name`.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn official(flyte: Flyte, name: &str) -> Result<Json> {
        let text = std::fs::read(flyte.dir().join(format!("{name}.official.json")))
            .with_context(|| format!("golden case {name}"))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Replaces the secrets of these names in the request's connection, if it has them: the secrets of the
    /// golden requests are not real.
    ///
    /// # Errors
    /// If the request cannot be decoded.
    pub fn with_secrets(mut self, secrets: &[(&str, &str)]) -> Result<Self> {
        let mut request = CreateTaskRequest::decode(self.bytes.as_slice())?;
        let Some(connection) = &mut request.connection else {
            return Ok(self);
        };
        for (name, value) in secrets {
            if let Some(secret) = connection.secrets.get_mut(*name) {
                (*value).clone_into(secret);
                self.json["connection"]["secrets"][*name] = (*value).into();
            }
        }
        self.bytes = request.encode_to_vec();
        Ok(self)
    }

    /// The connection, which Flyte 2 sends with every call about the job.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        CreateTaskRequest::decode(self.bytes.as_slice()).ok()?.connection
    }

    /// Every request whose name starts with `prefix`, sorted by name.
    ///
    /// # Errors
    /// If a request cannot be read.
    pub fn all(flyte: Flyte, prefix: &str) -> Result<Vec<Self>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(flyte.dir())? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            if let Some(name) = file.strip_suffix(".pb").filter(|name| name.starts_with(prefix)) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        names.iter().map(|name| Self::read(flyte, name)).collect()
    }
}
