use super::*;

fn none(_: &Refusal<'_>) -> Option<Kind> {
    None
}

fn failure(status: u16, header: Option<&str>, body: &str) -> Option<Failure> {
    let mut headers = HeaderMap::new();
    if let Some(header) = header {
        headers.insert(ERROR_TYPE, header.parse().unwrap());
    }
    read_failure(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), none, |_| false)
}

#[test]
fn the_code_is_found_wherever_a_protocol_writes_it() {
    for (header, body) in [
        (None, r#"{"__type":"AcmeException","message":"why"}"#),
        (None, r#"{"__type":"com.amazonaws.acme#AcmeException","Message":"why"}"#),
        (None, r#"{"__type":"aws.protocoltests#AcmeException:http://x/y","message":"why"}"#),
        (None, r#"{"code":"AcmeException","message":"why"}"#),
        (Some("AcmeException"), r#"{"message":"why"}"#),
        (Some("AcmeException:http://internal.amazon.com/x/"), r#"{"Message":"why"}"#),
        (Some("com.x#AcmeException:http://x"), r#"{"__type":"Other","message":"why"}"#),
        (
            None,
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AcmeException</Code><Message>why</Message></Error><RequestId>1</RequestId></ErrorResponse>",
        ),
        (
            None,
            "<?xml version=\"1.0\"?>\n<Error><Code>AcmeException</Code><Message>why</Message></Error>",
        ),
        (
            None,
            "<Response><Errors><Error><Code>AcmeException</Code><Message>why</Message></Error></Errors></Response>",
        ),
        (None, "<AcmeException><Message>why</Message></AcmeException>"),
    ] {
        let failure = failure(400, header, body).unwrap();
        assert_eq!(
            (failure.code.as_deref(), &*failure.message),
            (Some("AcmeException"), "why"),
            "{body}"
        );
        assert_eq!(failure.kind, Kind::InvalidArgument, "{body}");
    }
}

#[test]
fn an_error_without_a_message_is_told_by_its_code() {
    for (header, body) in
        [(Some("UnknownOperationException"), ""), (None, "<UnknownOperationException/>")]
    {
        let failure = failure(404, header, body).unwrap();
        assert_eq!(failure.code.as_deref(), Some("UnknownOperationException"));
        assert!(failure.message.contains("UnknownOperationException"), "{}", failure.message);
    }
}

#[test]
fn pages_that_are_not_of_aws_are_not_read() {
    let nested = "<a>".repeat(100);
    let doctype = "<!DOCTYPE x [<!ENTITY a \"b\">]><Error><Code>&a;</Code></Error>";
    for body in
        ["", "<html><body>502</body></html>", "not json", "[]", "{}", &nested, doctype, "<a"]
    {
        assert!(failure(400, None, body).is_none(), "{}", &body[..body.len().min(60)]);
    }
}

#[test]
fn xml_entities_are_read() {
    let body = "<Error><Code>X</Code><Message>a &lt; b &amp; c</Message></Error>";
    assert_eq!(failure(400, None, body).unwrap().message, "a < b & c");
}

/// Every code of botocore's lists, with the status that AWS sends with it.
#[test]
fn codes_have_the_kinds_of_botocores_lists() {
    let throttled = codes::THROTTLED.map(|code| (400, code, Kind::ResourceExhausted));
    let transient = codes::TRANSIENT.map(|code| (400, code, Kind::Unavailable));
    let unauthenticated = codes::UNAUTHENTICATED.map(|code| (403, code, Kind::Unauthenticated));
    let denied = codes::DENIED.map(|code| (403, code, Kind::PermissionDenied));
    let others = [
        (400, "ExpiredTokenException", Kind::Unauthenticated),
        (400, "AccessDeniedException", Kind::PermissionDenied),
        (400, "ValidationException", Kind::InvalidArgument),
        (400, "InvalidRequestException", Kind::InvalidArgument),
        (400, "ResourceNotFoundException", Kind::NotFound),
        (404, "JobNotFoundException", Kind::NotFound),
        // Of other APIs than the service's: they say nothing about a job.
        (404, "NoSuchBucket", Kind::Unavailable),
        (404, "UnknownOperationException", Kind::Unavailable),
        (410, "Unheard", Kind::Unavailable),
        (400, "NoSuchEntity", Kind::InvalidArgument),
        (400, "ResourceAlreadyExistsException", Kind::AlreadyExists),
        (409, "ConflictException", Kind::FailedPrecondition),
        (402, "ServiceQuotaExceededException", Kind::FailedPrecondition),
        (400, "InternalFailure", Kind::Unavailable),
        (500, "InternalServerException", Kind::Unavailable),
        (503, "ServiceUnavailable", Kind::Unavailable),
        (503, "SlowDown", Kind::ResourceExhausted),
        (429, "Unheard", Kind::ResourceExhausted),
        (403, "Unheard", Kind::PermissionDenied),
        (401, "Unheard", Kind::Unauthenticated),
    ];
    let all = throttled.into_iter().chain(transient).chain(unauthenticated).chain(denied);
    for (status, code, kind) in all.chain(others) {
        let failure = failure(status, Some(code), r#"{"message":"m"}"#).unwrap();
        assert_eq!(failure.kind, kind, "{status} {code}");
    }
}

#[test]
fn throttled_and_transient_codes_are_botocores() {
    let text = include_str!("../../../../tests/aws-models/errors.json");
    let botocores = serde_json::from_str::<Json>(text).unwrap();
    let sorted = |codes: &[&str]| {
        let mut codes = codes.to_vec();
        codes.sort_unstable();
        Json::from(codes)
    };
    let both = [&codes::THROTTLED[..], &["PriorRequestNotComplete"]].concat();
    assert_eq!(sorted(&both), botocores["throttled"]);
    assert_eq!(sorted(&codes::TRANSIENT), botocores["transient"]);
}

#[test]
fn a_service_knows_its_own_errors_best() {
    let own = |refusal: &Refusal<'_>| {
        let reason = refusal.member("Reason");
        (reason.as_deref() == Some("CONCURRENT_QUERIES")).then_some(Kind::FailedPrecondition)
    };
    let body = br#"{"__type":"TooManyRequestsException","Reason":"CONCURRENT_QUERIES"}"#;
    let headers = HeaderMap::new();
    let failure = read_failure(StatusCode::BAD_REQUEST, &headers, body, own, |_| true).unwrap();
    assert_eq!(failure.kind, Kind::FailedPrecondition);
    assert!(!failure.is_full, "it is not about the number of jobs");
    // A definite refusal is no matter of room.
    let full = |refusal: &Refusal<'_>| refusal.member("Reason").is_some();
    assert!(read_failure(StatusCode::BAD_REQUEST, &headers, body, none, full).unwrap().is_full);
}

/// What botocore 1.44.8 reads as the code, by `create_parser("rest-json")` where the header or a member `code` has it,
/// else by `create_parser("json")`. Where botocore has none, and answers the status, the code is `None`.
#[test]
fn the_code_is_the_one_that_botocore_reads() {
    for (header, body, code) in [
        (None, r#"{"__type":"A"}"#, Some("A")),
        (None, r#"{"__type":"ns#A"}"#, Some("A")),
        (None, r#"{"__type":"A:http://x/y#z"}"#, Some("A")),
        (None, r#"{"__type":"ns#A:http://x/y"}"#, Some("A")),
        (Some("A"), r#"{"__type":"B"}"#, Some("A")),
        (Some("ns#A:http://x/y#z"), "{}", Some("A")),
        (Some("A"), r#"{"code":"B","Code":"C"}"#, Some("A")),
        (None, r#"{"code":"A","Code":"B"}"#, Some("A")),
        (None, r#"{"Code":"B","code":"A"}"#, Some("A")),
        (None, r#"{"Code":"ns#A:http://x"}"#, Some("A")),
        // botocore would take what is empty, or no string: the next member says more.
        (Some(""), r#"{"__type":"A"}"#, Some("A")),
        (Some(" :http://x"), r#"{"code":"A"}"#, Some("A")),
        (None, r#"{"__type":"","code":"A"}"#, Some("A")),
        (None, r#"{"__type":null,"code":7,"Code":"A"}"#, Some("A")),
        (None, r#"{"__type":"ns#:http://x"}"#, None),
        (None, r#"{"message":"why"}"#, None),
        (Some(""), "", None),
    ] {
        let found = failure(400, header, body);
        let found = found.as_ref().and_then(|failure| failure.code.as_deref());
        assert_eq!(found, code, "{header:?} {body}");
    }
}

#[test]
fn the_message_is_the_one_that_botocore_reads() {
    for (body, message) in [
        (r#"{"__type":"A","message":"a","Message":"b"}"#, "a"),
        (r#"{"__type":"A","Message":"b","message":"a"}"#, "a"),
        (r#"{"__type":"A","Message":"b"}"#, "b"),
        (r#"{"__type":"A","message":null,"Message":"b"}"#, "b"),
        (r#"{"__type":"A","message":"","errorMessage":"c"}"#, "c"),
    ] {
        assert_eq!(failure(400, None, body).unwrap().message, message, "{body}");
    }
}
