//! Addresses to listen on, as flags and variables spell them.

use std::net::SocketAddr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
