//! An answer as JSON, written member by member into one buffer.

use std::{fmt, io::Write as _};

use serde::Serialize;
use serde_json::{Value, value::RawValue};
use server_core::{Error, Result, json::push_text};

/// A JSON object, up to its last member.
pub(super) struct Object<'a> {
    json: &'a mut Vec<u8>,
    has_members: bool,
}

impl Object<'_> {
    /// Adds a name; its value has to follow.
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if self.has_members {
            self.json.push(b',');
        }
        self.has_members = true;
        push_text(self.json, name);
        self.json.push(b':');
        self.json
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        push_text(self.name(name), value);
    }

    pub(super) fn text_or_null(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.null(name),
        }
    }

    pub(super) fn number(&mut self, name: &str, value: i32) {
        self.printed(name, format_args!("{value}"));
    }

    /// Adds a string that needs no escaping.
    pub(super) fn shown(&mut self, name: &str, text: fmt::Arguments<'_>) {
        self.printed(name, format_args!("\"{text}\""));
    }

    fn printed(&mut self, name: &str, value: fmt::Arguments<'_>) {
        // Writing to a vector cannot fail.
        let _ = self.name(name).write_fmt(value);
    }

    pub(super) fn null(&mut self, name: &str) {
        self.name(name).extend_from_slice(b"null");
    }

    /// Adds what is JSON already.
    pub(super) fn raw_or_null(&mut self, name: &str, value: Option<&RawValue>) {
        match value {
            Some(value) => self.name(name).extend_from_slice(value.get().as_bytes()),
            None => self.null(name),
        }
    }

    /// Adds a value of any kind.
    ///
    /// # Errors
    /// `Internal` when it has no JSON.
    pub(super) fn value(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(self.name(name), value).map_err(Error::internal)
    }

    /// Adds a value of any kind, most likely a string.
    ///
    /// # Errors
    /// `Internal` when it has no JSON.
    pub(super) fn json(&mut self, name: &str, value: &Value) -> Result<()> {
        match value {
            Value::String(text) => {
                self.text(name, text);
                Ok(())
            }
            value => self.value(name, value),
        }
    }

    /// Adds an object with the members that `write` adds to it.
    pub(super) fn object<T>(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>) -> T) -> T {
        Object::write(self.name(name), write)
    }

    /// Adds a list of objects, each with the members that `write` adds to it.
    pub(super) fn objects<I: IntoIterator>(
        &mut self,
        name: &str,
        items: I,
        mut write: impl FnMut(&mut Object<'_>, I::Item),
    ) {
        let json = self.name(name);
        json.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            Object::write(json, |object| write(object, item));
        }
        json.push(b']');
    }

    /// Appends to `json` an object with the members that `write` adds to it.
    pub(super) fn write<T>(json: &mut Vec<u8>, write: impl FnOnce(&mut Object<'_>) -> T) -> T {
        json.push(b'{');
        let written = write(&mut Object { json, has_members: false });
        json.push(b'}');
        written
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_has_its_members_in_order() {
        let mut json = Vec::new();
        let raw = serde_json::value::to_raw_value(&[1]).unwrap();
        Object::write(&mut json, |object| {
            object.text("text", "a \"quote\"");
            object.text_or_null("none", None);
            object.number("number", -7);
            object.shown("shown", format_args!("{}", 1.5));
            object.raw_or_null("raw", Some(&raw));
            object.json("list", &json!([1.5, "x"])).unwrap();
            object.json("string", &json!("x")).unwrap();
            object.objects("objects", ["a", "b"], |object, name| object.text(name, name));
            object.object("empty", |_| ());
        });
        let expected = r#"{"text":"a \"quote\"","none":null,"number":-7,"shown":"1.5","raw":[1],"list":[1.5,"x"],"string":"x","objects":[{"a":"a"},{"b":"b"}],"empty":{}}"#;
        assert_eq!(String::from_utf8(json).unwrap(), expected);
    }
}
