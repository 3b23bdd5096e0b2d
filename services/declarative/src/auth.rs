//! What signs requests.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use plugin_core::{
    Context, Error, Fingerprint, Http, HttpBuilder, Kind, Result,
    google::{self, Google, Signer},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    secrecy::{ExposeSecret as _, SecretString},
    upstream::{Credentials, SecretToken, Token, TokenCache, TokenSource, authorization},
};

use crate::{
    checker::Checker,
    expression::{EvalError, Scope, Text, invalid},
    file::{self, AwsProtocol},
    located::At,
    mistake::Mistake,
    names::Scopes,
    request::header_name,
};

/// The compiled `auth` of a file. Secrets are names.
#[derive(Debug)]
pub(crate) enum Auth {
    None,
    Bearer(String),
    Header { name: HeaderName, secret: String, prefix: String },
    Basic { username: String, password: String },
    Oauth2(Oauth2),
    Google { scopes: Option<Text>, impersonate: Option<Text> },
    Aws(AwsApi),
}

#[derive(Debug)]
pub(crate) struct Oauth2 {
    token_url: Text,
    client_id: String,
    client_secret: String,
    scope: Option<Text>,
    audience: Option<Text>,
}

/// An API of AWS.
#[derive(Debug)]
pub(crate) struct AwsApi {
    pub(crate) region: Text,
    pub(crate) service: String,
    pub(crate) signing_name: Option<String>,
    pub(crate) protocol: AwsProtocol,
    pub(crate) target_prefix: String,
}

impl Auth {
    /// Compiles `auth`, whose secrets are among `secrets`.
    pub(crate) fn compile(
        checker: &mut Checker<'_>,
        auth: &file::Auth,
        scopes: &Scopes,
        secrets: &mut Secrets<'_>,
    ) -> Self {
        match auth {
            file::Auth::None => Self::None,
            file::Auth::Bearer(bearer) => Self::Bearer(secrets.named(checker, &bearer.secret)),
            file::Auth::Header(own) => {
                let prefix = own.prefix.as_ref().map(|prefix| prefix.value.clone());
                if let Some(prefix) = &own.prefix
                    && HeaderValue::from_str(&prefix.value).is_err()
                {
                    checker.mistake(prefix.place, "a header cannot have this prefix");
                }
                // These are for credentials alone, which this is.
                let name = match own.name.value.to_ascii_lowercase().as_str() {
                    "authorization" => Some(header::AUTHORIZATION),
                    "cookie" => Some(header::COOKIE),
                    _ => header_name(checker, &own.name),
                };
                Self::Header {
                    name: name.unwrap_or(header::AUTHORIZATION),
                    secret: secrets.named(checker, &own.secret),
                    prefix: prefix.unwrap_or_default(),
                }
            }
            file::Auth::Basic(basic) => Self::Basic {
                username: secrets.named(checker, &basic.username),
                password: secrets.named(checker, &basic.password),
            },
            file::Auth::Oauth2(oauth) => Self::Oauth2(Oauth2 {
                token_url: checker.required_text(
                    &oauth.token_url,
                    &scopes.settings,
                    "upstream.auth.oauth2.token_url",
                ),
                client_id: secrets.named(checker, &oauth.client_id),
                client_secret: secrets.named(checker, &oauth.client_secret),
                scope: checker.optional_text(oauth.scope.as_ref(), &scopes.settings),
                audience: checker.optional_text(oauth.audience.as_ref(), &scopes.settings),
            }),
            file::Auth::Google(google) => Self::Google {
                scopes: checker.optional_text(google.scopes.as_ref(), &scopes.settings),
                impersonate: checker.optional_text(google.impersonate.as_ref(), &scopes.settings),
            },
            file::Auth::AwsSigv4(aws) => Self::Aws(AwsApi::compile(checker, aws, scopes)),
        }
    }

    /// The secrets that tell whose calls these are; `None` for AWS, which tells by itself.
    pub(crate) fn secrets(&self) -> Option<Vec<&str>> {
        Some(match self {
            Self::None => Vec::new(),
            Self::Bearer(secret) | Self::Header { secret, .. } => vec![secret],
            Self::Basic { username, password } => vec![username, password],
            Self::Oauth2(oauth) => vec![&oauth.client_id, &oauth.client_secret],
            Self::Google { .. } => vec![google::KEY_SECRET],
            Self::Aws(_) => return None,
        })
    }

