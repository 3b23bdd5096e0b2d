//! The extract of a service's model. `tests/aws-models/extract.py` makes it.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

/// The model of a service.
#[derive(Debug, Deserialize)]
pub struct Model {
    pub(super) metadata: Metadata,
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) protocol: String,
    pub(super) json_version: Option<String>,
    pub(super) signing_name: String,
    pub(super) target_prefix: Option<String>,
}

/// An operation of a service, with the names of its shapes.
#[derive(Debug, Deserialize)]
pub struct Operation {
    pub(super) http: Http,
    pub(super) input: String,
    pub(super) output: Option<String>,
    /// The exceptions that it documents.
    pub errors: Vec<String>,
}

/// How an operation is called over rest-json.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Http {
    pub(super) method: String,
    /// The path, with members in braces: `/applications/{applicationId}`.
    pub(super) request_uri: String,
    pub(super) response_code: Option<u16>,
}

/// What a value must be.
#[derive(Debug, Deserialize)]
pub(super) struct Shape {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) required: Vec<String>,
    #[serde(default)]
    pub(super) members: BTreeMap<String, Reference>,
    pub(super) member: Option<Reference>,
    pub(super) key: Option<Reference>,
    pub(super) value: Option<Reference>,
    #[serde(rename = "enum", default)]
    pub(super) values: Vec<String>,
    pub(super) pattern: Option<String>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    /// An exception that is the service's fault: HTTP 500.
    #[serde(default)]
    pub(super) fault: bool,
    /// How an exception is answered.
    pub(super) error: Option<ErrorTrait>,
    /// One member at a time.
    #[serde(default)]
    pub(super) union: bool,
    /// The member that is the whole body over rest-json, with what it is instead of JSON.
    pub(super) payload: Option<String>,
}

/// The status of an exception.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorTrait {
    pub(super) http_status_code: Option<u16>,
}

/// The name of a shape, and where a request over rest-json has a member of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reference {
    pub(super) shape: String,
    /// `uri`, `querystring` or `header`; in the body without it.
    pub(super) location: Option<String>,
    pub(super) location_name: Option<String>,
}

impl Model {
    /// The model of Athena.
    ///
    /// # Panics
    /// If the extract is not one; a test reads it.
    #[must_use]
    pub fn athena() -> &'static Self {
        static MODEL: LazyLock<Model> =
            LazyLock::new(|| Model::parse(include_str!("../../../aws-models/athena.json")));
        &MODEL
    }

    /// The model of AWS Batch.
    ///
    /// # Panics
    /// If the extract is not one; a test reads it.
    #[must_use]
    pub fn batch() -> &'static Self {
        static MODEL: LazyLock<Model> =
            LazyLock::new(|| Model::parse(include_str!("../../../aws-models/batch.json")));
        &MODEL
    }

    /// The model of EMR Serverless.
    ///
    /// # Panics
    /// If the extract is not one; a test reads it.
    #[must_use]
    pub fn emr_serverless() -> &'static Self {
        static MODEL: LazyLock<Model> =
            LazyLock::new(|| Model::parse(include_str!("../../../aws-models/emr-serverless.json")));
        &MODEL
    }

    /// The model of the Redshift Data API.
    ///
    /// # Panics
    /// If the extract is not one; a test reads it.
    #[must_use]
    pub fn redshift_data() -> &'static Self {
        static MODEL: LazyLock<Model> =
            LazyLock::new(|| Model::parse(include_str!("../../../aws-models/redshift-data.json")));
        &MODEL
    }

    /// The model of SageMaker.
    ///
    /// # Panics
    /// If the extract is not one; a test reads it.
    #[must_use]
    pub fn sagemaker() -> &'static Self {
        static MODEL: LazyLock<Model> =
            LazyLock::new(|| Model::parse(include_str!("../../../aws-models/sagemaker.json")));
        &MODEL
    }

    /// The model of SageMaker's runtime.
    ///
    /// # Panics
    /// If the extract is not one; a test reads it.
    #[must_use]
    pub fn sagemaker_runtime() -> &'static Self {
        static MODEL: LazyLock<Model> = LazyLock::new(|| {
            Model::parse(include_str!("../../../aws-models/sagemaker-runtime.json"))
        });
        &MODEL
    }

    /// The model of STS.
    ///
    /// # Panics
    /// If the extract is not one; a test reads it.
    #[must_use]
    pub fn sts() -> &'static Self {
        static MODEL: LazyLock<Model> =
            LazyLock::new(|| Model::parse(include_str!("../../../aws-models/sts.json")));
        &MODEL
    }

    /// The model of an extract.
    #[expect(clippy::expect_used, reason = "the extract is part of the program")]
    fn parse(text: &str) -> Self {
        serde_json::from_str(text).expect("an extract of a model")
    }

    /// The values that the enumeration `shape` has.
    #[must_use]
    pub fn values(&self, shape: &str) -> &[String] {
        self.shapes.get(shape).map_or(&[], |shape| &shape.values)
    }

    /// Whether requests name their operations by method and path.
    pub(super) fn is_rest(&self) -> bool {
        self.metadata.protocol == "rest-json"
    }

    /// The operation `name`.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name)
    }
}
