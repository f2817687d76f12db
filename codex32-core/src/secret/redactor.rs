//! Redaction by value: whatever form a secret takes, it leaves as `***`.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What stands in place of a secret.
pub const MASK: &str = "***";
/// Shorter values are not looked for: they would be found everywhere.
pub const MIN_VALUE: usize = 4;
/// Shorter lines and encoded parts are not looked for by themselves.
const MIN_PART: usize = 8;

/// Replaces every occurrence of the secrets that it was made of: as they are, line by
/// line, and in base64, percent, hex and JSON-escaped form.
///
/// ```
/// use codex32_core::secret::Redactor;
/// let redactor = Redactor::new(["hunter2 & co"]);
/// assert_eq!(redactor.text("pw=hunter2%20%26%20co; pw=hunter2 & co"), "pw=***; pw=***");
/// assert_eq!(redactor.text("nothing here"), "nothing here");
/// ```
pub struct Redactor {
    forms: Forms,
    /// Secrets that are numbers, to find them where JSON holds them as such.
    numbers: BTreeSet<String>,
}

enum Forms {
    Nothing,
    These(AhoCorasick),
    /// The search could not be built: then nothing may pass.
    Everything,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor of `secrets`.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Redactor {
        let (mut forms, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for secret in secrets {
            for part in parts(secret) {
                add_forms(part, &mut forms);
                if part.parse::<f64>().is_ok() {
                    numbers.insert(part.to_owned());
                }
            }
        }
        let forms = match forms.is_empty() {
            true => Forms::Nothing,
            false => AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&forms)
                .map_or(Forms::Everything, Forms::These),
        };
        Redactor { forms, numbers }
    }

    /// A redactor of nothing.
    #[must_use]
    pub fn none() -> Redactor {
        Redactor { forms: Forms::Nothing, numbers: BTreeSet::new() }
    }

    fn is_idle(&self) -> bool {
        matches!(self.forms, Forms::Nothing)
    }

    /// `text` with every secret replaced.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let forms = match &self.forms {
            Forms::Nothing => return Cow::Borrowed(text),
            Forms::Everything => return Cow::Borrowed(MASK),
            Forms::These(forms) => forms,
        };
        let mut out = String::new();
        let mut from = 0;
        for found in forms.find_iter(text) {
            out.push_str(&text[from..found.start()]);
            // Neighbours become one, so that the number of pieces tells nothing.
            if !(out.ends_with(MASK) && found.start() == from) {
                out.push_str(MASK);
            }
            from = found.end();
        }
        if from == 0 && out.is_empty() {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[from..]);
        Cow::Owned(out)
    }

    /// `value` with every secret replaced, in strings, keys and numbers at any depth.
    #[must_use]
    pub fn value(&self, value: Value) -> Value {
        if self.is_idle() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text).into_owned()),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(fields) => Value::Object(
                fields.into_iter().map(|(name, field)| (self.text(&name).into_owned(), self.value(field))).collect(),
            ),
            Value::Number(number) if self.numbers.contains(&number.to_string()) => Value::from(MASK),
            other => other,
        }
    }

    /// `error` with every secret replaced in its texts.
    #[must_use]
    pub fn error(&self, error: crate::Error) -> crate::Error {
        if self.is_idle() { error } else { error.map_text(|text| self.text(text).into_owned()) }
    }
}

/// What of a secret is looked for: the whole, without surrounding white space, and its
/// longer lines, since logs are cut into lines.
fn parts(secret: &str) -> impl Iterator<Item = &str> {
    let whole = [secret, secret.trim()].into_iter().filter(|part| part.len() >= MIN_VALUE);
    let lines = secret.lines().map(str::trim).filter(|line| line.len() >= MIN_PART);
    whole.chain(lines)
}

fn add_forms(secret: &str, forms: &mut BTreeSet<String>) {
    forms.insert(secret.to_owned());
    let escaped = json_escaped(secret);
    forms.insert(json_escaped(&escaped));
    forms.insert(escaped);
    for percent in percent_forms(secret) {
        forms.insert(percent);
    }
    let bytes = secret.as_bytes();
    for hex in [hex::encode(bytes), hex::encode_upper(bytes)] {
        forms.insert(hex);
    }
    for base64 in base64_forms(bytes) {
        forms.insert(base64.replace('=', "%3D"));
        forms.insert(base64);
    }
}

