//! Addresses as flags and variables spell them: those to listen on, and those to call.

use std::{ffi::OsStr, net::SocketAddr};

use clap::{Arg, Command, builder::TypedValueParser, error::ErrorKind};

/// Reads an address: `IP:PORT`, or `[IP]:PORT` for IPv6.
///
/// # Errors
/// A message that says the form, with an example.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("expected IP:PORT, for example {}", example(text)))
}

/// A valid address that may be what `text` means.
fn example(text: &str) -> String {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = port.parse::<u16>().unwrap_or(8000);
    match host {
        "localhost" => format!("127.0.0.1:{port} or [::1]:{port}"),
        _ => format!("0.0.0.0:{port} or [::]:{port}"),
    }
}

/// Whether a URL may contain a password: it has what comes before a host, or a query.
#[must_use]
pub fn may_contain_secret(url: &str) -> bool {
    url.contains(['@', '?'])
}

/// A value parser of arguments that contain a URL.
///
/// By mistake it may contain a password, and clap would print what it refuses: the error shows no value with an `@` or a
/// query, but only the reason. Reasons must not show it either.
///
/// ```
/// # use server_core::address::Unshown;
/// let parser = Unshown(|text: &str| text.parse::<http::Uri>().map_err(|error| error.to_string()));
/// let url = clap::Arg::new("url").value_parser(parser);
/// let line = clap::Command::new("x").arg(url);
/// let error = line.try_get_matches_from(["x", "http://u:hunter2@h^"]).unwrap_err();
/// assert!(!error.to_string().contains("hunter2"));
/// ```
#[derive(Debug, Clone)]
pub struct Unshown<F>(pub F);

impl<T, F> TypedValueParser for Unshown<F>
where
    T: Clone + Send + Sync + 'static,
    F: Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        match value.to_str() {
            Some(text) if may_contain_secret(text) => (self.0)(text).map_err(|why| {
                let argument = argument.map(ToString::to_string).unwrap_or_default();
                let message = format!("invalid value for '{argument}': {why}");
                command.clone().error(ErrorKind::ValueValidation, message)
            }),
            _ => self.0.parse_ref(command, argument, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_url_is_shown_unless_it_may_contain_a_secret() {
        let refuse = |_: &str| Err::<u8, _>("the scheme must be http".to_owned());
        let argument = Arg::new("url").long("url").value_parser(Unshown(refuse));
        let line = Command::new("x").arg(argument);
        for (value, shown) in [
            ("h:8000", true),
            ("ftp://u:hunter2@h", false),
            ("u:hunter2@h", false),
            ("ftp://h?token=hunter2", false),
        ] {
            let given = ["x".to_owned(), format!("--url={value}")];
            let error = line.clone().try_get_matches_from(given).unwrap_err();
            assert_eq!((error.kind(), error.exit_code()), (ErrorKind::ValueValidation, 2));
            let error = error.to_string();
            assert_eq!(error.contains(value), shown, "{error}");
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains("--url <url>': the scheme must be http"), "{error}");
        }
    }

    #[test]
    fn addresses_have_an_ip_and_a_port() {
        for text in ["0.0.0.0:8000", "127.0.0.1:0", "[::]:9090", "[::1]:1"] {
            assert_eq!(parse_address(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_error_has_an_example_with_the_same_port() {
        for (text, example) in [
            ("23010", "0.0.0.0:23010 or [::]:23010"),
            (":23010", "0.0.0.0:23010 or [::]:23010"),
            ("*:23010", "0.0.0.0:23010 or [::]:23010"),
            ("localhost:23010", "127.0.0.1:23010 or [::1]:23010"),
            ("::", "0.0.0.0:8000 or [::]:8000"),
            ("0.0.0.0", "0.0.0.0:8000 or [::]:8000"),
            ("0.0.0.0:70000", "0.0.0.0:8000 or [::]:8000"),
            ("", "0.0.0.0:8000 or [::]:8000"),
        ] {
            let expected = format!("expected IP:PORT, for example {example}");
            assert_eq!(parse_address(text).unwrap_err(), expected, "{text}");
        }
    }
}