    /// The header that carries the credentials, if the file chooses it.
    pub(crate) fn header(&self) -> Option<HeaderName> {
        match self {
            Self::Header { name, .. } => Some(name.clone()),
            _ => None,
        }
    }

    /// Whether the API names operations by a header.
    pub(crate) fn calls(&self) -> bool {
        matches!(self, Self::Aws(api) if api.protocol != AwsProtocol::RestJson)
    }

    /// `http` with these credentials, for an API with the settings that `scope` has.
    ///
    /// # Errors
    /// `InvalidArgument` when a setting makes no URL.
    pub(crate) fn sign(&self, http: HttpBuilder, scope: &Scope) -> Result<HttpBuilder> {
        Ok(match self {
            Self::None | Self::Aws(_) => http,
            Self::Bearer(secret) => http.credentials(SecretToken::new(secret)),
            Self::Header { name, secret, prefix } => http.credentials(SecretHeader {
                name: name.clone(),
                secret: secret.clone(),
                prefix: prefix.clone(),
            }),
            Self::Basic { username, password } => {
                http.credentials(Basic { username: username.clone(), password: password.clone() })
            }
            Self::Oauth2(oauth) => {
                let source = oauth.source(&http, scope)?;
                http.credentials(TokenCache::default().of(source))
            }
            Self::Google { scopes, impersonate } => {
                let scopes = read(scopes, scope)?;
                let scopes = scopes.as_deref().unwrap_or(google::CLOUD_PLATFORM);
                let scopes = scopes.split_whitespace().map(google::scope).collect::<Result<_, _>>();
                let scopes = scopes
                    .map_err(|why| Error::invalid(format!("upstream.auth.google.scopes: {why}")))?;
                let impersonate = read(impersonate, scope)?.filter(|email| !email.is_empty());
                let google = Google::new(&http, impersonate, scopes)?;
                http.credentials(Signer::new(google.into(), None))
            }
        })
    }
}

impl AwsApi {
    fn compile(checker: &mut Checker<'_>, aws: &file::AwsSigv4, scopes: &Scopes) -> Self {
        let is_json = aws.protocol != AwsProtocol::RestJson;
        match (&aws.target_prefix, is_json) {
            (None, true) => {
                let message = "`target_prefix` is missing: this protocol names operations by it";
                checker.mistake(aws.service.place, message);
            }
            (Some(prefix), false) => {
                checker.mistake(prefix.place, "rest_json has no `target_prefix`");
            }
            _ => {}
        }
        let given = [Some(&aws.service), aws.signing_name.as_ref(), aws.target_prefix.as_ref()];
        for name in given.into_iter().flatten() {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
            if name.value.is_empty() || !name.value.chars().all(is_name) {
                checker.mistake(name.place, "must be a name, as the API's model has it");
            }
        }
        let value = |name: &Option<At<String>>| name.as_ref().map(|name| name.value.clone());
        Self {
            region: checker.required_text(
                &aws.region,
                &scopes.settings,
                "upstream.auth.aws_sigv4.region",
            ),
            service: aws.service.value.clone(),
            signing_name: value(&aws.signing_name),
            protocol: aws.protocol,
            target_prefix: value(&aws.target_prefix).unwrap_or_default(),
        }
    }
}

/// The text of `text`, if there is one, with the settings that `scope` has.
fn read(text: &Option<Text>, scope: &Scope) -> Result<Option<String>> {
    text.as_ref().map_or(Ok(None), |text| text.eval(scope).map_err(in_auth))
}

fn in_auth(error: EvalError) -> Error {
    invalid(error.within("upstream.auth"))
}

/// The secrets of a file, and whether each is used.
pub(crate) struct Secrets<'a> {
    declared: Vec<(&'a At<String>, bool)>,
}

