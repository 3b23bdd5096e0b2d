//! Where Athena writes results.

use std::str::FromStr;

use plugin_core::{Context, Error, Result, Task};

use crate::{custom::Custom, text::rendered};

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
            (None, Self::OutputPrefix) => below_output_prefix(cx, &SET).map(Some),
            (None, Self::S3(location)) => Ok(Some(location.clone())),
        }
    }

    /// The location for files that a statement around the task's writes, if its author names none: a prefix that no
    /// other attempt has.
    pub(crate) fn of_files(&self, cx: &Context, task: &Task<Custom>) -> Result<String> {
        let base = match self.of(cx, task)? {
            Some(base) => base,
            None => below_output_prefix(cx, &UNLOADED)?,
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
    let location = rendered(cx, &task.inputs, field, location, check_value)?;
    let location =
        s3(&location).map_err(|why| Error::invalid(format!("{field}: {location:?} {why}")))?;
    Ok(Some(location))
}

/// Whether `value` may follow `before` in a location: as its beginning it is a location itself, else it is a part of the
/// bucket's name or of one segment, so that a caller's value does not choose another place than the author wrote.
fn check_value(before: &str, value: &str) -> std::result::Result<(), &'static str> {
    if before.is_empty() {
        return Ok(());
    }
    if value.contains('/') {
        return Err(
            "must not contain a slash, because it is a part of one segment of the location",
        );
    }
    check_in_text(before, value)
}

/// What holds also where the text is not known to be a location: in a string of SQL that begins as one.
pub(crate) fn check_in_text(before: &str, value: &str) -> std::result::Result<(), &'static str> {
    if value.chars().any(char::is_control) {
        return Err("must have no control characters, because it is a part of a location in S3");
    }
    let is_in_bucket = before.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
    let in_bucket = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if is_in_bucket && !value.chars().all(in_bucket) {
        return Err(
            "must be letters, digits and .-_ only, because it is a part of a bucket's name",
        );
    }
    let rest = before.rsplit('/').next().unwrap_or_default();
    if has_dots(&format!("{rest}{value}")) {
        return Err("must not make . or .. a segment of the location");
    }
    Ok(())
}

/// Whether `path` has a segment that some readers of S3 take for another one.
fn has_dots(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// A location that has to be below the output prefix, since nobody chose another: its field, and what would choose it.
pub(crate) struct Unchosen {
    field: &'static str,
    why: &'static str,
    set: &'static str,
}

/// The result's, by the setting.
static SET: Unchosen = Unchosen {
    field: "custom.output_location",
    why: "--output-location (ATHENA_OUTPUT_LOCATION) is output-prefix",
    set: "custom.output_location or another --output-location",
};
/// The result's, of a workgroup without a location.
pub(crate) static WORKGROUPS: Unchosen = Unchosen {
    field: "custom.output_location",
    why: "the workgroup has no location for results",
    set: "the workgroup's location, custom.output_location or --output-location (ATHENA_OUTPUT_LOCATION)",
};
/// That of the files of an UNLOAD, for which a workgroup's location does not count.
static UNLOADED: Unchosen = Unchosen {
    field: "custom.unload.location",
    why: "neither custom.output_location nor --output-location (ATHENA_OUTPUT_LOCATION) is a prefix in S3",
    set: "one of the three",
};

/// A prefix below the attempt's output prefix.
///
/// # Errors
/// `InvalidArgument` when Flyte's storage is not S3.
pub(crate) fn below_output_prefix(cx: &Context, unchosen: &Unchosen) -> Result<String> {
    let Unchosen { field, why, set } = unchosen;
    s3(cx.output_prefix()).map(|prefix| format!("{prefix}athena/")).map_err(|_| {
        Error::invalid(format!(
            "{field}: missing; {why}, and Flyte's output prefix is not in S3: set {set}"
        ))
    })
}

/// `location` with a slash at its end, or why it is no prefix in S3.
fn s3(location: &str) -> std::result::Result<String, &'static str> {
    const EXPECTED: &str = "is not a prefix in S3, s3://bucket/prefix/, of at most 1024 letters, digits and signs \
                            without quotes, control characters and the segments . and ..";
    let rest = location.strip_prefix("s3://").ok_or(EXPECTED)?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let in_bucket = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_bucket = bucket.len() >= 3 && bucket.len() <= 255 && bucket.chars().all(in_bucket);
    let in_key = |c: char| c.is_alphanumeric() || " !-_.*()/=+@:,&$~%#".contains(c);
    let is_key = key.chars().all(in_key) && !has_dots(key);
    match is_bucket && location.len() <= 1024 && is_key {
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
            "s3://acme/..",
            "s3://acme/a/../b/",
            "s3://acme/./a",
            "/tmp",
        ] {
            let error = text.parse::<OutputLocation>().unwrap_err();
            assert!(error.contains("is not a prefix in S3"), "{error}");
        }
    }

    #[test]
    fn a_value_is_a_part_of_one_segment() {
        for (before, value) in [
            ("", "s3://acme/results/"),
            ("s3://acme/ds=", "2026-03-01"),
            ("s3://acme/", "a..b"),
            ("s3://acme/a", ".."),
            ("s3://acme-", "eu"),
        ] {
            assert_eq!(check_value(before, value), Ok(()), "{before}{value}");
        }
        for (before, value, why) in [
            ("s3://acme/", "a/b", "a slash"),
            ("s3://acme/", "../other", "a slash"),
            ("s3://acme/", "..", "a segment"),
            ("s3://acme/.", ".", "a segment"),
            ("s3://acme/", "a\nb", "control characters"),
            ("s3://", "other/acme", "a slash"),
            ("s3://acme-", "a?b", "a bucket's name"),
        ] {
            let error = check_value(before, value).unwrap_err();
            assert!(error.contains(why), "{before}{value}: {error}");
        }
        assert_eq!(check_in_text("s3://acme/", "a/b"), Ok(()));
        assert!(check_in_text("s3://acme/", "a/../../b").is_err());
        assert!(check_in_text("s3://", "other/acme").is_err());
    }
}
