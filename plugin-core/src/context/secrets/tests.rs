use tempfile::TempDir;

use super::*;

fn secrets(dir: &Path, namespace: &str, forbid: bool) -> Secrets {
    Secrets {
        reader: Arc::new(SecretReader::new(SecretArgs {
            secret_prefix: "_FSEC_".to_owned(),
            secrets_dir: dir.to_owned(),
            forbid_connection_secrets: forbid,
        })),
        connection: Arc::new(BTreeMap::from([("token".to_owned(), "from-request".into())])),
        namespace: namespace.into(),
        chosen: Chosen::default(),
    }
}

fn dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("team-a")).unwrap();
    std::fs::write(dir.path().join("token"), "from-file\n").unwrap();
    std::fs::write(dir.path().join("team-a/token"), "from-namespace").unwrap();
    dir
}

fn without_connection(dir: &Path, namespace: &str) -> Secrets {
    Secrets { connection: Arc::default(), ..secrets(dir, namespace, true) }
}

#[tokio::test]
async fn the_source_takes_precedence_over_the_order_of_names() {
    let temporary = dir();
    let dir = temporary.path();
    std::fs::write(dir.join("first"), "shared").unwrap();
    let secrets = without_connection(dir, "team-a");
    let (name, value) = secrets.find_of(&["first", "token"]).await.unwrap().unwrap();
    assert_eq!((name, value.expose_secret()), ("token", "from-namespace"));
}

async fn found(secrets: &Secrets) -> String {
    secrets.find("token").await.unwrap().unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn sources_are_searched_in_order() {
    let temporary = dir();
    let dir = temporary.path();
    assert_eq!(found(&secrets(dir, "team-a", false)).await, "from-request");
    assert_eq!(found(&without_connection(dir, "team-a")).await, "from-namespace");
    assert_eq!(found(&without_connection(dir, "team-b")).await, "from-file");
    assert_eq!(found(&without_connection(dir, "")).await, "from-file");
    let error = secrets(dir, "team-a", true).find("token").await.unwrap_err();
    assert!(error.to_string().contains("operator forbids"), "{error}");
}

/// Those of the environment: `tests/it/secrets.rs`.
#[tokio::test]
async fn white_space_around_a_secret_is_cut() {
    let temporary = dir();
    std::fs::write(temporary.path().join("token"), " \t of two parts\r\n\n").unwrap();
    let mut secrets = without_connection(temporary.path(), "");
    assert_eq!(found(&secrets).await, "of two parts");
    let sent = BTreeMap::from([("token".to_owned(), "\n sent \n".into())]);
    secrets.connection = Arc::new(sent);
    secrets.reader = self::secrets(temporary.path(), "", false).reader;
    assert_eq!(found(&secrets).await, "sent");
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_read_after_the_cache_expires() {
    let temporary = dir();
    let dir = temporary.path();
    let secrets = without_connection(dir, "team-b");
    assert_eq!(found(&secrets).await, "from-file");
    std::fs::write(dir.join("token"), "rotated").unwrap();
    assert_eq!(found(&secrets).await, "from-file", "served from the cache");
    secrets.forget("token");
    assert_eq!(found(&secrets).await, "rotated", "read again at once");
    std::fs::create_dir_all(dir.join("team-b")).unwrap();
    std::fs::write(dir.join("team-b/token"), "of the namespace").unwrap();
    tokio::time::advance(CACHE_TTL).await;
    assert_eq!(found(&secrets).await, "of the namespace");
}

#[tokio::test(start_paused = true)]
async fn a_removed_file_is_forgotten_when_it_is_next_read() {
    let temporary = dir();
    let dir = temporary.path();
    let secrets = without_connection(dir, "team-b");
    assert_eq!(found(&secrets).await, "from-file");
    std::fs::remove_file(dir.join("token")).unwrap();
    tokio::time::advance(CACHE_TTL).await;
    assert!(secrets.find("token").await.unwrap().is_none());
    assert!(secrets.reader.found.get(&secrets.key("token")).unwrap().value.is_none());
    let path = dir.join("token");
    assert!(
        secrets.reader.files.get(path.as_os_str()).unwrap().value.is_none(),
        "the value is gone"
    );
}

#[tokio::test]
async fn a_missing_secret_lists_the_searched_sources() {
    let secrets = secrets(Path::new("/nowhere"), "team-a", false);
    assert!(secrets.find("api_key").await.unwrap().is_none());
    assert_eq!(
        secrets.missing("api_key").to_string(),
        "secret api_key not found; searched: connection.secrets.api_key of the request, \
         environment variable _FSEC_API_KEY, file /nowhere/team-a/api_key, file /nowhere/api_key"
    );
}

#[tokio::test]
async fn names_cannot_escape_the_directory() {
    let secrets = secrets(Path::new("/nowhere"), "../etc", false);
    assert!(secrets.find("../shadow").await.is_err());
    assert_eq!(secrets.files("x").count(), 1, "an unsafe namespace is ignored");
}
