use std::sync::Arc;

use super::*;
use crate::context::{Identity, MAX_META_BYTES};

fn caller(issuer: &str, subject: &str, role: Role) -> Caller {
    let identity = Identity::Sub(subject.to_owned());
    Caller::new(issuer.into(), &identity, role, Arc::default())
}

fn handle() -> Handle {
    Handle {
        task_type: "bigquery_query_job_task".to_owned(),
        owner: Owner::of(&caller(
            "cluster",
            "system:serviceaccount:flyte:propeller",
            Role::Propeller,
        )),
        created_at: Timestamp::from_millisecond(1_790_000_000_000).unwrap(),
        key: IdempotencyKey::of_attempt("s3://bucket/run/n0/0"),
        execution: Arc::new(Execution {
            project: "flytesnacks".to_owned(),
            domain: "development".to_owned(),
            name: "f7a1b2c3".to_owned(),
            node: "n0".to_owned(),
            attempt: 1,
            task: "acme.sql.daily_rollup".to_owned(),
            namespace: "flytesnacks-development".to_owned(),
        }),
        job: Job::Created(br#"{"project":"acme","job":"j"}"#.to_vec()),
    }
}

#[test]
fn sealed_handles_open() {
    let keys = HandleKeys::repeated(&[1]);
    let refused = Error::invalid("Unrecognized name: foo").with_code("invalidQuery");
    for handle in [handle(), Handle { job: Handle::refusal(&refused), ..handle() }] {
        let sealed = handle.seal(&keys, HANDLE_BYTES).unwrap();
        assert_eq!(Handle::open(&sealed, &keys), Some(handle));
    }
}

#[test]
fn the_first_key_seals_and_every_key_opens() {
    let old = HandleKeys::repeated(&[1]);
    let both = HandleKeys::repeated(&[2, 1]);
    let new = HandleKeys::repeated(&[2]);
    let sealed_by_old = handle().seal(&old, HANDLE_BYTES).unwrap();
    let sealed_by_both = handle().seal(&both, HANDLE_BYTES).unwrap();
    assert!(Handle::open(&sealed_by_old, &both).is_some());
    assert!(Handle::open(&sealed_by_both, &new).is_some());
    assert!(Handle::open(&sealed_by_both, &old).is_none());
}

#[test]
fn altered_handles_do_not_open() {
    let keys = HandleKeys::repeated(&[1]);
    let sealed = handle().seal(&keys, HANDLE_BYTES).unwrap();
    for at in 0..sealed.len() {
        let mut forged = sealed.clone();
        forged[at] ^= 1;
        assert_eq!(Handle::open(&forged, &keys), None, "byte {at}");
    }
    for end in 0..sealed.len() {
        assert_eq!(Handle::open(&sealed[..end], &keys), None, "cut to {end}");
    }
}

#[test]
fn handles_reveal_nothing() {
    let sealed = handle().seal(&HandleKeys::repeated(&[1]), HANDLE_BYTES).unwrap();
    let readable = String::from_utf8_lossy(&sealed).into_owned();
    for word in ["acme", "flytesnacks", "bigquery", "propeller"] {
        assert!(!readable.contains(word), "{word}");
    }
}

/// Created by the first release. If this fails, an upgrade loses running jobs.
#[test]
fn handles_of_older_releases_open() {
    let golden = include_bytes!("golden.bin");
    assert_eq!(Handle::open(golden, &HandleKeys::repeated(&[1])), Some(handle()));
}

#[test]
fn long_names_and_messages_fit() {
    let long = "ä".repeat(4000);
    let refused = Error::invalid(long.clone()).with_code(long.clone());
    let execution = Arc::new(Execution {
        project: long.clone(),
        domain: long.clone(),
        name: long.clone(),
        node: long.clone(),
        attempt: u32::MAX,
        task: long.clone(),
        namespace: long,
    });
    let handle = Handle { execution, job: Handle::refusal(&refused), ..handle() };
    let sealed = handle.seal(&HandleKeys::repeated(&[1]), HANDLE_BYTES).unwrap();
    assert!(sealed.len() < HANDLE_BYTES, "{}", sealed.len());
}

#[test]
fn the_largest_meta_fits_with_the_longest_names() {
    let long = "n".repeat(300);
    let execution = Arc::new(Execution {
        project: long.clone(),
        domain: long.clone(),
        name: long.clone(),
        node: long.clone(),
        attempt: u32::MAX,
        task: long.clone(),
        namespace: long,
    });
    let owner = Owner::of(&caller(&"i".repeat(40), "someone", Role::Admin));
    let job = Job::Created(vec![b'x'; MAX_META_BYTES]);
    let task_type = "t".repeat(64);
    let handle = Handle { task_type, owner, execution, job, ..handle() };
    let keys = HandleKeys::repeated(&[1]);
    let opened = Handle::open(&handle.seal(&keys, HANDLE_BYTES).unwrap(), &keys).unwrap();
    assert_eq!((opened.job, opened.execution.name.as_str()), (handle.job, ""));
    assert_eq!(opened.execution.namespace.len(), MAX_NAMESPACE, "secrets are looked up by it");
}

#[test]
fn no_handle_is_as_large_as_the_limit() {
    let keys = HandleKeys::repeated(&[1]);
    let execution = Arc::new(Execution { name: "n".repeat(50), ..Execution::default() });
    let mut refused = 0;
    for meta in HANDLE_BYTES - 400..HANDLE_BYTES {
        let job = Job::Created(vec![b'x'; meta]);
        let handle = Handle { execution: Arc::clone(&execution), job, ..handle() };
        match handle.seal(&keys, HANDLE_BYTES) {
            Ok(sealed) => assert!(sealed.len() < HANDLE_BYTES, "{meta}"),
            Err(_) => refused += 1,
        }
    }
    assert!((1..400).contains(&refused), "{refused}");
}

#[test]
fn keys_are_read_from_files_raw_or_in_base64() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    };
    let read = |path: &std::path::PathBuf| HandleKeys::read(std::slice::from_ref(path)).unwrap();
    let raw = read(&file("raw", &[7; 32]));
    let text = read(&file("text", b"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n"));
    let other = read(&file("other", &[8; 32]));
    let sealed = handle().seal(&raw, HANDLE_BYTES).unwrap();
    assert!(Handle::open(&sealed, &HandleKeys::repeated(&[7])).is_some());
    assert!(Handle::open(&sealed, &text).is_some());
    assert!(Handle::open(&sealed, &other).is_none());
}

