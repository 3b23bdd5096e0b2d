//! `invoke_endpoint_async`: asks an endpoint for an inference, whose answer comes to S3.
//!
//! AWS's model `sagemaker-runtime/2017-05-13`, as botocore 1.44.8 has it: members are headers, but for the endpoint's name and
//! the body.

use plugin_core::{
    Context, Error, Result,
    aws::{self, Client},
    http::{HeaderMap, HeaderName, HeaderValue},
    serde_json::{Map, Value as Json, json},
    upstream::Request,
};

use crate::request;

const ENDPOINT: &str = "EndpointName";
/// The longest name of an endpoint.
const LONGEST_NAME: usize = 63;
const INFERENCE_ID: &str = "InferenceId";
const INPUT_LOCATION: &str = "InputLocation";
const BODY: &str = "Body";
/// What a client of AWS sends where the model has a blob. The header of `ContentType` says what it is.
const BLOB: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The members that are headers.
const HEADERS: [(&str, HeaderName); 9] = [
    ("ContentType", HeaderName::from_static("x-amzn-sagemaker-content-type")),
    ("Accept", HeaderName::from_static("x-amzn-sagemaker-accept")),
    ("CustomAttributes", HeaderName::from_static("x-amzn-sagemaker-custom-attributes")),
    (INFERENCE_ID, HeaderName::from_static("x-amzn-sagemaker-inference-id")),
    (INPUT_LOCATION, HeaderName::from_static("x-amzn-sagemaker-inputlocation")),
    ("S3OutputPathExtension", HeaderName::from_static("x-amzn-sagemaker-s3outputpathextension")),
    ("Filename", HeaderName::from_static("x-amzn-sagemaker-filename")),
    ("RequestTTLSeconds", HeaderName::from_static("x-amzn-sagemaker-requestttlseconds")),
    (
        "InvocationTimeoutSeconds",
        HeaderName::from_static("x-amzn-sagemaker-invocationtimeoutseconds"),
    ),
];

/// The headers of the answer.
const LOCATIONS: [(&str, HeaderName); 2] = [
    ("OutputLocation", HeaderName::from_static("x-amzn-sagemaker-outputlocation")),
    ("FailureLocation", HeaderName::from_static("x-amzn-sagemaker-failurelocation")),
];

/// Asks for the inference that `config` describes; returns the members of AWS's answer.
///
/// AWS does not promise that an inference id is served once, so a call whose outcome is unknown is not sent again. The
/// attempt's key is the id where the author gives none: if Flyte repeats the call, its request has the same one.
///
/// # Errors
/// `InvalidArgument` with the member that is wrong, or AWS's refusal.
pub(crate) async fn invoke(
    cx: &Context,
    client: &Client,
    mut config: Map<String, Json>,
) -> Result<Json> {
    config.entry(INFERENCE_ID).or_insert_with(|| cx.idempotency_key().hex().into());
    let id = config[INFERENCE_ID].clone();
    let response = request(client, config)?.send(cx).await.map_err(aws::of_submit)?;
    let answer = response.json::<Json>()?;
    Ok(result(answer.get(INFERENCE_ID).unwrap_or(&id), &response.headers))
}

/// The request for `config`.
fn request(client: &Client, mut config: Map<String, Json>) -> Result<Request<'_>> {
    let name = config.remove(ENDPOINT).unwrap_or_default();
    let name = request::checked(&field(ENDPOINT), &name, LONGEST_NAME)?;
    let body = config.remove(BODY);
    if body.is_some() == config.contains_key(INPUT_LOCATION) {
        return Err(Error::invalid(format!(
            "custom.config: must have one of {INPUT_LOCATION} and {BODY}"
        )));
    }
    let mut request = client.http().post(&["endpoints", name, "async-invocations"]);
    for (member, value) in &config {
        let (name, value) = header(member, value)?;
        request = request.header(name, value);
    }
    match body {
        None => Ok(request),
        Some(Json::String(text)) => Ok(request.bytes(BLOB, text)),
        Some(_) => Err(Error::invalid(format!("{}: must be text", field(BODY)))),
    }
}

fn field(member: &str) -> String {
    format!("custom.config.{member}")
}

/// The header of `member`.
///
/// # Errors
/// `InvalidArgument` when there is none, or `value` is neither a number nor printable ASCII.
fn header(member: &str, value: &Json) -> Result<(HeaderName, HeaderValue)> {
    let Some((_, name)) = HEADERS.into_iter().find(|(known, _)| *known == member) else {
        return Err(Error::invalid(format!(
            "{}: InvokeEndpointAsync has no such member",
            field(member)
        )));
    };
    let text = match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let is_printable = |text: &String| text.bytes().all(|b| matches!(b, b' '..=b'~'));
    let value = text.filter(is_printable).and_then(|text| HeaderValue::try_from(text).ok());
    let mut value = value.ok_or_else(|| {
        Error::invalid(format!("{}: must be text of printable ASCII characters", field(member)))
    })?;
    // The model calls it sensitive.
    value.set_sensitive(member == "CustomAttributes");
    Ok((name, value))
}

/// The members of an answer.
fn result(id: &Json, headers: &HeaderMap) -> Json {
    let mut result = json!({ INFERENCE_ID: id });
    for (member, name) in LOCATIONS {
        if let Some(location) = headers.get(name).and_then(|value| value.to_str().ok()) {
            result[member] = location.into();
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_of_the_model_is_sent_where_the_model_has_it() {
        let model = include_str!("../../../tests/aws-models/sagemaker-runtime.json");
        let model = plugin_core::serde_json::from_str::<Json>(model).unwrap();
        let members = |shape: &str| model["shapes"][shape]["members"].as_object().unwrap().clone();
        let is_at = |member: &Json, name: &HeaderName| {
            let at = member["locationName"].as_str().unwrap_or_default();
            member["location"] == "header" && at.eq_ignore_ascii_case(name.as_str())
        };
        let of_input = members("InvokeEndpointAsyncInput");
        assert_eq!(of_input.len(), HEADERS.len() + 2);
        for (member, name) in HEADERS {
            assert!(is_at(&of_input[member], &name), "{member}");
        }
        assert_eq!(of_input[ENDPOINT]["location"], "uri");
        assert_eq!(model["shapes"]["InvokeEndpointAsyncInput"]["payload"], BODY);
        let of_output = members("InvokeEndpointAsyncOutput");
        assert_eq!(of_output.len(), LOCATIONS.len() + 1);
        for (member, name) in LOCATIONS {
            assert!(is_at(&of_output[member], &name), "{member}");
        }
    }

    #[test]
    fn a_header_is_a_number_or_printable_ascii() {
        for value in [json!("text/csv"), json!(600), json!("")] {
            assert!(header("Accept", &value).is_ok(), "{value}");
        }
        for value in [json!("a\r\nX-Evil: 1"), json!("ü"), json!("a\tb"), json!(["a"]), json!({})]
        {
            let error = header("Accept", &value).unwrap_err();
            assert!(error.message().starts_with("custom.config.Accept: must be"), "{error}");
        }
        let error = header("TargetModel", &json!("x")).unwrap_err();
        assert!(error.message().starts_with("custom.config.TargetModel: "), "{error}");
    }
}
