//! Sealing: XChaCha20-Poly1305 with what the ciphertext is bound to. Pure.

use crate::error::{Error, Result};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::RngExt as _;
use zeroize::Zeroizing;

/// A symmetric key; wiped when dropped.
pub(super) type Key = Zeroizing<[u8; KEY_BYTES]>;
/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// An unpredictable key.
pub(super) fn fresh_key() -> Key {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    rand::rng().fill(&mut key[..]);
    key
}

/// Nonce and ciphertext of `plain`, bound to `bound`. 24 random bytes of nonce do not
/// repeat within the life of a key.
pub(super) fn seal(key: &Key, bound: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    rand::rng().fill(&mut nonce[..]);
    let cipher = XChaCha20Poly1305::new(&(**key).into());
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: bound })
        .map_err(|_| Error::internal("encryption failed"))?;
    let mut out = Vec::with_capacity(NONCE_BYTES + sealed.len());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Ok(out)
}

/// What [`seal`] sealed; `None` where the key, the binding or a single bit differs.
pub(super) fn open(key: &Key, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let cipher = XChaCha20Poly1305::new(&(**key).into());
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: bound }).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> Key {
        Zeroizing::new([byte; KEY_BYTES])
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again(plain: Vec<u8>, bound: Vec<u8>, k: u8) {
            let sealed = seal(&key(k), &bound, &plain).unwrap();
            let opened = open(&key(k), &bound, &sealed);
            prop_assert_eq!(opened.as_deref(), Some(&plain));
        }

        #[test]
        fn any_flipped_bit_is_noticed(plain: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
            let mut sealed = seal(&key(1), b"bound", &plain).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open(&key(1), b"bound", &sealed).is_none());
        }

        #[test]
        fn another_key_or_binding_or_length_does_not_open(plain: Vec<u8>, cut: prop::sample::Index) {
            let sealed = seal(&key(1), b"bound", &plain).unwrap();
            prop_assert!(open(&key(2), b"bound", &sealed).is_none());
            prop_assert!(open(&key(1), b"bounD", &sealed).is_none());
            prop_assert!(open(&key(1), b"bound", &sealed[..cut.index(sealed.len())]).is_none());
        }
    }

    #[test]
    fn the_same_text_never_seals_the_same() {
        assert_ne!(seal(&key(1), b"", b"x").unwrap(), seal(&key(1), b"", b"x").unwrap());
        assert_ne!(*fresh_key(), *fresh_key());
    }
}