impl<'a> Secrets<'a> {
    pub(crate) fn new(names: impl Iterator<Item = &'a At<String>>) -> Self {
        Self { declared: names.map(|name| (name, false)).collect() }
    }

    fn named(&mut self, checker: &mut Checker<'_>, name: &At<String>) -> String {
        match self.declared.iter_mut().find(|(known, _)| known.value == name.value) {
            Some((_, is_used)) => *is_used = true,
            None => {
                let known = self.declared.iter().map(|(known, _)| known.value.as_str());
                let known = known.collect::<Vec<_>>();
                checker.wrong(Mistake::unknown(name.place, "secret", &name.value, &known));
            }
        }
        name.value.clone()
    }

    /// Reports those that nothing uses.
    pub(crate) fn finish(self, checker: &mut Checker<'_>) {
        for (name, _) in self.declared.into_iter().filter(|(_, is_used)| !is_used) {
            checker.mistake(name.place, format!("nothing uses the secret `{}`", name.value));
        }
    }
}

/// Sends a secret in a header.
struct SecretHeader {
    name: HeaderName,
    secret: String,
    prefix: String,
}

impl Credentials for SecretHeader {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let secret = cx.secret(&self.secret).await?;
        let text = format!("{}{}", self.prefix, secret.expose_secret().trim());
        let value = HeaderValue::from_str(&text).map_err(|_| unusable(&self.secret))?;
        Ok(HeaderMap::from_iter([(self.name.clone(), sensitive(value))]))
    }

    async fn rejected(&self, cx: &Context, _: &HeaderMap) {
        cx.forget_secret(&self.secret);
    }
}

/// Sends a user name and a password.
struct Basic {
    username: String,
    password: String,
}

impl Credentials for Basic {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let username = cx.secret(&self.username).await?;
        let password = cx.secret(&self.password).await?;
        let (name, word) = (username.expose_secret().trim(), password.expose_secret().trim());
        if name.contains(':') {
            // RFC 7617 §2: a colon ends the user's name.
            return Err(unusable(&self.username));
        }
        let encoded = SecretString::from(BASE64_STANDARD.encode(format!("{name}:{word}")));
        let value = authorization("Basic", &encoded)?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }

    async fn rejected(&self, cx: &Context, _: &HeaderMap) {
        cx.forget_secret(&self.username);
        cx.forget_secret(&self.password);
    }
}

fn unusable(secret: &str) -> Error {
    Error::new(Kind::FailedPrecondition, format!("secret {secret} cannot be sent in a header"))
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

impl Oauth2 {
    fn source(&self, http: &HttpBuilder, scope: &Scope) -> Result<ClientCredentials> {
        let missing = || Error::invalid("upstream.auth.oauth2.token_url: has no value");
        let token_url = self.token_url.eval(scope).map_err(in_auth)?.ok_or_else(missing)?;
        Ok(ClientCredentials {
            http: http.clone().build(&token_url)?,
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            scope: read(&self.scope, scope)?,
            audience: read(&self.audience, scope)?,
        })
    }
}

/// Tokens of OAuth 2.0's client credentials.
struct ClientCredentials {
    http: Http,
    client_id: String,
    client_secret: String,
    scope: Option<String>,
    audience: Option<String>,
}

impl ClientCredentials {
    async fn client(&self, cx: &Context) -> Result<(SecretString, SecretString)> {
        Ok((cx.secret(&self.client_id).await?, cx.secret(&self.client_secret).await?))
    }
}

impl TokenSource for ClientCredentials {
    async fn identity(&self, cx: &Context) -> Result<Fingerprint> {
        let (id, secret) = self.client(cx).await?;
        Ok(Fingerprint::of(&["client_credentials", id.expose_secret(), secret.expose_secret()]))
    }

    async fn fetch(&self, cx: &Context) -> Result<Token> {
        let (id, secret) = self.client(cx).await?;
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", id.expose_secret().trim()),
            ("client_secret", secret.expose_secret().trim()),
        ];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        form.extend(self.audience.as_deref().map(|audience| ("audience", audience)));
        // The URL has the whole path.
        let request = self.http.post::<&str>(&[]).idempotent().form(&form);
        Token::issued(request, cx).await
    }
}
