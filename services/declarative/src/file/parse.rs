//! Reads the text of a file.

use super::{File, from_yaml};
use crate::{
    located::Place,
    mistake::{Mistake, Mistakes},
    node::{Node, Tree},
};

/// The largest file, in bytes.
const LARGEST: usize = 1 << 20;

/// A choice, and what it looks like with its settings.
type Form = (&'static str, &'static str);

/// Choices that have settings of their own, by their places, with what they look like. Where one is a bare word, YAML's own
/// error is about what follows it.
const CHOICES: [([&str; 2], &[Form]); 3] = [
    (["upstream", "auth"], &AUTH),
    (["create", "idempotency"], &KEYS),
    (["execute", "idempotency"], &KEYS),
];
const AUTH: [Form; 6] = [
    ("bearer", "{bearer: {secret: …}}"),
    ("header", "{header: {name: …, secret: …}}"),
    ("basic", "{basic: {username: …, password: …}}"),
    ("oauth2", "{oauth2: {token_url: …, client_id: …, client_secret: …}}"),
    ("google", "{google: {}}"),
    ("aws_sigv4", "{aws_sigv4: {service: …, region: …, protocol: …}}"),
];
const KEYS: [Form; 3] = [
    ("header", "{header: Idempotency-Key}"),
    ("field", "{field: …}"),
    ("lookup", "{lookup: {request: …, items: …, match: …}}"),
];

impl File {
    /// Reads `source`, the file `name`.
    ///
    /// # Errors
    /// What YAML or the language's form does not allow: the first mistake.
    pub(crate) fn parse(name: &str, source: &str) -> Result<Self, Mistakes> {
        if source.len() > LARGEST {
            let mistake = Mistake::new(Default::default(), "the file is larger than 1 MiB");
            return Err(Mistakes::one(name, "", mistake));
        }
        from_yaml(source)
            .map_err(|mistake| Mistakes::one(name, source, bare_choice(source).unwrap_or(mistake)))
    }
}

/// The text of `bytes`, the file `name`.
///
/// # Errors
/// Where it is not UTF-8.
pub(crate) fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Mistakes> {
    String::from_utf8(bytes).map_err(|error| {
        let start = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let end = start + char::REPLACEMENT_CHARACTER.len_utf8();
        let mistake = Mistake::new(Place { start, end }, "the file is not UTF-8")
            .help("save it with this encoding".to_owned());
        Mistakes::one(name, &text, mistake)
    })
}

/// The first choice that lacks its settings.
fn bare_choice(source: &str) -> Option<Mistake> {
    let root = from_yaml::<Node>(source).ok()?;
    CHOICES.iter().find_map(|(path, choices)| {
        let node = path.iter().try_fold(&root, |node, name| match &node.tree {
            Tree::Map(entries) => {
                entries.iter().find(|(key, _)| key.value == *name).map(|(_, node)| node)
            }
            _ => None,
        })?;
        let Tree::Text(word) = &node.tree else { return None };
        let (_, form) = choices.iter().find(|(choice, _)| choice == word)?;
        let mistake = Mistake::new(node.place, format!("`{word}` must be a mapping"));
        Some(mistake.help(format!("write {form}")))
    })
}