#[test]
fn too_large_metas_are_errors() {
    let handle = Handle { job: Job::Created(vec![b'x'; HANDLE_BYTES]), ..handle() };
    let error = handle.seal(&HandleKeys::repeated(&[1]), HANDLE_BYTES).unwrap_err();
    assert!(error.chain().unwrap().contains("Meta is too large"));
}

#[test]
fn only_owners_and_admins_may_use_a_handle() {
    use Role::{Admin, Anonymous, Propeller, User};
    let ann = caller("idp", "ann", User);
    let propeller = caller("cluster", "propeller", Propeller);
    let client = Identity::Client("ann".to_owned());
    let client = Caller::new("idp".into(), &client, User, Arc::default());
    let nobody = Caller::anonymous();
    for (owner, user, authorised) in [
        (&ann, &ann, true),
        (&ann, &caller("idp", "bob", User), false),
        (&ann, &caller("other", "ann", User), false),
        (&ann, &propeller, false),
        (&ann, &client, false),
        (&client, &ann, false),
        (&client, &client, true),
        (&client, &caller("idp", "client:ann", User), false),
        (&ann, &caller("idp", "root", Admin), true),
        (&propeller, &propeller, true),
        (&propeller, &ann, false),
        (&nobody, &propeller, true),
        (&nobody, &ann, false),
        (&propeller, &caller("", "anonymous", Anonymous), true),
    ] {
        assert_eq!(Owner::of(owner).authorises(user), authorised, "{owner:?} → {user:?}");
    }
}
