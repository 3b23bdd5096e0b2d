//! Reading members that nobody relies on: an unexpected value in one must not make a job unreadable.

use std::{fmt, marker::PhantomData};

use plugin_core::serde_json::{Number, Value as Json};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// A string, number or boolean; empty if it is anything else.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Scalar(Option<Json>);

impl Scalar {
    /// The value, if it is one.
    pub(super) fn json(&self) -> Option<Json> {
        self.0.clone()
    }

    /// The string, if it is one.
    pub(super) fn as_str(&self) -> Option<&str> {
        self.0.as_ref()?.as_str()
    }
}

/// What `T` reads of an object; `T::default()` for any other value.
#[derive(Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

struct Any<T>(PhantomData<T>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any::<Self>(PhantomData))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any::<Self>(PhantomData))
    }
}

/// What is made of a value of JSON.
trait Made<'de>: Default {
    fn of_scalar(_: impl Into<Json>) -> Self {
        Self::default()
    }

    fn of_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;
}

impl<'de> Made<'de> for Scalar {
    fn of_scalar(scalar: impl Into<Json>) -> Self {
        Self(Some(scalar.into()))
    }

    fn of_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

impl<'de, T: Deserialize<'de> + Default> Made<'de> for Object<T> {
    fn of_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Self)
    }
}

impl<'de, T: Made<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::of_scalar(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(T::of_scalar(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        Ok(T::of_scalar(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<T, E> {
        Ok(Number::from_f64(value).map_or_else(T::default, T::of_scalar))
    }

    fn visit_str<E>(self, value: &str) -> Result<T, E> {
        Ok(T::of_scalar(value))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::of_map(map)
    }
}