fn json_escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Percent-encoded: all but unreserved characters, in both cases of hex, and as a form writes it.
fn percent_forms(text: &str) -> Vec<String> {
    let encode = |lower: bool| {
        let mut out = String::new();
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
                _ if lower => out.push_str(&format!("%{byte:02x}")),
                _ => out.push_str(&format!("%{byte:02X}")),
            }
        }
        out
    };
    let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    // As a URL parser writes it into a path, a query or the part before the @.
    let mut lax: Vec<String> = Vec::new();
    if let Ok(mut url) = url::Url::parse("http://h/") {
        url.set_query(Some(text));
        lax.extend(url.query().map(str::to_owned));
        url.set_path(text);
        lax.push(url.path().trim_start_matches('/').to_owned());
        if url.set_password(Some(text)).is_ok() {
            lax.extend(url.password().map(str::to_owned));
        }
    }
    lax.extend([encode(false), encode(true), form]);
    lax.retain(|form| form.len() >= MIN_VALUE);
    lax
}

/// Base64 of the secret by itself, and the part of it that stays the same when it stands
/// within something longer (`user:password`), for each of the three alignments.
fn base64_forms(secret: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for engine in [&STANDARD, &URL_SAFE] {
        let whole = engine.encode(secret);
        forms.push(whole.trim_end_matches('=').to_owned());
        forms.push(whole);
        for before in 0..3usize {
            let shifted = [&vec![0; before][..], secret].concat();
            let text = engine.encode(&shifted);
            // A character that holds bits of a neighbour differs with it.
            let (start, end) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
            if end >= start + MIN_PART {
                forms.push(text[start..end].to_owned());
            }
        }
    }
    forms.retain(|form| form.len() >= MIN_VALUE);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn forms_of(secret: &str) -> Vec<String> {
        let mut forms = vec![
            secret.to_owned(),
            STANDARD.encode(secret),
            URL_SAFE.encode(secret),
            hex::encode(secret),
            json_escaped(secret),
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        ];
        forms.retain(|form| form.len() >= MIN_VALUE);
        forms
    }

    proptest! {
        // Each case builds an automaton, which is slow without optimisation.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_form_of_any_secret_is_left(
            secrets in prop::collection::vec("\\PC{4,40}", 1..5),
            noise in prop::collection::vec("[a-z ]{0,10}", 1..40),
        ) {
            let redactor = Redactor::new(secrets.iter().map(String::as_str));
            let mut text = String::new();
            for (place, noise) in noise.iter().enumerate() {
                let forms = forms_of(&secrets[place % secrets.len()]);
                text.push_str(&forms[place % forms.len()]);
                text.push_str(noise);
            }
            let out = redactor.text(&text).into_owned();
            for secret in &secrets {
                // White space at the ends is not part of what makes it secret.
                prop_assert!(secret.trim().len() < MIN_VALUE || MASK.contains(secret.as_str()) || !out.contains(secret));
            }
            let value = redactor.value(json!({ text.clone(): [{"deep": text}] }));
            for secret in &secrets {
                prop_assert!(secret.contains('*') || !value.to_string().contains(secret));
            }
        }

        #[test]
        fn basic_authentication_hides_the_password(user in "[a-z]{1,9}", password in "[!-~]{12,30}", rest in "[a-z]{0,5}") {
            let redactor = Redactor::new([password.as_str()]);
            let header = STANDARD.encode(format!("{user}:{password}{rest}"));
            let out = redactor.text(&header).into_owned();
            prop_assert!(out.contains(MASK), "{header}");
            // What is left at the seams cannot hold more than a few characters.
            prop_assert!(out.len() <= header.len() - password.len() + MASK.len());
        }

        #[test]
        fn text_without_secrets_stays(text in "[a-z ]{0,60}") {
            let redactor = Redactor::new(["S3CRET-VALUE"]);
            prop_assert!(matches!(redactor.text(&text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn lines_of_a_longer_secret_are_found_alone() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n";
        let redactor = Redactor::new([key]);
        assert_eq!(redactor.text("line: kqhkiG9w0BAQEF."), "line: ***.");
        assert_eq!(redactor.text(key), "***");
    }

    #[test]
    fn numbers_keys_and_nested_json_are_found() {
        let redactor = Redactor::new(["123456", "se\"cret"]);
        let inner = json!({"k": "se\"cret"}).to_string();
        let value = redactor.value(json!({"pin": 123456, "n": 1234567, "se\"cret": inner}));
        assert_eq!(value, json!({"pin": "***", "n": 1234567, "***": "{\"k\":\"***\"}"}));
    }

    #[test]
    fn urls_are_found_as_parsers_write_them() {
        let password = "p@ss w/rd#1";
        let redactor = Redactor::new([password]);
        let mut url = url::Url::parse("https://h/").unwrap();
        url.set_password(Some(password)).unwrap();
        url.query_pairs_mut().append_pair("token", password);
        assert_eq!(redactor.text(url.as_str()), "https://:***@h/?token=***");
    }

    #[test]
    fn short_values_are_left_alone() {
        let redactor = Redactor::new(["abc", "", "  "]);
        assert_eq!(redactor.text("abc and more"), "abc and more");
        assert_eq!(Redactor::none().text("abcdef"), "abcdef");
    }
}
