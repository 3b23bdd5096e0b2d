use super::*;

/// The output of `openssl rsa -pubout -outform DER | openssl dgst -sha256 -binary | base64` for all of them.
const FINGERPRINT: &str = "SHA256:xQhroWMaNOfSQk+gxykBP4E8RCim8D3LLoE/QTYv7U4=";

/// A key for tests only, made by `openssl`; its passphrase is "secret".
macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("pem/", $name, ".pem"))
    };
}

fn read(pem: &str, passphrase: Option<&str>) -> Result<String, &'static str> {
    let passphrase = passphrase.map(SecretString::from);
    Key::read(&SecretString::from(pem), passphrase.as_ref()).map(|key| key.fingerprint)
}

#[test]
fn every_key_format_has_the_same_fingerprint() {
    for pem in [
        pem!("pkcs1"),
        pem!("pkcs8"),
        pem!("aes256"),
        pem!("aes128sha1"),
        // The format in Snowflake's documentation.
        pem!("des3"),
    ] {
        assert_eq!(read(pem, Some("secret")), Ok(FINGERPRINT.to_owned()), "{pem}");
    }
}

#[test]
fn missing_line_breaks_are_tolerated() {
    let pem = pem!("pkcs8");
    for text in [
        pem.replace('\n', "\r\n"),
        pem.replace('\n', "\\n"),
        pem.replace('\n', " "),
        format!("\n  {pem}\n\n"),
    ] {
        assert_eq!(read(&text, None), Ok(FINGERPRINT.to_owned()), "{text}");
    }
}

/// Tools of Snowflake's users keep a key without its first and last line, or the whole file, in base64.
#[test]
fn keys_in_base64_are_read() {
    for pem in [pem!("pkcs1"), pem!("pkcs8"), pem!("aes256")] {
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        let body = lines.collect::<Vec<_>>().join("\n");
        let file = BASE64_STANDARD.encode(pem);
        let wrapped = file.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line) + "\n");
        let wrapped = wrapped.collect::<String>();
        for text in [body.replace('\n', ""), body, file, wrapped] {
            assert_eq!(read(&text, Some("secret")), Ok(FINGERPRINT.to_owned()), "{text}");
        }
    }
}

#[test]
fn errors_do_not_reveal_the_key() {
    for (pem, passphrase, message) in [
        ("", None, "is not a PEM private key"),
        ("hunter2", None, "is not a PEM private key"),
        ("aHVudGVyMg==", None, "is not a PEM private key"),
        ("MAA=", None, "is not a PEM private key"),
        ("-----BEGIN PRIVATE KEY-----\nRkFLRQ==\n-----END", None, "is not a PEM private key"),
        (
            "-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----",
            None,
            "is not a PEM private key",
        ),
        ("-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----", None, "Snowflake supports"),
        (pem!("ec"), None, "is not a usable RSA key"),
        (pem!("aes256"), None, "is encrypted, but there is no passphrase"),
        (pem!("aes256"), Some("wrong"), "cannot be decrypted with its passphrase"),
        (pem!("costly"), Some("secret"), "too expensive a key derivation"),
        (pem!("scrypt"), Some("secret"), "too expensive a key derivation"),
        (pem!("pbes1"), Some("secret"), "is not encrypted with PBES2"),
        (pem!("legacy"), Some("secret"), "openssl pkcs8 -topk8"),
    ] {
        let error = read(pem, passphrase).unwrap_err();
        assert!(error.contains(message), "{error}: {pem}");
    }
}
