//! `crypto`: hashes, signatures, random ids, base64.

use crate::connector::input::{bytes, no_action, read};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

pub(super) struct Crypto;

#[derive(Deserialize)]
struct Input {
    text: Option<String>,
    base64: Option<String>,
    #[serde(default)]
    key: String,
    #[serde(default)]
    signature: String,
    #[serde(default)]
    algorithm: String,
    #[serde(default)]
    encoding: String,
    #[serde(default)]
    bytes: usize,
    #[serde(default)]
    url_safe: bool,
}

#[async_trait::async_trait]
impl Connector for Crypto {
    fn name(&self) -> &str {
        "crypto"
    }

    async fn call(&self, action: &str, _cx: &ActionContext, input: Value) -> Result<Value> {
        let input: Input = read(input)?;
        match action {
            "hash" => {
                let data = bytes(input.text, input.base64, "the data")?;
                Ok(json!({"digest": written(&hash(&input.algorithm, &data)?, &input.encoding)}))
            }
            "hmac" => {
                let data = bytes(input.text, input.base64, "the data")?;
                Ok(json!({"digest": written(&sign(&input.algorithm, input.key.as_bytes(), &data)?, &input.encoding)}))
            }
            "verify" => {
                let data = bytes(input.text, input.base64, "the data")?;
                let right = sign(&input.algorithm, input.key.as_bytes(), &data)?;
                let given =
                    input.signature.split_once('=').filter(|(name, rest)| name.starts_with("sha") && !rest.is_empty());
                let given = given.map_or(input.signature.as_str(), |(_, rest)| rest).trim();
                let given =
                    if input.encoding == "base64" { STANDARD.decode(given).ok() } else { hex::decode(given).ok() };
                Ok(json!({"valid": given.is_some_and(|given| bool::from(given.ct_eq(&right)))}))
            }
            "uuid" => {
                let id = uuid::Builder::from_random_bytes(rand::rng().random()).into_uuid();
                Ok(json!({"uuid": id.to_string()}))
            }
            "token" => {
                let mut token = vec![0u8; input.bytes];
                rand::rng().fill(&mut token[..]);
                let token = if input.encoding == "hex" { hex::encode(token) } else { URL_SAFE_NO_PAD.encode(token) };
                Ok(json!({"token": token}))
            }
            "base64_encode" => {
                let text = input.text.unwrap_or_default();
                let coded = if input.url_safe { URL_SAFE_NO_PAD.encode(text) } else { STANDARD.encode(text) };
                Ok(json!({"base64": coded}))
            }
            "base64_decode" => {
                let text = input.base64.unwrap_or_default();
                let plain = text.trim().trim_end_matches('=').replace('-', "+").replace('_', "/");
                let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
                let data = engine.decode(plain).map_err(|_| Error::new(Code::Failed, "the text is no base64"))?;
                let text =
                    String::from_utf8(data).map_err(|_| Error::new(Code::Failed, "the base64 holds no UTF-8 text"))?;
                Ok(json!({"text": text}))
            }
            _ => Err(no_action("crypto", action)),
        }
    }
}

fn hash(algorithm: &str, data: &[u8]) -> Result<Vec<u8>> {
    Ok(match algorithm {
        "sha256" => Sha256::digest(data).to_vec(),
        "sha384" => Sha384::digest(data).to_vec(),
        "sha512" => Sha512::digest(data).to_vec(),
        "sha1" => Sha1::digest(data).to_vec(),
        other => return Err(Error::invalid(format!("{other} is no hash that is known here"))),
    })
}

fn sign(algorithm: &str, key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    fn with<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
        let mut mac = <M as KeyInit>::new_from_slice(key).map_err(|_| Error::invalid("the key cannot be used"))?;
        mac.update(data);
        Ok(mac.finalize().into_bytes().to_vec())
    }
    match algorithm {
        "sha256" => with::<Hmac<Sha256>>(key, data),
        "sha512" => with::<Hmac<Sha512>>(key, data),
        "sha1" => with::<Hmac<Sha1>>(key, data),
        other => Err(Error::invalid(format!("{other} is no algorithm for signatures"))),
    }
}

fn written(digest: &[u8], encoding: &str) -> String {
    if encoding == "base64" { STANDARD.encode(digest) } else { hex::encode(digest) }
}
