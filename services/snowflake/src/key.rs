//! Private keys, in every format that `openssl` writes.

use aws_lc_rs::{encoding::AsDer as _, rsa, signature::KeyPair as _};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jsonwebtoken::EncodingKey;
use pkcs8::{
    EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument,
    pkcs5::{EncryptionScheme, pbes2::Kdf},
};
use plugin_core::{
    digest::sha256,
    secrecy::{ExposeSecret as _, SecretSlice, SecretString},
};

/// The most iterations for decrypting a key; a task's author may have chosen it.
const MAX_ITERATIONS: u32 = 1_000_000;
const NOT_PEM: &str = "is not a PEM private key";

/// An RSA key for signing, and the fingerprint by which Snowflake identifies its public key.
pub(crate) struct Key {
    pub(crate) signing: EncodingKey,
    pub(crate) fingerprint: String,
}

impl Key {
    /// Reads PKCS#8, plain or encrypted, or PKCS#1, in PEM or base64.
    ///
    /// # Errors
    /// Why it cannot be used, without any of its contents.
    pub(crate) fn read(
        pem: &SecretString,
        passphrase: Option<&SecretString>,
    ) -> Result<Self, &'static str> {
        let (label, der) = unwrapped(pem.expose_secret())?;
        match label.as_str() {
            "RSA PRIVATE KEY" => Self::from_pkcs1(der.as_bytes()),
            "PRIVATE KEY" => Self::from_pkcs8(der.as_bytes()),
            "ENCRYPTED PRIVATE KEY" => {
                let passphrase = passphrase.ok_or("is encrypted, but there is no passphrase")?;
                Self::from_pkcs8(decrypted(der.as_bytes(), passphrase)?.as_bytes())
            }
            _ => Err("is not a PEM private key that Snowflake supports"),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, &'static str> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| "is not a PKCS#8 key")?;
        Self::from_pkcs1(info.private_key.as_bytes())
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, &'static str> {
        let pair = rsa::KeyPair::from_der(der).map_err(|_| "is not a usable RSA key")?;
        let public = pair.public_key().as_der().map_err(|_| "has no public key")?;
        Ok(Self {
            signing: EncodingKey::from_rsa_der(der),
            fingerprint: format!("SHA256:{}", BASE64_STANDARD.encode(sha256(&[public.as_ref()]))),
        })
    }
}

fn decrypted(der: &[u8], passphrase: &SecretString) -> Result<SecretDocument, &'static str> {
    const OUTDATED: &str =
        "is not encrypted with PBES2; convert it with openssl pkcs8 -topk8 -v2 aes256";
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| OUTDATED)?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(OUTDATED);
    };
    let affordable = match &parameters.kdf {
        Kdf::Pbkdf2(kdf) => kdf.iteration_count <= MAX_ITERATIONS,
        _ => false,
    };
    if !affordable {
        return Err("has too expensive a key derivation; use PBKDF2 (openssl pkcs8 -v2 aes256)");
    }
    info.decrypt(passphrase.expose_secret()).map_err(|_| "cannot be decrypted with its passphrase")
}

/// The label of a PEM block and its contents.
///
/// Lenient: secrets lose their line breaks in environment variables and forms, and other tools of Snowflake's
/// users keep the key in base64: the whole file, or what is between its first and last line.
fn unwrapped(text: &str) -> Result<(String, SecretDocument), &'static str> {
    if let Some((label, body)) = pem(text)? {
        return Ok((label.to_owned(), document(&decoded(body).ok_or(NOT_PEM)?)?));
    }
    let inner = decoded(text).ok_or(NOT_PEM)?;
    let as_text = std::str::from_utf8(inner.expose_secret()).unwrap_or_default();
    if let Some((label, body)) = pem(as_text)? {
        return Ok((label.to_owned(), document(&decoded(body).ok_or(NOT_PEM)?)?));
    }
    Ok((label_of(inner.expose_secret())?.to_owned(), document(&inner)?))
}

/// The label and the body of the PEM block in `text`, if there is one.
fn pem(text: &str) -> Result<Option<(&str, &str)>, &'static str> {
    let Some((_, rest)) = text.split_once("-----BEGIN ") else { return Ok(None) };
    let (label, rest) = rest.split_once("-----").ok_or(NOT_PEM)?;
    let (body, _) = rest.split_once("-----END ").ok_or(NOT_PEM)?;
    if body.contains("Proc-Type") {
        return Err(
            "is encrypted in an obsolete format; convert it with openssl pkcs8 -topk8 -v2 aes256",
        );
    }
    Ok(Some((label, body)))
}

fn decoded(base64: &str) -> Option<SecretSlice<u8>> {
    let joined = base64.replace("\\n", "").split_whitespace().collect::<String>();
    let joined = SecretString::from(joined);
    BASE64_STANDARD.decode(joined.expose_secret()).ok().map(SecretSlice::from)
}

fn document(der: &SecretSlice<u8>) -> Result<SecretDocument, &'static str> {
    SecretDocument::try_from(der.expose_secret()).map_err(|_| NOT_PEM)
}

/// The label that a PEM block with `der` has.
fn label_of(der: &[u8]) -> Result<&'static str, &'static str> {
    if PrivateKeyInfoRef::try_from(der).is_ok() {
        Ok("PRIVATE KEY")
    } else if EncryptedPrivateKeyInfoRef::try_from(der).is_ok() {
        Ok("ENCRYPTED PRIVATE KEY")
    } else if rsa::KeyPair::from_der(der).is_ok() {
        Ok("RSA PRIVATE KEY")
    } else {
        Err(NOT_PEM)
    }
}

#[cfg(test)]
mod tests;
