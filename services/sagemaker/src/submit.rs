//! Makes a job or an endpoint, or finds the one that an earlier create of the same attempt made.
//!
//! SageMaker's creates have no idempotency key, but names are unique. Tags tell whose a name is.

use plugin_core::{
    Context, Error, Kind, Result,
    aws::{self, Client},
    serde_json::{Value as Json, json},
};

use crate::{
    request::{DIGEST_TAG, KEY_TAG, Request},
    resource::{Facts, Resource},
};

/// Makes what `request` asks for.
///
/// # Errors
/// `InvalidArgument` when the name exists and is another's.
pub(crate) async fn submit(
    cx: &Context,
    client: &Client,
    resource: Resource,
    request: &Request,
) -> Result<()> {
    let facts = resource.facts();
    let call = client.call(facts.create, &request.body);
    match call.idempotent().send(cx).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == Kind::AlreadyExists => {
            adopt(cx, client, facts, request).await
        }
        Err(error) => Err(aws::of_submit(error)),
    }
}

async fn adopt(cx: &Context, client: &Client, facts: &Facts, request: &Request) -> Result<()> {
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
    let tags = Tags::of(cx, client, found[facts.arn].as_str().unwrap_or_default()).await?;
    let why = match (tags.get(KEY_TAG), tags.get(DIGEST_TAG)) {
        (Some(key), Some(digest)) if key == request.key && digest == request.digest => {
            return Ok(());
        }
        (Some(key), _) if key == request.key => "this attempt asked for something else under it",
        _ => "another made it",
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
