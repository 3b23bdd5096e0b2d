//! The keys that seal and open handles.

use std::path::{Path, PathBuf};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey},
    digest,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use server_core::{Error, Result};

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;
const HEADER_BYTES: usize = 1 + ID_BYTES + NONCE_BYTES;

/// The keys of a service: the first one seals, all of them open.
pub(crate) struct HandleKeys(Vec<Key>);

struct Key {
    id: [u8; ID_BYTES],
    cipher: RandomizedNonceKey,
    /// The additional authenticated data.
    context: Vec<u8>,
}

impl Key {
    fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self> {
        let hash = digest::digest(&digest::SHA256, bytes);
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&hash.as_ref()[..ID_BYTES]);
        let cipher = RandomizedNonceKey::new(&AES_256_GCM_SIV, bytes).map_err(Error::internal)?;
        let context = [b"outrigger handle".as_slice(), &[VERSION], &id].concat();
        Ok(Self { id, cipher, context })
    }

    fn context(&self) -> Aad<&[u8]> {
        Aad::from(self.context.as_slice())
    }
}

impl HandleKeys {
    /// Reads key files of 32 bytes each, raw or in base64.
    ///
    /// # Errors
    /// `InvalidArgument` that names the file.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self> {
        let keys = files.iter().map(|file| Key::new(&read_key(file)?)).collect::<Result<_>>()?;
        Ok(Self(keys))
    }

    /// One random key, which is lost with the process.
    pub(crate) fn ephemeral() -> Result<Self> {
        Ok(Self(vec![Key::new(&rand::random())?]))
    }

    pub(super) fn seal(&self, mut contents: Vec<u8>) -> Result<Vec<u8>> {
        let key = self.0.first().ok_or_else(|| Error::internal("no handle key"))?;
        let nonce = key
            .cipher
            .seal_in_place_append_tag(key.context(), &mut contents)
            .map_err(Error::internal)?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + contents.len());
        sealed.push(VERSION);
        sealed.extend(key.id);
        sealed.extend(nonce.as_ref());
        sealed.extend(contents);
        Ok(sealed)
    }

    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (header, contents) = sealed.split_at_checked(HEADER_BYTES)?;
        let (version, rest) = header.split_first()?;
        let (id, nonce) = rest.split_at_checked(ID_BYTES)?;
        if *version != VERSION {
            return None;
        }
        let key = self.0.iter().find(|key| key.id == id)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut contents = contents.to_vec();
        let length = key.cipher.open_in_place(nonce, key.context(), &mut contents).ok()?.len();
        contents.truncate(length);
        Some(contents)
    }
}

fn read_key(file: &Path) -> Result<[u8; KEY_BYTES]> {
    let name = file.display();
    let bytes = std::fs::read(file).map_err(|error| {
        Error::invalid(format!("handle key file {name} cannot be read: {error}")).with_source(error)
    })?;
    let wrong = || {
        Error::invalid(format!(
            "handle key file {name}: must have {KEY_BYTES} bytes, raw or in base64 \
             (outrigger token new-key FILE makes one)"
        ))
    };
    if let Ok(raw) = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
        return Ok(raw);
    }
    let decoded = BASE64_STANDARD.decode(bytes.trim_ascii()).map_err(|_| wrong())?;
    decoded.try_into().map_err(|_| wrong())
}

#[cfg(test)]
impl HandleKeys {
    /// Keys that each consist of one repeated byte.
    pub(crate) fn repeated(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| Key::new(&[*byte; KEY_BYTES]).unwrap()).collect())
    }
}
