//! Duo's signature: an HMAC over date, method, host, path, parameters, body and Duo's own headers. Pure.
//!
//! Version 5, the one of Duo's current clients, with SHA-512 throughout.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha512};

use crate::model::time::Time;

/// What stays as it is; every other byte is encoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

/// The `Date` header, which is signed: Duo refuses one that is minutes off.
pub(crate) fn date(now: Time) -> String {
    now.format("%a, %d %b %Y %H:%M:%S -0000").to_string()
}

/// The signature as hex; it goes out as the password of `Basic`, beside the integration key.
pub(crate) fn signature(
    request: &Request<impl AsRef<[u8]>>,
    date: &str,
    secret_key: &str,
) -> Option<String> {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret_key.as_bytes()).ok()?;
    mac.update(canonical(request, date).as_bytes());
    Some(hex::encode(mac.finalize().into_bytes()))
}

fn canonical(request: &Request<impl AsRef<[u8]>>, date: &str) -> String {
    let uri = request.uri();
    // Names and values are sorted as they are sent, by name and then by value.
    let encode = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let query = uri.query().unwrap_or_default();
    let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let digest = |bytes: &[u8]| hex::encode(Sha512::digest(bytes));
    [
        date.to_owned(),
        request.method().as_str().to_uppercase(),
        uri.host().unwrap_or_default().to_lowercase(),
        uri.path().to_owned(),
        pairs.join("&"),
        digest(request.body().as_ref()),
        digest(duo_headers(request).as_bytes()),
    ]
    .join("\n")
}

/// Names in lower case and values, sorted, with zero bytes between; Quell sends none.
fn duo_headers(request: &Request<impl AsRef<[u8]>>) -> String {
    let mut named: Vec<(&str, &str)> = request
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-duo-"))
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    named.sort_unstable();
    let texts: Vec<&str> = named.iter().flat_map(|(name, value)| [*name, *value]).collect();
    texts.join("\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Tue, 05 May 2026 10:15:30 -0000";
    const SECRET: &str = "exampleSecretKey0123456789exampleSecretK";

    /// Computed with Duo's own client.
    #[test]
    fn signatures_are_those_of_duos_client() {
        let get = "https://API-ABCD1234.duosecurity.com/admin/v2/logs/authentication?sort=ts%3Aasc\
            &reasons=user_marked_fraud&maxtime=1777975800000&reasons=no_response\
            &mintime=1777975200000&limit=1000";
        let read = Request::get(get).body("").unwrap();
        let post = "https://api-abcd1234.duosecurity.com/admin/v1/users/DU0123456789ABCDEFGH";
        let change = r#"{"notes":"case 42 ~ ok","status":"disabled"}"#;
        let change = Request::post(post).body(change).unwrap();

        assert_eq!(
            signature(&read, DATE, SECRET).unwrap(),
            "d0b7c9dca68585ecff81574c79ed6de56df9ffaf52c851c9edc5c350940184ee603310496a18f741afe84ddb1f766857972151a1a7f1520da2a4351b52325a06"
        );
        assert_eq!(
            signature(&change, DATE, SECRET).unwrap(),
            "7ea972ff8574852c5ad8b8a57c224bacc24e95bdf669bab4c5438bd95fdb93eb4325437a2027aab25b6a0a3bedf2d30812a63e2532481925896aeef4fa8e1d25"
        );
    }

    #[test]
    fn duos_own_headers_are_hashed_in_order() {
        let request = Request::get("https://x.example/")
            .header("X-Duo-B", "header_value_2")
            .header("x-duo-A", "header_value_1")
            .body("")
            .unwrap();

        let hash = hex::encode(Sha512::digest(duo_headers(&request)));

        assert_eq!(
            hash,
            "60be11a30e0756f2ee2afdce1db849b987dcf86c1133394bd7bbbc9877920330c4d78aceacbb377ab8cbd9a8efe6a410fed4047376635ac71226ab46ca10d2b1"
        );
    }

    #[test]
    fn the_date_is_written_as_duos_client_writes_it() {
        assert_eq!(date(Time::from_timestamp(1_777_976_130, 0).unwrap()), DATE);
    }
}
