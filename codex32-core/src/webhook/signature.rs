//! Signatures of requests: HMAC-SHA256 over the raw body.

use super::Request;
use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Header with the signature: `sha256=HEX`.
pub const SIGNATURE_HEADER: &str = "X-Signature-256";
/// The same header under the name that GitHub gives it.
const OTHER_SIGNATURE_HEADER: &str = "X-Hub-Signature-256";
/// Header with the time of signing in Unix seconds. Where it is sent, the signature is
/// over `{timestamp}.{body}`, so that it cannot be taken off or changed.
pub const TIMESTAMP_HEADER: &str = "X-Timestamp";
/// How far that time may be from ours, in seconds.
pub const TIMESTAMP_WINDOW_S: i64 = 300;

/// The value of the signature header for `body`, signed at `timestamp` (Unix seconds) or
/// without a time.
///
/// ```
/// use codex32_core::webhook::sign;
/// let signature = sign(b"key", None, b"{}")?;
/// assert!(signature.starts_with("sha256=") && signature.len() == 71);
/// # Ok::<(), codex32_core::Error>(())
/// ```
///
/// # Errors
/// None for any key; the type leaves room for a cipher that refuses one.
pub fn sign(key: &[u8], timestamp: Option<i64>, body: &[u8]) -> Result<String> {
    let timestamp = timestamp.map(|t| t.to_string());
    let mac = mac(key, timestamp.as_deref(), body)?;
    Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

fn mac(key: &[u8], timestamp: Option<&str>, body: &[u8]) -> Result<Hmac<Sha256>> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::internal("the signing secret cannot be used"))?;
    if let Some(timestamp) = timestamp {
        mac.update(timestamp.as_bytes());
        mac.update(b".");
    }
    mac.update(body);
    Ok(mac)
}

/// Checks the signature of a request, in constant time.
pub(super) fn verify(request: &Request, key: &[u8], now: Millis) -> Result<()> {
    let refused = |why: &str| {
        Error::new(Code::Unauthenticated, format!("the request's signature is not valid: {why}"))
            .hint(format!("sign the raw body with HMAC-SHA256 and send {SIGNATURE_HEADER}: sha256=HEX"))
    };
    let header = request
        .header(SIGNATURE_HEADER)
        .or_else(|| request.header(OTHER_SIGNATURE_HEADER))
        .ok_or_else(|| refused("there is no signature header, or more than one"))?;
    let given = header.strip_prefix("sha256=").and_then(|text| hex::decode(text).ok());
    let given = given.ok_or_else(|| refused("it is not of the form sha256=HEX"))?;
    let has_time = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(TIMESTAMP_HEADER));
    let timestamp = if has_time {
        let text = request.header(TIMESTAMP_HEADER).ok_or_else(|| refused("there is more than one timestamp"))?;
        let seconds: i64 = text.parse().map_err(|_| refused("the timestamp is not in Unix seconds"))?;
        if (now / 1_000).saturating_sub(seconds).saturating_abs() > TIMESTAMP_WINDOW_S {
            return Err(refused("it was signed too long ago, or in the future"));
        }
        Some(text)
    } else {
        None
    };
    // verify_slice compares in constant time.
    mac(key, timestamp, &request.body)?.verify_slice(&given).map_err(|_| refused("it does not match the body"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const NOW: Millis = 1_700_000_000_000;

    fn request(headers: &[(&str, &str)], body: &'static [u8]) -> Request {
        let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Request { headers, body: Bytes::from_static(body), ..Request::default() }
    }

    #[test]
    fn a_known_signature_is_right() {
        // RFC 4231, test case 2.
        let signature = sign(b"Jefe", None, b"what do ya want for nothing?").unwrap();
        assert_eq!(signature, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn only_the_right_key_over_the_right_body_passes() {
        let good = sign(b"key", None, b"body").unwrap();
        assert!(verify(&request(&[("x-signature-256", &good)], b"body"), b"key", NOW).is_ok());
        assert!(verify(&request(&[("X-Hub-Signature-256", &good)], b"body"), b"key", NOW).is_ok());
        let refused = [
            request(&[("x-signature-256", &good)], b"Body"),
            request(&[], b"body"),
            request(&[("x-signature-256", &good), ("X-Signature-256", &good)], b"body"),
            request(&[("x-signature-256", &good[7..])], b"body"),
            request(&[("x-signature-256", "sha256=")], b"body"),
            request(&[("x-signature-256", "sha256=zz")], b"body"),
            request(&[("x-signature-256", &good[..69])], b"body"),
        ];
        for request in refused {
            let error = verify(&request, b"key", NOW).unwrap_err();
            assert_eq!(error.code(), Code::Unauthenticated, "{request:?}");
        }
        assert!(verify(&request(&[("x-signature-256", &good)], b"body"), b"other", NOW).is_err());
    }

    #[test]
    fn a_signed_time_has_a_window_and_cannot_be_taken_off() {
        let seconds = NOW / 1_000;
        let signed = |at: i64| (sign(b"key", Some(at), b"body").unwrap(), at.to_string());
        let (good, at) = signed(seconds - TIMESTAMP_WINDOW_S);
        let check = |headers: &[(&str, &str)]| verify(&request(headers, b"body"), b"key", NOW);
        assert!(check(&[("x-signature-256", &good), ("x-timestamp", &at)]).is_ok());
        assert!(check(&[("x-signature-256", &good)]).is_err());
        assert!(check(&[("x-signature-256", &good), ("x-timestamp", &seconds.to_string())]).is_err());
        assert!(check(&[("x-signature-256", &good), ("x-timestamp", &at), ("x-timestamp", &at)]).is_err());
        for late in [seconds - TIMESTAMP_WINDOW_S - 1, seconds + TIMESTAMP_WINDOW_S + 1, i64::MIN] {
            let (signature, at) = signed(late);
            assert!(check(&[("x-signature-256", &signature), ("x-timestamp", &at)]).is_err());
        }
    }
}
