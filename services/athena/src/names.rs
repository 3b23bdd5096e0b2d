//! What Athena takes as names, by the patterns of AWS's model `athena/2017-05-18`: a wrong one is refused with its field
//! before anything is sent.

/// A pattern: how many characters of which.
pub(crate) struct Pattern {
    most: usize,
    signs: &'static str,
}

/// `WorkGroupName`: `[a-zA-Z0-9._-]{1,128}`.
pub(crate) const WORKGROUP: Pattern = Pattern { most: 128, signs: "._-" };
/// `CatalogNameString`, 1 to 256 characters, of those that catalogs of Glue, Lambda and S3 Tables have.
pub(crate) const CATALOG: Pattern = Pattern { most: 256, signs: "._-/@:" };
/// `DatabaseString`, 1 to 255 characters, of those that databases of these have.
pub(crate) const DATABASE: Pattern = Pattern { most: 255, signs: "._-/@:" };

impl Pattern {
    /// Why `name` does not match.
    pub(crate) fn check(&self, name: &str) -> Result<(), String> {
        let Self { most, signs } = self;
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
        match !name.is_empty() && name.len() <= *most && name.chars().all(is_allowed) {
            true => Ok(()),
            false => Err(format!("{name:?} must be 1 to {most} letters, digits or {signs}")),
        }
    }

    /// `name`, for a setting.
    pub(crate) fn parse(&self, name: &str) -> Result<String, String> {
        self.check(name).map(|()| name.to_owned())
    }
}

/// Whether `key` names a key of KMS: an ARN of a key or an alias, an alias, or a key's id. The model's `KmsKey`, with the
/// ids of keys of several regions, which it leaves out.
pub(crate) fn is_kms_key(key: &str) -> bool {
    if key.len() > 2048 {
        return false;
    }
    match key.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, "kms", region, account, resource] => {
            let is_part = |part: &str, signs: fn(u8) -> bool| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || signs(b))
            };
            partition.starts_with("aws")
                && is_part(partition, |b| b == b'-')
                && is_part(region, |b| b.is_ascii_digit() || b == b'-')
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && ["key/", "alias/"].iter().any(|kind| has_path(resource, kind, "_+=,.@-/"))
        }
        [name] => has_path(name, "alias/", "/_-") || is_id(name),
        _ => false,
    }
}

fn has_path(text: &str, kind: &str, signs: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
    text.strip_prefix(kind).is_some_and(|path| !path.is_empty() && path.chars().all(is_allowed))
}

/// A UUID, or `mrk-` and 32 hex digits.
fn is_id(id: &str) -> bool {
    let is_hex =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match id.strip_prefix("mrk-") {
        Some(digits) => digits.len() == 32 && is_hex(digits),
        None => {
            let parts = id.split('-');
            parts.clone().map(str::len).eq([8, 4, 4, 4, 12]) && parts.clone().all(is_hex)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_the_models_patterns() {
        for (pattern, name, matches) in [
            (WORKGROUP, "primary", true),
            (WORKGROUP, "a.b_c-1", true),
            (WORKGROUP, &*"w".repeat(128), true),
            (WORKGROUP, &*"w".repeat(129), false),
            (WORKGROUP, "a/b", false),
            (WORKGROUP, "a b", false),
            (WORKGROUP, "", false),
            (WORKGROUP, "größe", false),
            (CATALOG, "AwsDataCatalog", true),
            (CATALOG, "s3tablescatalog/acme", true),
            (CATALOG, &*"c".repeat(257), false),
            (CATALOG, "a\nb", false),
            (DATABASE, "sales", true),
            (DATABASE, &*"d".repeat(256), false),
            (DATABASE, "sales\"", false),
        ] {
            assert_eq!(pattern.check(name).is_ok(), matches, "{name}");
        }
    }

    #[test]
    fn keys_of_kms_are_told_by_arn_alias_or_id() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        for key in [
            id,
            "mrk-1234abcd12ab34cd56ef1234567890ab",
            "alias/results",
            &format!("arn:aws:kms:eu-central-1:111122223333:key/{id}"),
            "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/a/b",
            "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        ] {
            assert!(is_kms_key(key), "{key}");
        }
        for key in [
            "",
            "key",
            "alias/",
            "alias/a b",
            "1234abcd-12ab-34cd-56ef",
            "arn:aws:kms:eu-central-1:111122223333:key/",
            "arn:aws:kms:eu-central-1:1111:key/1",
            "arn:aws:s3:eu-central-1:111122223333:key/1",
            "arn:aws:kms:eu-central-1:111122223333:key/1:2",
            "arn:aws:kms:EU:111122223333:key/1",
            &"a".repeat(3000),
        ] {
            assert!(!is_kms_key(key), "{key}");
        }
    }
}
