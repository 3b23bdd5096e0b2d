//! TOML files in which the generator owns some keys and the author the others.

use anyhow::{Context as _, Result};
use toml_edit::{DocumentMut, Item, TableLike};

/// `ours` with the values of `keys` from `theirs`. Comments, order and all other keys are preserved.
///
/// # Errors
/// If a file is not TOML, or a key that must be a table is not one.
pub(crate) fn merged<'a>(
    ours: &str,
    theirs: &str,
    keys: impl Iterator<Item = &'a str>,
) -> Result<String> {
    let mut document: DocumentMut = ours.parse()?;
    let wanted: DocumentMut = theirs.parse().context("the template's file")?;
    for key in keys {
        let path = key.split('.').collect::<Vec<_>>();
        let Some(item) = get(wanted.as_table(), &path) else { continue };
        if get(document.as_table(), &path).is_none_or(|found| plain(found) != plain(item)) {
            put(document.as_table_mut(), &path, item).with_context(|| key.to_owned())?;
        }
    }
    Ok(document.to_string())
}

fn get<'a>(table: &'a dyn TableLike, path: &[&str]) -> Option<&'a Item> {
    let (key, rest) = path.split_first()?;
    let item = table.get(key)?;
    if rest.is_empty() { Some(item) } else { get(item.as_table_like()?, rest) }
}

fn put(table: &mut dyn TableLike, path: &[&str], item: &Item) -> Result<()> {
    let Some((key, rest)) = path.split_first() else { return Ok(()) };
    if rest.is_empty() {
        let mut item = item.clone();
        // Keep the author's comment after the value.
        if let (Some(new), Some(old)) =
            (item.as_value_mut(), table.get(key).and_then(Item::as_value))
        {
            *new.decor_mut() = old.decor().clone();
        }
        table.insert(key, item);
        return Ok(());
    }
    let empty = || Item::Table(toml_edit::Table::new());
    let below = table.entry(key).or_insert_with(empty);
    put(below.as_table_like_mut().with_context(|| format!("{key} is not a table"))?, rest, item)
}

/// The value of an item in a canonical form, without layout and comments.
fn plain(item: &Item) -> String {
    if let Some(table) = item.as_table_like() {
        let mut pairs =
            table.iter().map(|(key, item)| format!("{key}={}", plain(item))).collect::<Vec<_>>();
        pairs.sort();
        return pairs.join(",");
    }
    if let Some(array) = item.as_array() {
        let values = array.iter().map(|value| plain(&Item::Value(value.clone())));
        return format!("[{}]", values.collect::<Vec<_>>().join(","));
    }
    let Some(value) = item.as_value() else { return String::new() };
    let mut value = value.clone();
    value.decor_mut().clear();
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = "[package]\nname = \"x\"\nversion.workspace = true\n[dependencies]\ncore.workspace = true\nserde = \"1\"\n[lints]\nworkspace = true\n";

    fn keys() -> impl Iterator<Item = &'static str> {
        ["package.name", "package.version", "dependencies.core", "lints.workspace"].into_iter()
    }

    #[test]
    fn only_managed_keys_change() {
        let ours = "# mine\n[package]\nname = \"y\" # why\nversion = \"9\"\n[dependencies]\naxum = \"0.8\" # mine\n";
        let text = merged(ours, THEIRS, keys()).unwrap();
        assert!(text.starts_with("# mine\n[package]\nname = \"x\" # why\n"), "{text}");
        assert!(
            text.contains("version.workspace = true") && text.contains("axum = \"0.8\" # mine"),
            "{text}"
        );
        assert!(text.contains("core.workspace = true") && !text.contains("serde"), "{text}");
        assert!(text.contains("[lints]\nworkspace = true"), "{text}");
        assert_eq!(merged(&text, THEIRS, keys()).unwrap(), text);
    }

    #[test]
    fn equal_values_in_another_layout_are_unchanged() {
        let ours = "lints = { workspace = true }\n[dependencies]\ncore = { workspace = true }\n[package]\nname = 'x'\nversion = { workspace = true }\n";
        let quoted = ours.replace("'x'", "\"x\"");
        assert_eq!(merged(&quoted, THEIRS, keys()).unwrap(), quoted);
    }

    #[test]
    fn comments_and_line_breaks_are_ignored() {
        let theirs = "[dependencies]\ncore = { workspace = true, features = [\"testing\"] }\n";
        let ours = "[dependencies]\ncore = { workspace = true, features = [\n  \"testing\", # mine\n] } # why\n";
        assert_eq!(merged(ours, theirs, keys()).unwrap(), ours);
    }

    #[test]
    fn invalid_toml_is_rejected() {
        assert!(merged("[", THEIRS, keys()).is_err());
    }
}
