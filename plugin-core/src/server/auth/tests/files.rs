//! What the file of issuers and rules may say.

use super::*;

#[test]
fn published_keys_sign_with_rs256_unless_the_file_says_otherwise() {
    let issuer = |algorithms: Json| {
        let file = json!({"name": "idp", "issuer": "https://idp", "audiences": ["a"],
            "jwks": {"url": "https://idp/keys"}, "algorithms": algorithms});
        serde_json::from_value::<config::IssuerFile>(file).unwrap().allowed_algorithms()
    };
    assert_eq!(issuer(json!([])), [jsonwebtoken::Algorithm::RS256]);
    assert_eq!(issuer(json!(["ES256"])), [jsonwebtoken::Algorithm::ES256]);
}

#[test]
fn issuers_have_names_of_their_own() {
    let key = "key: {hs256_secret_file: DIR/secret}, audiences: [a]";
    let issuers = |named: &[(&str, &str)]| {
        let each =
            named.iter().map(|(name, url)| format!("  - {{name: {name}, issuer: '{url}', {key}}}"));
        each.collect::<Vec<_>>().join("\n")
    };
    let check = |named: &[(&str, &str)]| {
        let rules = format!("  - {{issuer: {}, role: user}}", named[0].0);
        file(&issuers(named), &rules).map(drop).map_err(|error| error.to_string())
    };
    let (longest, longer) = ("n".repeat(40), "n".repeat(41));
    assert_eq!(check(&[("ci", "https://ci"), ("cd", "https://cd")]), Ok(()));
    assert_eq!(check(&[(&longest, "https://ci")]), Ok(()));
    for (wrong, expected) in [
        (&[("ci", "https://ci"), ("ci", "https://cd")][..], "issuers.ci: duplicate issuer"),
        (&[("ci", "https://ci"), ("cd", "https://ci")], "issuers.cd: duplicate issuer"),
        (&[(&longer, "https://ci")], "name must be 1 to 40 letters"),
        (&[("'a b'", "https://ci")], "name must be 1 to 40 letters"),
        (&[("''", "https://ci")], "name must be 1 to 40 letters"),
    ] {
        let error = check(wrong).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn an_issuer_may_be_that_of_the_services_own_token() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (signer, stranger) = (signer::Signer::new("k"), signer::Signer::new("k"));
    std::fs::write(path("jwks"), json!({"keys": [signer.jwk()]}).to_string()).unwrap();
    // The issuer and the algorithm are taken from it, and no key: any signature does.
    std::fs::write(path("token"), stranger.token()).unwrap();
    let keys = format!("key: {{jwks_file: '{}'}}, audiences: [connectors]", path("jwks"));
    let issuers = |more: &str| format!("  - {{name: cluster, {more} {keys}}}");
    let rules = "  - {issuer: cluster, role: user}";
    let from_token = format!("issuer_token_file: '{}',", path("token"));
    let auth = file(&issuers(&from_token), rules).unwrap();
    assert_eq!(bearer(&auth, &signer.token()).await.unwrap().subject(), "ann");
    assert!(bearer(&auth, &stranger.token()).await.is_err());

    let same = issuers(&from_token);
    let same = format!("{same}\n  - {{name: b, issuer: 'https://idp', {keys}}}");
    for (issuers, expected) in [
        (issuers(&format!("{from_token} issuer: 'https://x',")), "either issuer or issuer_token"),
        (issuers("issuer_token_file: /nowhere/x,"), "cluster.issuer_token_file: /nowhere/x"),
        (issuers(""), "give issuer or issuer_token_file"),
        (same, "issuers.b: duplicate issuer"),
    ] {
        let error = file(&issuers, rules).map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_relative_path_starts_at_the_directory_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let auth = dir.path().join("auth.yaml");
    let read = |issuer: &str| {
        let issuer = format!("name: ci, audiences: [a], {issuer}");
        let text = format!("issuers: [{{{issuer}}}]\nrules: [{{issuer: ci, role: user}}]\n");
        std::fs::write(&auth, text).unwrap();
        AuthenticationFile::read(&auth).map(drop).map_err(|error| error.to_string())
    };
    let jwks = |file: &str| format!("issuer: 'https://i', jwks: {{url: 'https://i/keys', {file}}}");
    let missing = dir.path().join("keys/none").display().to_string();
    for named in [
        "issuer: 'https://i', key: {hs256_secret_file: keys/none}".to_owned(),
        "issuer: 'https://i', key: {pem_file: keys/none}".to_owned(),
        "issuer: 'https://i', key: {jwks_file: keys/none}".to_owned(),
        "issuer_token_file: keys/none, key: {pem_file: keys/none}".to_owned(),
        jwks("ca_file: keys/none"),
    ] {
        let error = read(&named).unwrap_err();
        assert!(error.contains(&missing), "{named}: {error}");
    }
    std::fs::write(dir.path().join("secret"), [b's'; 32]).unwrap();
    assert_eq!(read("issuer: 'https://i', key: {hs256_secret_file: secret}"), Ok(()));
}

#[test]
fn invalid_files_are_refused_with_the_reason() {
    let rule = "  - {issuer: ci, role: user}";
    let issuer = |rest: &str| format!("  - {{name: ci, issuer: https://ci, {rest}}}");
    let key = "key: {hs256_secret_file: DIR/secret}";
    for (issuers, rules, expected) in [
        (issuer(&format!("{key}, audiences: []")), rule, "audiences must name"),
        (issuer("audiences: [a]"), rule, "give either key or jwks"),
        (issuer(&format!("{key}, audiences: [a], algorithms: [RS256]")), rule, "does not fit"),
        (issuer(&format!("{key}, audiences: [a], algorithm: RS256")), rule, "algorithm"),
        (issuer("key: {hs256_secret_file: DIR/short}, audiences: [a]"), rule, "at least 32 bytes"),
        (issuer("key: {hs256_secret_file: DIR/none}, audiences: [a]"), rule, "cannot be read"),
        (issuer("key: {pem_file: DIR/secret}, audiences: [a]"), rule, "no public key"),
        (issuer("jwks: {url: 'http://idp.example.com/keys'}, audiences: [a]"), rule, "plain http"),
        (issuer(&format!("{key}, audiences: [a]")), "  - {issuer: nobody, role: user}", "nobody"),
        (issuer(&format!("{key}, audiences: [a]")), "  - {issuer: ci, role: root}", "root"),
        (issuer(&format!("{key}, audiences: [a]")), "  []", "must not be empty"),
        ("  []".to_owned(), rule, "replace --auth by --insecure-no-auth"),
        (
            issuer(&format!("{key}, audiences: [a]")),
            "  - {issuer: ci, sub: '', role: user}",
            "rules: sub must not be empty",
        ),
        (
            issuer(&format!("{key}, audiences: [a]")),
            "  - {issuer: ci, client: '', role: user}",
            "rules: client must not",
        ),
        (
            issuer("key: {hs256_secret_file: DIR/short}, audiences: [a]"),
            rule,
            "issuers.ci.key.hs256_secret_file: ",
        ),
    ] {
        let error = file(&issuers, rules).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}\nexpected: {expected}");
    }
}
