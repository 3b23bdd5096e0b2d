//! Where Athena writes results.

use std::str::FromStr;

use plugin_core::{Context, Error, Result, Task};

use crate::custom::{Custom, plain};

/// The setting: where results of tasks that name no location go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum OutputLocation {
    /// Where the workgroup says; if it says nothing, below the attempt's output prefix.
    #[default]
    Auto,
    /// Where the workgroup says.
    Workgroup,
    /// Below the attempt's output prefix.
    OutputPrefix,
    /// Below this prefix in S3, which ends with a slash.
    S3(String),
}

impl FromStr for OutputLocation {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "workgroup" => Ok(Self::Workgroup),
            "output-prefix" => Ok(Self::OutputPrefix),
            location => s3(location).map(Self::S3).map_err(|why| {
                format!("{location:?} {why}; or write auto, workgroup or output-prefix")
            }),
        }
    }
}

impl OutputLocation {
    /// The location for a request of `task`; `None` if the workgroup decides.
    ///
    /// # Errors
    /// `InvalidArgument` for one that is not a prefix in S3.
    pub(crate) fn of(&self, cx: &Context, task: &Task<Custom>) -> Result<Option<String>> {
        let of_author =
            authors(cx, task, "custom.output_location", task.custom.output_location.as_deref())?;
        match (of_author, self) {
            (Some(location), _) => Ok(Some(location)),
            (None, Self::Auto | Self::Workgroup) => Ok(None),
            (None, Self::OutputPrefix) => below_output_prefix(cx).map(Some),
            (None, Self::S3(location)) => Ok(Some(location.clone())),
        }
    }

    /// The location for files that a statement around the task's writes, if its author names none: a prefix that no
    /// other attempt has.
    pub(crate) fn of_files(&self, cx: &Context, task: &Task<Custom>) -> Result<String> {
        let base = match self.of(cx, task)? {
            Some(base) => base,
            None => below_output_prefix(cx)?,
        };
        Ok(format!("{base}{}/", cx.idempotency_key().hex()))
    }
}

/// The prefix in S3 that the task's author wrote in `field`, with its placeholders rendered.
pub(crate) fn authors(
    cx: &Context,
    task: &Task<Custom>,
    field: &str,
    location: Option<&str>,
) -> Result<Option<String>> {
    let Some(location) = location else { return Ok(None) };
    let location = plain(cx, task, field, location)?;
    let location =
        s3(&location).map_err(|why| Error::invalid(format!("{field}: {location:?} {why}")))?;
    Ok(Some(location))
}

/// A prefix below the attempt's output prefix.
///
/// # Errors
/// `InvalidArgument` when Flyte's storage is not S3.
pub(crate) fn below_output_prefix(cx: &Context) -> Result<String> {
    s3(cx.output_prefix()).map(|prefix| format!("{prefix}athena/")).map_err(|_| {
        Error::invalid(
            "custom.output_location: missing; the workgroup has no location for results, and Flyte's output prefix is not in \
             S3: set the workgroup's location, custom.output_location or --output-location (ATHENA_OUTPUT_LOCATION)",
        )
    })
}

/// `location` with a slash at its end, or why it is no prefix in S3.
fn s3(location: &str) -> std::result::Result<String, &'static str> {
    const EXPECTED: &str = "is not a prefix in S3, s3://bucket/prefix/, of at most 1024 letters, digits and signs \
                            without quotes and control characters";
    let rest = location.strip_prefix("s3://").ok_or(EXPECTED)?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let in_bucket = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_bucket = bucket.len() >= 3 && bucket.len() <= 255 && bucket.chars().all(in_bucket);
    let in_key = |c: char| c.is_alphanumeric() || " !-_.*()/=+@:,&$~%#".contains(c);
    match is_bucket && location.len() <= 1024 && key.chars().all(in_key) {
        true => {
            Ok(if location.ends_with('/') { location.to_owned() } else { format!("{location}/") })
        }
        false => Err(EXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_prefixes_in_s3() {
        for (text, expected) in [
            ("auto", OutputLocation::Auto),
            ("workgroup", OutputLocation::Workgroup),
            ("output-prefix", OutputLocation::OutputPrefix),
            ("s3://acme-results", OutputLocation::S3("s3://acme-results/".into())),
            ("s3://acme-results/a=b/c", OutputLocation::S3("s3://acme-results/a=b/c/".into())),
        ] {
            assert_eq!(text.parse::<OutputLocation>().unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "s3://",
            "s3://a",
            "gs://acme/x",
            "s3a://acme/x",
            "S3://acme/",
            "s3://acme/'",
            "s3://acme/a\nb",
            "s3://u:p@acme/",
            "/tmp",
        ] {
            let error = text.parse::<OutputLocation>().unwrap_err();
            assert!(error.contains("is not a prefix in S3"), "{error}");
        }
    }
}
