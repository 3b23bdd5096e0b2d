//! What services of AWS do alike with the words of authors, and of AWS.

/// The value of a field, unless it is absent or blank; without blanks around it.
#[must_use]
pub fn given(field: &Option<String>) -> Option<&str> {
    field.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// Whether `text` has one of `parts`, whatever their case. Blanks around a part do not count; empty parts are ignored.
///
/// Some services report failures in words alone: operators list those after which Flyte may retry.
#[must_use]
pub fn mentions(text: &str, parts: &[String]) -> bool {
    let text = text.to_lowercase();
    let parts = parts.iter().map(|part| part.trim().to_lowercase());
    parts.filter(|part| !part.is_empty()).any(|part| text.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_field_is_not_given() {
        for (field, value) in [(None, None), (Some(" "), None), (Some(" a b "), Some("a b"))] {
            assert_eq!(given(&field.map(str::to_owned)), value);
        }
    }

    #[test]
    fn parts_are_found_whatever_their_case() {
        let parts = [" Host EC2 ", "", "spot"].map(str::to_owned);
        for (text, found) in
            [("host ec2 (i-1) terminated", true), ("a SPOT instance", true), ("exit 1", false)]
        {
            assert_eq!(mentions(text, &parts), found, "{text}");
        }
        assert!(!mentions("anything", &[]));
    }
}
