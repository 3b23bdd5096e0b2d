//! One JSON Web Key (RFC 7517): only a public key that may verify signatures, and is strong enough, is used.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, Jwk},
};
use serde_json::Value as Json;

/// The bits of an RSA modulus that are accepted: RFC 7518 §3.3, and what aws-lc verifies.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key that verifies signatures.
#[derive(Clone)]
pub(super) struct Key {
    kid: Option<String>,
    /// The only algorithm that it verifies, if it names one.
    algorithm: Option<Algorithm>,
    pub(super) decoding: DecodingKey,
}

/// Why a key verifies nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is for another purpose, or of an unknown kind. Key sets may have such keys.
    Other,
    /// Whoever published it made a mistake, which this names.
    Unsafe(&'static str),
}

impl Key {
    /// A key of a file of its own, which has no metadata.
    pub(super) fn without_id(decoding: DecodingKey) -> Self {
        Self { kid: None, algorithm: None, decoding }
    }

    /// Reads a member of a key set.
    pub(super) fn read(key: &Json) -> Result<Self, Unusable> {
        check_secrecy(key)?;
        if !may_verify(key) {
            return Err(Unusable::Other);
        }
        let algorithm = algorithm(key)?;
        let jwk: Jwk = serde_json::from_value(key.clone()).map_err(|_| Unusable::Other)?;
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|_| Unusable::Other)?;
        check_strength(&decoding)?;
        Ok(Self { kid: jwk.common.key_id, algorithm, decoding })
    }

    /// Whether a token with this key id may be signed with it. A key without an id matches any.
    pub(super) fn matches(&self, kid: &str) -> bool {
        self.kid.as_deref().is_none_or(|own| own == kid)
    }

    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        let family = self.decoding.family() == algorithm.family();
        family && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

/// A member of the key. Some issuers write absent ones as null.
fn member<'k>(key: &'k Json, name: &str) -> Option<&'k Json> {
    key.get(name).filter(|value| !value.is_null())
}

/// Refuses secrets: whoever can read the set could sign tokens. `d` is the private part of every asymmetric
/// key, `k` a shared secret (RFC 7518 §6).
fn check_secrecy(key: &Json) -> Result<(), Unusable> {
    if member(key, "k").is_some() || member(key, "kty").is_some_and(|kind| kind == "oct") {
        return Err(Unusable::Unsafe("it is a shared secret"));
    }
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];
    if private.iter().any(|name| member(key, name).is_some()) {
        return Err(Unusable::Unsafe("it is a private key"));
    }
    Ok(())
}

/// Whether `use` (§4.2) and `key_ops` (§4.3) allow verifying. What is not understood allows nothing.
fn may_verify(key: &Json) -> bool {
    let by_use = member(key, "use").is_none_or(|purpose| purpose == "sig");
    let by_operation = member(key, "key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"))
    });
    by_use && by_operation
}

/// The algorithm that the key is restricted to (§4.4).
fn algorithm(key: &Json) -> Result<Option<Algorithm>, Unusable> {
    let Some(name) = member(key, "alg") else { return Ok(None) };
    let known = name.as_str().and_then(|name| name.parse().ok());
    known.map(Some).ok_or(Unusable::Other)
}

/// Refuses RSA keys that can be broken.
pub(super) fn check_strength(key: &DecodingKey) -> Result<(), Unusable> {
    if key.family() != AlgorithmFamily::Rsa {
        return Ok(());
    }
    let (modulus, exponent) = rsa_components(key).ok_or(Unusable::Other)?;
    if !RSA_BITS.contains(&bits(&modulus)) {
        return Err(Unusable::Unsafe("its RSA modulus does not have 2048 to 8192 bits"));
    }
    let is_odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
    if bits(&exponent) < 2 || !is_odd {
        return Err(Unusable::Unsafe("its RSA exponent is 1 or even"));
    }
    Ok(())
}

fn rsa_components(key: &DecodingKey) -> Option<(Vec<u8>, Vec<u8>)> {
    if let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() {
        return Some((n.clone(), e.clone()));
    }
    let AlgorithmParameters::RSA(rsa) = Jwk::from_decoding_key(key, None).ok()?.algorithm else {
        return None;
    };
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
    Some((decode(&rsa.n)?, decode(&rsa.e)?))
}

/// The number of significant bits of a big-endian number.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let significant = &number[zeros..];
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_are_no_bits() {
        for (number, expected) in
            [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 3], 2), (&[1, 0, 1], 17)]
        {
            assert_eq!(bits(number), expected, "{number:?}");
        }
    }
}
