//! Requests as people see them: secrets are names.

use crate::{
    auth::Auth, base_url::base_url, definition::Definition, expression::Scope, request::Prepared,
};

/// Shows the requests of a file.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    base: String,
    /// The lines of the credentials.
    signed: String,
    headers: String,
}

impl Requests {
    /// Those of `definition`, with the settings that `scope` has.
    ///
    /// # Errors
    /// The URL of the API has no value.
    pub(super) fn of(definition: &Definition, scope: &Scope) -> Result<Self, String> {
        let mut headers = String::new();
        for (name, text) in &definition.headers {
            let value = text.eval(scope);
            let value = value.map_err(|error| error.within(&format!("upstream.headers.{name}")));
            let value = value.map_err(|error| error.located())?;
            headers.extend(value.map(|value| format!("{name}: {value}\n")));
        }
        let (signed, base) = (signed(&definition.auth), base(definition, scope)?);
        base_url(&base).map_err(|why| format!("upstream.base: {why}"))?;
        Ok(Self { base, signed, headers })
    }

    /// The same, sent to `endpoint` in place of the vendor's host.
    pub(super) fn sent_to(self, endpoint: &str) -> Self {
        let Ok(mut url) = url::Url::parse(endpoint) else { return self };
        if let Ok(own) = url::Url::parse(&self.base) {
            url.set_path(own.path());
        }
        Self { base: url.as_str().trim_end_matches('/').to_owned(), ..self }
    }

    /// `request` of the part `part`.
    pub(super) fn show(&self, part: &str, request: &Prepared) -> String {
        let signed = self.signed.clone() + &self.headers;
        format!("# {part}\n{}", request.shown(&self.base, &signed))
    }
}

fn signed(auth: &Auth) -> String {
    match auth {
        Auth::None => String::new(),
        Auth::Bearer(secret) => format!("authorization: Bearer <{secret}>\n"),
        Auth::Header { name, secret, prefix } => format!("{name}: {prefix}<{secret}>\n"),
        Auth::Basic { username, password } => {
            format!("authorization: Basic <{username}>:<{password}>\n")
        }
        Auth::Oauth2(_) => "authorization: Bearer <a token of the token endpoint>\n".to_owned(),
        Auth::Google { .. } => "authorization: Bearer <an access token of Google>\n".to_owned(),
        Auth::Aws(_) => "authorization: AWS4-HMAC-SHA256 <a signature>\n".to_owned(),
    }
}

fn base(definition: &Definition, scope: &Scope) -> Result<String, String> {
    let text = match (&definition.base, &definition.auth) {
        (Some(base), _) => base.eval(scope),
        (None, Auth::Aws(api)) => api.region.eval(scope).map(|region| {
            Some(format!("https://{}.{}.amazonaws.com", api.service, region.unwrap_or_default()))
        }),
        (None, _) => Ok(None),
    };
    Ok(text.map_err(|error| error.within("upstream.base").located())?.unwrap_or_default())
}
