//! Errors in XML, which gateways of AWS answer whatever a service speaks.

use quick_xml::{Reader, events::Event};

/// Errors are no deeper than this.
const DEEPEST: usize = 6;
/// Nor have they more elements.
const MOST: usize = 64;

/// Code and message of an error in XML: `Error`, in whatever element, with `Code` and `Message` (query, EC2 and
/// REST alike). An error whose root is its code, such as `<AccessDeniedException>`, is read as well. Entities
/// other than those of XML itself are not expanded.
pub(super) fn error(body: &[u8]) -> Option<(Option<String>, String)> {
    let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with('<') {
        return None;
    }
    let mut found = Found::default();
    let mut reader = Reader::from_str(text);
    for _ in 0..MOST * 3 {
        match reader.read_event().ok()? {
            Event::Start(start) if found.path.len() < DEEPEST => {
                found.path.push(local(start.name().as_ref()));
            }
            Event::Start(_) => return None,
            Event::Empty(empty) if found.path.is_empty() => {
                found.path.push(local(empty.name().as_ref()));
                found.root.clone_from(&found.path[0]);
                break;
            }
            Event::End(_) => {
                found.root.clone_from(found.path.first()?);
                found.path.pop();
                if found.path.is_empty() {
                    break;
                }
            }
            Event::Text(text) => found.add(&text),
            Event::GeneralRef(entity) => found.add(entity_text(&entity)),
            Event::DocType(_) => return None,
            Event::Eof => break,
            _ => {}
        }
    }
    found.error()
}

#[derive(Default)]
struct Found {
    path: Vec<String>,
    root: String,
    code: String,
    message: String,
}

impl Found {
    fn add(&mut self, text: &str) {
        match self.path.last().map(String::as_str) {
            Some("Code") => self.code.push_str(text),
            Some("Message" | "message") => self.message.push_str(text),
            _ => {}
        }
    }

    fn error(self) -> Option<(Option<String>, String)> {
        let is_code = self.root.ends_with("Exception") || self.root.ends_with("Error");
        let code = match self.code.trim() {
            "" if is_code => self.root,
            "" => return None,
            code => code.to_owned(),
        };
        Some((Some(code), self.message.trim().to_owned()))
    }
}

/// The name without its namespace.
fn local(name: &str) -> String {
    name.rsplit(':').next().unwrap_or(name).to_owned()
}

fn entity_text(name: &str) -> &'static str {
    match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "quot" => "\"",
        "apos" => "'",
        _ => "",
    }
}
