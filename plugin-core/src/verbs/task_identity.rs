//! What a request asks for: tells a repeat from another request with the same key.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use prost::Message as _;
use server_core::digest::KeyedHash;

use super::heavy::LARGE_BYTES;
use crate::wire::{Encoded, Submitted, proto::flyteidl::admin::CreateTaskRequest};

/// What a request asks for. Cloning is cheap.
///
/// Few requests have the key of another in progress. So a message is kept as it came, and is hashed only if there is one to
/// compare it with.
#[derive(Clone)]
pub(super) struct TaskIdentity(Arc<Inner>);

struct Inner {
    /// None if the hash is known from the beginning.
    message: Option<Bytes>,
    hash: OnceLock<u128>,
    keyed: KeyedHash,
}

impl TaskIdentity {
    pub(super) fn of(submitted: &Submitted, keyed: &KeyedHash) -> Self {
        let message = match &submitted.encoded {
            // A large one would be held in memory until its job has been submitted.
            Encoded::Request(message) if message.len() < LARGE_BYTES => Some(message.clone()),
            Encoded::Request(_) | Encoded::Header(..) | Encoded::No => None,
        };
        let hash = match &message {
            Some(_) => OnceLock::new(),
            None => OnceLock::from(hash_of(&submitted.request, keyed)),
        };
        Self(Arc::new(Inner { message, hash, keyed: keyed.clone() }))
    }

    /// Whether both ask for the same. `None` until both are [hashed](Self::hash), unless they came in the same bytes.
    pub(super) fn is_same(&self, other: &Self) -> Option<bool> {
        if self.0.message.is_some() && self.0.message == other.0.message {
            return Some(true);
        }
        Some(self.0.hash.get()? == other.0.hash.get()?)
    }

    /// Hashes it, once.
    pub(super) fn hash(&self) {
        let Inner { message, hash, keyed } = &*self.0;
        hash.get_or_init(|| {
            let message = message.clone().unwrap_or_default();
            // It was decoded before.
            CreateTaskRequest::decode(message)
                .map_or_else(|_| rand::random(), |request| hash_of(&request, keyed))
        });
    }

    /// Whether `other` is of the same request, not of a repeat.
    pub(super) fn is_own(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Without the connection, whose secrets may be renewed before a repeat.
fn hash_of(request: &CreateTaskRequest, keyed: &KeyedHash) -> u128 {
    // The encoding is deterministic: every map is ordered.
    let template = request.template.as_ref().map(|template| template.encode_to_vec());
    let inputs = request.inputs.as_ref().map(|inputs| inputs.encode_to_vec());
    keyed.of(&(template, inputs))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::wire::from_proto_json_object;

    fn request(statement: &str) -> CreateTaskRequest {
        let request = json!({"template": {"sql": {"statement": statement}}});
        from_proto_json_object(&request).unwrap()
    }

    /// Of a request with two inputs in the order of `names`, as Go sends maps.
    fn of_inputs(names: [u8; 2], keyed: &KeyedHash) -> TaskIdentity {
        let entry = |name| [10, 5, 10, 1, name, 18, 0];
        let inputs = names.map(entry).concat();
        let message = [&[10, u8::try_from(inputs.len()).unwrap()], &inputs[..]].concat();
        let request = Box::new(CreateTaskRequest::decode(message.as_slice()).unwrap());
        let encoded = Encoded::Request(message.into());
        TaskIdentity::of(&Submitted { request, encoded }, keyed)
    }

    fn of_message(statement: &str, keyed: &KeyedHash) -> TaskIdentity {
        let request = Box::new(request(statement));
        let encoded = Encoded::Request(request.encode_to_vec().into());
        TaskIdentity::of(&Submitted { request, encoded }, keyed)
    }

    fn is_same_once_hashed(one: &TaskIdentity, other: &TaskIdentity) -> Option<bool> {
        one.hash();
        other.hash();
        one.is_same(other)
    }

    #[test]
    fn a_message_is_hashed_only_to_be_compared_with_another() {
        let keyed = KeyedHash::default();
        let (one, other) = (of_message("SELECT 1", &keyed), of_message("SELECT 2", &keyed));
        assert_eq!(one.is_same(&other), None);
        assert_eq!(is_same_once_hashed(&one, &other), Some(false));
        assert_eq!(one.is_same(&of_message("SELECT 1", &keyed)), Some(true), "the same bytes");
    }

    #[test]
    fn a_repeat_may_have_its_inputs_in_another_order() {
        let keyed = KeyedHash::default();
        let one = of_inputs(*b"ab", &keyed);
        assert_eq!(is_same_once_hashed(&one, &of_inputs(*b"ba", &keyed)), Some(true));
        assert_eq!(is_same_once_hashed(&one, &of_inputs(*b"ac", &keyed)), Some(false));
    }

    #[test]
    fn requests_of_both_protocols_and_large_ones_are_compared() {
        let keyed = KeyedHash::default();
        let rest = |statement: &str| TaskIdentity::of(&request(statement).into(), &keyed);
        let grpc = of_message("SELECT 1", &keyed);
        assert_eq!(is_same_once_hashed(&grpc, &rest("SELECT 1")), Some(true));
        assert_eq!(is_same_once_hashed(&grpc, &rest("SELECT 2")), Some(false));
        let large = "x".repeat(LARGE_BYTES);
        let (one, other) = (of_message(&large, &keyed), rest(&large));
        assert_eq!(one.is_same(&other), Some(true), "both are hashed from the beginning");
    }

    #[test]
    fn secrets_of_the_connection_may_be_renewed() {
        let keyed = KeyedHash::default();
        let with = |secret: &str| {
            let request = json!({"connection": {"secrets": {"token": secret}}});
            let request: CreateTaskRequest =
                from_proto_json_object(&Json::clone(&request)).unwrap();
            TaskIdentity::of(&request.into(), &keyed)
        };
        assert_eq!(with("old").is_same(&with("new")), Some(true));
    }
}
