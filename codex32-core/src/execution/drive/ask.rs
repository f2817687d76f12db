//! Tokens that answer an approval: random, known to the asked one, stored hashed.

use crate::execution::decide::Work;
use crate::execution::store::Commit;
use rand::RngExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A token for the question of `work`, its hash noted in `commit`. Gives the path and the token.
pub(super) fn mint(work: &Work, commit: &mut Commit) -> (String, String) {
    let token = hex::encode(rand::rng().random::<[u8; 32]>());
    // The question is the step `PATH/ask` (a reminder `PATH/remind0`), in a later attempt `PATH~N/ask`.
    let asking = work.path.rsplit_once('/').map_or(&*work.path, |(asking, _)| asking);
    let path = match asking.rsplit_once('~') {
        Some((path, attempt)) if attempt.bytes().all(|b| b.is_ascii_digit()) => path,
        _ => asking,
    };
    commit.tokens.push((hash(&token), path.to_owned()));
    (work.path.clone(), token)
}

/// What is stored of a token.
pub(crate) fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// What the question's input sees as `approval`.
pub(super) fn addresses(public_url: &str, token: &str) -> Value {
    let base = public_url.trim_end_matches('/');
    let address = |answer: &str| format!("{base}/approve/{token}?answer={answer}");
    json!({"approve_url": address("yes"), "decline_url": address("no")})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_the_token() {
        let value = addresses("https://bots.example/", "t0k3n");
        assert_eq!(value["approve_url"], "https://bots.example/approve/t0k3n?answer=yes");
        assert_eq!(value["decline_url"], "https://bots.example/approve/t0k3n?answer=no");
    }
}
