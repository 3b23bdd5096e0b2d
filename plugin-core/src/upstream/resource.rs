//! What a request is for: a path and a query below a client's base, percent-encoded as they are sent.

use bytes::Bytes;
use http::{
    Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};
use server_core::{Error, Result};
use url::{Url, form_urlencoded};

/// Where a client's requests go.
pub(super) struct Base {
    pub(super) url: Url,
    /// The path without a slash at its end.
    path: String,
    scheme: Scheme,
    authority: Authority,
}

impl Base {
    /// # Errors
    /// `InvalidArgument` when `url` is not hierarchical.
    pub(super) fn new(url: Url) -> Result<Self> {
        let uri = url.as_str().parse::<Uri>().map_err(Error::internal)?;
        let Parts { scheme: Some(scheme), authority: Some(authority), .. } = uri.into_parts()
        else {
            return Err(Error::invalid("the vendor's URL has no host"));
        };
        let path = url.path().strip_suffix('/').unwrap_or(url.path()).to_owned();
        Ok(Self { url, path, scheme, authority })
    }
}

/// The path and query of a request. Written as text, because a [`Url`] is parsed anew with each of its parts, and few
/// requests need one.
pub(super) struct Resource {
    text: String,
    path_end: usize,
}

impl Resource {
    /// The path of `base` followed by `segments`.
    ///
    /// # Errors
    /// `InvalidArgument` for a segment that would change the rest of the path.
    pub(super) fn new<S: AsRef<str>>(base: &Base, segments: &[S]) -> (Self, Result<()>) {
        let mut text = String::with_capacity(512);
        text.push_str(&base.path);
        let pushed =
            segments.iter().try_for_each(|segment| push(&mut text, base, segment.as_ref()));
        if text.is_empty() {
            text.push('/');
        }
        let path_end = text.len();
        let mut this = Self { text, path_end };
        this.set_query(base.url.query());
        (this, pushed)
    }

    /// Replaces all of it.
    #[cfg(feature = "aws")]
    pub(super) fn set(&mut self, path: &str, query: Option<&str>) {
        path.clone_into(&mut self.text);
        self.path_end = self.text.len();
        self.set_query(query);
    }

    fn set_query(&mut self, query: Option<&str>) {
        if let Some(query) = query {
            self.text.push('?');
            self.text.push_str(query);
        }
    }

    /// Ends the path with a slash.
    pub(super) fn end_with_slash(&mut self) {
        if !self.path().ends_with('/') {
            self.text.insert(self.path_end, '/');
            self.path_end += 1;
        }
    }

    /// Adds `name=value` to the query.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        match self.query() {
            None => self.text.push('?'),
            Some("") => {}
            Some(_) => self.text.push('&'),
        }
        self.text.extend(form_urlencoded::byte_serialize(name.as_bytes()));
        self.text.push('=');
        self.text.extend(form_urlencoded::byte_serialize(value.as_bytes()));
    }

    /// The path, percent-encoded.
    pub(super) fn path(&self) -> &str {
        self.text.get(..self.path_end).unwrap_or_default()
    }

    fn query(&self) -> Option<&str> {
        self.text.get(self.path_end..)?.strip_prefix('?')
    }

    /// The URI to send.
    ///
    /// # Errors
    /// `Internal` when it is longer than 64 KiB.
    pub(super) fn uri(&self, base: &Base) -> Result<Uri> {
        let text = Bytes::copy_from_slice(self.text.as_bytes());
        let mut parts = Parts::default();
        parts.scheme = Some(base.scheme.clone());
        parts.authority = Some(base.authority.clone());
        let path_and_query = PathAndQuery::from_maybe_shared(text).map_err(Error::internal)?;
        parts.path_and_query = Some(path_and_query);
        Uri::from_parts(parts).map_err(Error::internal)
    }

    /// The same as a URL.
    pub(super) fn url(&self, base: &Base) -> Url {
        let mut url = base.url.clone();
        url.set_path(self.path());
        url.set_query(self.query());
        url
    }
}

/// Appends a segment to the path; refuses one that would change the rest of it.
fn push(path: &mut String, base: &Base, segment: &str) -> Result<()> {
    // The URL parser removes tabs and line breaks before it looks for dots.
    if matches!(segment, "" | "." | "..") || segment.contains(['\t', '\n', '\r']) {
        return Err(Error::invalid(format!("{segment:?} is not a valid path segment")));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if segment.bytes().all(is_plain) {
        path.push('/');
        path.push_str(segment);
        return Ok(());
    }
    // What is encoded, and how, is for the URL's own rules to say.
    let mut url = base.url.clone();
    let no_path = |()| Error::internal("the base has no path");
    url.path_segments_mut().map_err(no_path)?.clear().push(segment);
    path.push_str(url.path());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> Base {
        Base::new(Url::parse(url).unwrap()).unwrap()
    }

    /// As `Url` writes them.
    fn by_url(base: &Base, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = base.url.clone();
        url.path_segments_mut().unwrap().pop_if_empty().extend(segments);
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }

    #[test]
    fn paths_and_queries_are_those_of_a_url() {
        let segments = ["jobs", "a b/c?d#e%f\\g", "ü", "%2e%2e", "a:b@c;d=e,f", "x"];
        let query = [("fields", "a(b,c),d/e"), ("ä b", "c+d&e=f%"), ("empty", "")];
        for text in [
            "https://host",
            "https://host/",
            "http://127.0.0.1:8080/api/v2",
            "https://host/v2/",
            "https://host/v2?key=value",
            "https://[::1]:9/a%20b/",
            "https://host:443/v2",
        ] {
            let base = base(text);
            for (segments, query) in
                [(&segments[..], &query[..]), (&segments[..1], &[]), (&[], &query[..1]), (&[], &[])]
            {
                let expected = by_url(&base, segments, query);
                let (mut resource, pushed) = Resource::new(&base, segments);
                pushed.unwrap();
                query.iter().for_each(|(name, value)| resource.add(name, value));
                assert_eq!(resource.path(), expected.path(), "{text}");
                assert_eq!(resource.uri(&base).unwrap(), expected.as_str().parse::<Uri>().unwrap());
                assert_eq!(resource.url(&base), expected, "{text}");
            }
        }
    }

    #[test]
    fn a_path_ends_with_one_slash_before_its_query() {
        let base = base("https://host/v2");
        let (mut resource, _) = Resource::new(&base, &["jobs"]);
        resource.add("a", "b");
        resource.end_with_slash();
        resource.end_with_slash();
        assert_eq!(resource.uri(&base).unwrap(), "https://host/v2/jobs/?a=b");
    }

    #[test]
    fn segments_that_would_change_the_path_are_refused() {
        let base = base("https://host/v2");
        for segment in ["", ".", "..", "a\tb", "\n"] {
            assert!(Resource::new(&base, &[segment]).1.is_err(), "{segment:?}");
        }
    }
}
