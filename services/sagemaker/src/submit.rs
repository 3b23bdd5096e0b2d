//! Makes what a task asks for, or finds what an earlier create of the same attempt made.
//!
//! SageMaker's creates have no idempotency key, but names are unique. Tags tell whose a name is.

use plugin_core::{
    Context, Error, Kind, Result,
    aws::Client,
    serde_json::{Value as Json, json},
};

use crate::{
    errors,
    request::{DIGEST_TAG, KEY_TAG, Request},
    resource::Facts,
};

/// What may be found under a name that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adopt {
    /// What the attempt itself made: jobs, and endpoints.
    Own,
    /// Whatever was made from the same request: definitions, which never change and do nothing by themselves.
    Same,
}

/// Makes what `request` asks for; returns its ARN.
///
/// # Errors
/// `InvalidArgument` when the name exists and may not be adopted.
pub(crate) async fn submit(
    cx: &Context,
    client: &Client,
    facts: &Facts,
    request: &Request,
    rule: Adopt,
) -> Result<String> {
    let call = client.call(facts.create, &request.body);
    match call.idempotent().send_json::<Json>(cx).await {
        Ok(made) => Ok(arn(facts, &made)),
        Err(error) if error.kind() == Kind::AlreadyExists => {
            adopt(cx, client, facts, request, rule).await
        }
        Err(error) => Err(errors::of_create(error)),
    }
}

fn arn(facts: &Facts, answer: &Json) -> String {
    answer[facts.arn].as_str().unwrap_or_default().to_owned()
}

async fn adopt(
    cx: &Context,
    client: &Client,
    facts: &Facts,
    request: &Request,
    rule: Adopt,
) -> Result<String> {
    let (noun, name) = (facts.noun, &request.name);
    let body = json!({ facts.name: name });
    let found: Json = match client.call(facts.describe, &body).idempotent().send_json(cx).await {
        Ok(found) => found,
        Err(error) if error.kind() == Kind::NotFound => {
            let message = format!("SageMaker has the {noun} {name}, and does not find it yet");
            return Err(Error::unavailable(message).with_source(error));
        }
        Err(error) => return Err(error),
    };
    let arn = arn(facts, &found);
    let tags = Tags::of(cx, client, &arn).await?;
    let is_own = tags.get(KEY_TAG) == Some(&request.key);
    let is_same = tags.get(DIGEST_TAG) == Some(&request.digest);
    let why = match rule {
        _ if is_own && is_same => return Ok(arn),
        Adopt::Same if is_same => return Ok(arn),
        _ if is_own => "this attempt asked for something else under it",
        Adopt::Same => "it was made from another request",
        Adopt::Own => "another made it",
    };
    let message = format!(
        "custom.config.{}: the {noun} {name} exists, and {why}; {{idempotence_token}} makes a name unique",
        facts.name
    );
    Err(Error::invalid(message).with_code("ResourceInUse").upstream())
}

/// The tags of a resource.
pub(crate) struct Tags(Json);

impl Tags {
    /// The tags of the resource `arn`: AWS has at most 50, which are one page.
    pub(crate) async fn of(cx: &Context, client: &Client, arn: &str) -> Result<Self> {
        let call = client.call("ListTags", &json!({ "ResourceArn": arn, "MaxResults": 50 }));
        call.idempotent().send_json(cx).await.map(Self)
    }

    /// The value of the tag `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let tags = self.0["Tags"].as_array()?;
        tags.iter().find(|tag| tag["Key"] == key)?["Value"].as_str()
    }
}
