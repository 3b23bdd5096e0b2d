//! Where things are in a file.

use std::{collections::HashSet, fmt, ops::Range, sync::Arc};

use plugin_core::schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::{Location, Spanned};

/// A range of bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Place {
    /// The place of what YAML found at `location`; the file's beginning if it does not know.
    pub(crate) fn of(location: Location) -> Self {
        let span = location.span();
        let number = |bytes: Option<u64>| usize::try_from(bytes.unwrap_or_default()).ok();
        let start = number(span.byte_offset()).unwrap_or_default();
        let length = number(span.byte_len()).unwrap_or_default();
        Self { start, end: start.saturating_add(length) }
    }

    /// The place of an error of YAML at `location` of `source`. The scanner knows line and column alone.
    pub(crate) fn in_source(location: Location, source: &str) -> Self {
        let place = Self::of(location);
        let number = |counted: u64| usize::try_from(counted).unwrap_or_default();
        let line = number(location.line());
        let column = number(location.column());
        if place.start > 0 || line <= 1 && column <= 1 {
            return place;
        }
        Self::at(line, column, source)
    }

    /// The place of the letter in `line` and `column` of `source`, from 1.
    pub(crate) fn at(line: usize, column: usize, source: &str) -> Self {
        let before = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let text = source.get(before..).unwrap_or_default();
        let letters =
            text.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum::<usize>();
        Self { start: before + letters, end: before + letters }
    }

    /// The first place of `word` within this one, in the file `source`; this place if it is not there. An expression in a
    /// YAML string has no places of its own, because of quotes and escapes.
    pub(crate) fn of_word(self, word: &str, source: &str) -> Self {
        let Some(text) = source.get(self.start..self.end.min(source.len())) else { return self };
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let mut found = text.match_indices(word).filter(|(at, _)| {
            let before = text[..*at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            let starts = word.starts_with(is_name) && before.is_some_and(is_name);
            let goes_on = word.ends_with(is_name) && after.is_some_and(is_name);
            !starts && !goes_on
        });
        match found.next() {
            Some((at, _)) if !word.is_empty() => {
                Self { start: self.start + at, end: self.start + at + word.len() }
            }
            _ => self,
        }
    }

    /// The line and column of its beginning in `source`, from 1.
    pub(crate) fn line_and_column(self, source: &str) -> (usize, usize) {
        let before = &source[..self.range_in(source).start];
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// As a range within `source`, at the borders of letters and not empty.
    pub(crate) fn range_in(self, source: &str) -> Range<usize> {
        let floor = |mut at: usize| {
            at = at.min(source.len());
            while !source.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(self.start);
        start..floor(self.end).max(start)
    }
}

/// A file's name and text.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Where in a file an expression is. Its `Display` is `FILE:LINE:COLUMN`. As the source of an error, it is for the log.
#[derive(Clone)]
pub(crate) struct Origin {
    source: Arc<Source>,
    place: Place,
}

impl Origin {
    /// The place.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// `place` in `source`.
    pub(crate) fn new(source: &Arc<Source>, place: Place) -> Self {
        Self { source: Arc::clone(source), place }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.place.line_and_column(&self.source.text);
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

/// Not the whole file.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl std::error::Error for Origin {}

/// A value, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { value, place: Place::of(defined) })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The entries of a mapping in their order, with the places of their names.
#[derive(Debug, Clone)]
pub(crate) struct Entries<T>(pub(crate) Vec<(At<String>, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Entries<T> {
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.value.as_str()).collect()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                entries(&mut map).map(Entries)
            }
        }

        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// The entries of `map`. For YAML the keys `1` and `'1'` are two.
pub(crate) fn entries<'de, T: Deserialize<'de>, A: de::MapAccess<'de>>(
    map: &mut A,
) -> Result<Vec<(At<String>, T)>, A::Error> {
    let (mut entries, mut names) = (Vec::new(), HashSet::new());
    while let Some((name, value)) = map.next_entry::<At<String>, T>()? {
        if !names.insert(name.value.clone()) {
            return Err(de::Error::custom(format!("the key `{}` is here twice", name.value)));
        }
        entries.push((name, value));
    }
    Ok(entries)
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("EntriesOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <std::collections::BTreeMap<String, T>>::json_schema(generator)
    }
}
