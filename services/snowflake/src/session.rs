//! `connection_kwargs`: the session settings of Flyte 2's authors, which are arguments of Snowflake's
//! Python connector.

use plugin_core::{
    Error, Result,
    serde_json::{Map, Value as Json},
};

use crate::credentials::AuthType;

/// A task's session settings.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Session {
    pub(crate) role: Option<String>,
    pub(crate) auth: Option<AuthType>,
    /// How long a statement may run, in seconds.
    pub(crate) timeout: Option<u64>,
    /// Session parameters: names in lower case, values as strings.
    pub(crate) parameters: Map<String, Json>,
}

/// Arguments that specify where to connect, which only the operator may.
const HOSTS: [&str; 8] = [
    "host",
    "port",
    "protocol",
    "region",
    "proxy_host",
    "proxy_port",
    "proxy_user",
    "proxy_password",
];

impl Session {
    /// Reads `connection_kwargs`. Other arguments of the connector are for a connection, of which there is
    /// none (`login_timeout`), or secret (`token`), and are ignored.
    ///
    /// # Errors
    /// `InvalidArgument` with the name of the invalid argument.
    pub(crate) fn read(kwargs: &Map<String, Json>) -> Result<Self> {
        if let Some(host) = HOSTS.iter().find(|host| kwargs.contains_key(**host)) {
            return Err(wrong(host, "not allowed; only the service's operator sets hosts"));
        }
        let provider = text(kwargs, "workload_identity_provider")?;
        if provider.is_some_and(|provider| !provider.eq_ignore_ascii_case("oidc")) {
            return Err(wrong("workload_identity_provider", "only OIDC is supported"));
        }
        let mut session =
            Self { role: text(kwargs, "role")?, auth: authenticator(kwargs)?, ..Self::default() };
        match kwargs.get("session_parameters") {
            None | Some(Json::Null) => {}
            Some(Json::Object(parameters)) => session.set(parameters)?,
            Some(_) => return Err(wrong("session_parameters", "must be an object")),
        }
        Ok(session)
    }

    fn set(&mut self, parameters: &Map<String, Json>) -> Result<()> {
        for (name, value) in parameters.iter().filter(|(_, value)| !value.is_null()) {
            let field = format!("session_parameters.{name}");
            let text = scalar(value)
                .ok_or_else(|| wrong(&field, "must be a string, number or boolean"))?;
            match name.to_lowercase().as_str() {
                "statement_timeout_in_seconds" => {
                    let seconds = text.parse();
                    self.timeout = Some(
                        seconds.map_err(|_| wrong(&field, "must be a whole number of seconds"))?,
                    );
                }
                // Set by the statement itself.
                "multi_statement_count" => {}
                lower => drop(self.parameters.insert(lower.to_owned(), text.into())),
            }
        }
        Ok(())
    }
}

fn text(kwargs: &Map<String, Json>, name: &str) -> Result<Option<String>> {
    match kwargs.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(wrong(name, "must be a string")),
    }
}

fn authenticator(kwargs: &Map<String, Json>) -> Result<Option<AuthType>> {
    // The connector's default leaves the choice to the service.
    let named =
        text(kwargs, "authenticator")?.filter(|name| !name.eq_ignore_ascii_case("snowflake"));
    let known = |name: &String| {
        AuthType::of_authenticator(name).ok_or_else(|| {
            let known = "use SNOWFLAKE_JWT, PROGRAMMATIC_ACCESS_TOKEN, OAUTH or WORKLOAD_IDENTITY";
            wrong("authenticator", &format!("{name:?} is not supported; {known}"))
        })
    };
    named.as_ref().map(known).transpose()
}

/// A parameter's value as a string. Flyte's integers arrive as doubles.
fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Number(number) => match number.as_f64() {
            Some(double) if double.fract() == 0.0 => Some(format!("{double:.0}")),
            _ => Some(number.to_string()),
        },
        _ => None,
    }
}

fn wrong(name: &str, why: &str) -> Error {
    Error::invalid(format!("custom.connection_kwargs.{name}: {why}"))
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::json;

    use super::*;

    fn read(kwargs: &Json) -> Result<Session> {
        Session::read(kwargs.as_object().unwrap())
    }

    #[test]
    fn role_authenticator_and_parameters_are_read() {
        let session = read(&json!({
            "role": "ANALYST",
            "authenticator": "oauth",
            "token": "never read",
            "login_timeout": 30.0,
            "session_parameters": {
                "QUERY_TAG": "flyte",
                "STATEMENT_TIMEOUT_IN_SECONDS": 300.0,
                "USE_CACHED_RESULT": false,
                "MULTI_STATEMENT_COUNT": 7,
                "TIMEZONE": null,
            },
        }));
        let parameters = json!({"query_tag": "flyte", "use_cached_result": "false"});
        let expected = Session {
            role: Some("ANALYST".to_owned()),
            auth: Some(AuthType::Oauth),
            timeout: Some(300),
            parameters: parameters.as_object().unwrap().clone(),
        };
        assert_eq!(session.unwrap(), expected);
        assert_eq!(read(&json!({})).unwrap(), Session::default());
        for (authenticator, auth) in [
            ("snowflake", None),
            ("KEY_PAIR_AUTHENTICATOR", Some(AuthType::KeyPair)),
            ("programmatic_access_token", Some(AuthType::Pat)),
            ("WORKLOAD_IDENTITY", Some(AuthType::Wif)),
        ] {
            let kwargs =
                json!({"authenticator": authenticator, "workload_identity_provider": "OIDC"});
            assert_eq!(read(&kwargs).unwrap().auth, auth, "{authenticator}");
        }
    }

    #[test]
    fn invalid_arguments_are_named() {
        for (kwargs, field) in [
            (json!({"host": "evil.example.com"}), "host"),
            (json!({"proxy_host": "evil.example.com"}), "proxy_host"),
            (json!({"role": 1}), "role"),
            (json!({"workload_identity_provider": "AWS"}), "workload_identity_provider"),
            (json!({"authenticator": "externalbrowser"}), "authenticator"),
            (json!({"session_parameters": []}), "session_parameters"),
            (json!({"session_parameters": {"A": []}}), "session_parameters.A"),
            (
                json!({"session_parameters": {"STATEMENT_TIMEOUT_IN_SECONDS": "soon"}}),
                "session_parameters.STATEMENT_TIMEOUT_IN_SECONDS",
            ),
        ] {
            let message = read(&kwargs).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("custom.connection_kwargs.{field}: ")),
                "{message}"
            );
        }
    }
}
