//! The contents of a token, without its signature.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value as Json};

/// Claims that are instants, in seconds since 1970 (RFC 7519 §4.1).
const DATES: [&str; 5] = ["exp", "iat", "nbf", "auth_time", "updated_at"];
/// The order in which claims are shown; the others follow by name.
const FIRST: [&str; 10] =
    ["iss", "aud", "sub", "client_id", "azp", "scope", "scp", "iat", "nbf", "exp"];

/// What a token says, before anybody has verified it.
#[derive(Debug, Serialize)]
pub(crate) struct Contents {
    pub(crate) header: Map<String, Json>,
    pub(crate) claims: Map<String, Json>,
}

impl Contents {
    /// Reads a token. The error is without any of its text.
    pub(crate) fn of(token: &str) -> Result<Self, &'static str> {
        if token.is_empty() {
            return Err("it is empty");
        }
        let parts = token.split('.').collect::<Vec<_>>();
        let [header, claims, _signature] = parts[..] else {
            return Err("not a JWT: it has no three parts with dots between them");
        };
        let read = |part: &str| {
            let json = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice::<Map<String, Json>>(&json).ok()
        };
        let header = read(header).ok_or("not a JWT: its header is not JSON in base64url")?;
        let claims = read(claims).ok_or("not a JWT: its claims are not JSON in base64url")?;
        Ok(Self { header, claims })
    }

    /// When it expires.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        instant(self.claims.get("exp")?)
    }

    /// Whether it has expired at `now`; one without a date never does, and no service accepts it.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|expiry| expiry <= now)
    }

    /// Claims in the order in which people look for them, as text.
    pub(crate) fn described(&self, now: Timestamp) -> Vec<(String, String)> {
        let first = FIRST.iter().filter_map(|name| self.claims.get_key_value(*name));
        let others = self.claims.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()));
        let describe = |(name, value): (&String, &Json)| (name.clone(), text(name, value, now));
        first.chain(others).map(describe).collect()
    }
}

/// A claim's value for people: dates as dates.
fn text(name: &str, value: &Json, now: Timestamp) -> String {
    let date = DATES.contains(&name).then(|| instant(value)).flatten();
    match (date, value) {
        (Some(date), _) => format!("{date} ({})", relative(date, now)),
        (None, Json::String(text)) => text.clone(),
        (None, Json::Array(items)) if items.iter().all(Json::is_string) => {
            items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", ")
        }
        (None, value) => value.to_string(),
    }
}

fn instant(value: &Json) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, far from any date")]
    Timestamp::from_second(value.as_f64()?.floor() as i64).ok()
}

/// How far `date` is from `now`, in the largest unit.
pub(crate) fn relative(date: Timestamp, now: Timestamp) -> String {
    let seconds = date.as_second() - now.as_second();
    if seconds == 0 {
        return "now".to_owned();
    }
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let far = seconds.unsigned_abs();
    let (count, unit) = units
        .iter()
        .find(|(size, _)| far >= *size)
        .map_or((0, "second"), |(size, unit)| (far / size, *unit));
    let plural = if count == 1 { "" } else { "s" };
    if seconds < 0 {
        format!("{count} {unit}{plural} ago")
    } else {
        format!("in {count} {unit}{plural}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2VjcmV0", part(r#"{"alg":"HS256"}"#), part(claims))
    }

    #[test]
    fn claims_are_in_the_order_of_interest_and_dates_are_dates() {
        let contents =
            Contents::of(&token(r#"{"x":{"a":1},"exp":120.5,"aud":["a","b"],"iss":"i"}"#));
        let described = contents.unwrap().described(Timestamp::from_second(60).unwrap());
        let wanted = [
            ("iss", "i"),
            ("aud", "a, b"),
            ("exp", "1970-01-01T00:02:00Z (in 1 minute)"),
            ("x", r#"{"a":1}"#),
        ];
        let described = described.iter().map(|(a, b)| (a.as_str(), b.as_str()));
        assert_eq!(described.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_is_no_token_is_refused_without_its_text() {
        assert_eq!(Contents::of("").unwrap_err(), "it is empty");
        for wrong in ["a.b", "a.b.c.d", "!.!.!", "e30.W10.x", "e30..x"] {
            let why = Contents::of(wrong).unwrap_err();
            assert!(why.starts_with("not a JWT"), "{why}");
        }
    }

    #[test]
    fn distances_have_one_unit() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (seconds, wanted) in
            [(0, "now"), (-1, "1 second ago"), (3_599, "in 59 minutes"), (-90_000, "1 day ago")]
        {
            let date = Timestamp::from_second(1_000_000 + seconds).unwrap();
            assert_eq!(relative(date, now), wanted);
        }
    }
}
