//! A request with its values: sent, or shown.

use std::fmt::Write as _;

use plugin_core::{
    Context, Http, Result,
    aws::Client,
    http::{HeaderName, HeaderValue, Method},
    serde_json::{self, Value as Json},
    upstream::{Request, Response},
};
use url::Url;

/// A request with its values.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) method: Method,
    pub(crate) segments: Vec<String>,
    pub(crate) ends_with_slash: bool,
    pub(crate) call: Option<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    None,
    Json(Json),
    Form(Vec<(String, String)>),
}

impl Prepared {
    pub(super) fn new(method: Method) -> Self {
        let (segments, query, headers) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            method,
            segments,
            ends_with_slash: false,
            call: None,
            query,
            headers,
            body: Body::None,
        }
    }

    /// Sends it to `http`.
    pub(crate) async fn send(self, http: &Http, cx: &Context, repeats: bool) -> Result<Response> {
        let request = match self.method {
            Method::POST => http.post(&self.segments),
            Method::PUT => http.put(&self.segments),
            Method::DELETE => http.delete(&self.segments),
            _ => http.get(&self.segments),
        };
        let request = if self.ends_with_slash { request.trailing_slash() } else { request };
        let query = self.query.iter();
        let request =
            query.fold(request, |request, (name, value)| request.query(name, Some(value)));
        let request = match &self.body {
            Body::None => request,
            Body::Json(json) => request.json(json),
            Body::Form(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                request.form(&fields.collect::<Vec<_>>())
            }
        };
        finish(request, self.headers, repeats).send(cx).await
    }

    /// Sends it to a service of AWS.
    pub(crate) async fn send_to_aws(
        self,
        client: &Client,
        cx: &Context,
        repeats: bool,
    ) -> Result<Response> {
        let Some(operation) = &self.call else {
            return self.send(client.http(), cx, repeats).await;
        };
        let body = match self.body {
            Body::Json(json) => json,
            // Every operation of awsJson has an object as its input.
            Body::None | Body::Form(_) => Json::Object(serde_json::Map::new()),
        };
        finish(client.call(operation, &body), self.headers, repeats).send(cx).await
    }

    /// What is sent to `base`, for people; `signed` has the lines of the credentials.
    pub(crate) fn shown(&self, base: &str, signed: &str) -> String {
        let mut shown = match &self.call {
            Some(operation) => format!("POST {base}/  ({operation})\n"),
            None => format!("{} {}\n", self.method, self.url(base)),
        };
        shown += signed;
        for (name, value) in &self.headers {
            let _ = writeln!(shown, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        match &self.body {
            Body::None => {}
            Body::Json(json) => {
                let json = serde_json::to_string_pretty(json).unwrap_or_default();
                let _ = writeln!(shown, "\n{json}");
            }
            Body::Form(fields) => {
                let _ = writeln!(shown);
                for (name, value) in fields {
                    let _ = writeln!(shown, "{name}={value}");
                }
            }
        }
        shown
    }

    /// The URL below `base`, encoded as it is sent.
    fn url(&self, base: &str) -> String {
        let Ok(mut url) = Url::parse(base) else { return base.to_owned() };
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&self.segments);
            if self.ends_with_slash {
                path.push("");
            }
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url.into()
    }
}

fn finish<'a>(
    request: Request<'a>,
    headers: Vec<(HeaderName, HeaderValue)>,
    repeats: bool,
) -> Request<'a> {
    let headers = headers.into_iter();
    let request = headers.fold(request, |request, (name, value)| request.header(name, value));
    if repeats { request.idempotent() } else { request }
}
