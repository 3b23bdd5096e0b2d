//! The URL of a vendor's API.

use url::Url;

/// The URL of an API, as a file or its settings have it.
///
/// # Errors
/// Reads `text` as the base URL of an API.
///
/// # Errors
/// The reason why it cannot be one, without `text`: it may contain a password.
pub(crate) fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    match () {
        () if !matches!(url.scheme(), "http" | "https") => {
            Err("must be a URL, which begins with https://".to_owned())
        }
        () if !url.username().is_empty() || url.password().is_some() => {
            Err("must not contain credentials: `upstream.auth` has them".to_owned())
        }
        () if url.query().is_some() || url.fragment().is_some() => {
            Err("must end with a path: parameters are in `query`".to_owned())
        }
        () => Ok(url),
    }
}
