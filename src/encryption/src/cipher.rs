//! The three ciphers of upstream's providers. A nonce is random, new for each value, and stands before the ciphertext.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockCipher, BlockDecryptMut, BlockEncryptMut, KeyInit, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use crypto_secretbox::XSalsa20Poly1305;
use crypto_secretbox::aead::Aead;
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::de::IgnoredAny;

const BLOCK: usize = 16; // of AES, and so its initialisation vector
const SECRETBOX_NONCE: usize = 24;

#[derive(Clone)]
pub(crate) enum Cipher {
    AesGcm(Box<LessSafeKey>),
    /// It is not authenticated: what another key or somebody else made of it decrypts too, but seldom to JSON.
    AesCbc(Vec<u8>),
    Secretbox(XSalsa20Poly1305),
}

impl Cipher {
    /// `None` where the secret has another length than 16 or 32 bytes.
    pub(crate) fn aes_gcm(secret: &[u8]) -> Option<Cipher> {
        let algorithm = if secret.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        UnboundKey::new(algorithm, secret).ok().map(|key| Cipher::AesGcm(Box::new(LessSafeKey::new(key))))
    }

    /// `None` where the secret has another length than 16, 24 or 32 bytes.
    pub(crate) fn aes_cbc(secret: &[u8]) -> Option<Cipher> {
        matches!(secret.len(), 16 | 24 | 32).then(|| Cipher::AesCbc(secret.to_vec()))
    }

    /// `None` where the secret has another length than 32 bytes.
    pub(crate) fn secretbox(secret: &[u8]) -> Option<Cipher> {
        XSalsa20Poly1305::new_from_slice(secret).ok().map(Cipher::Secretbox)
    }

    /// Puts nonce and ciphertext behind what is in `stored`. Of the three only AES-GCM binds it to its place.
    pub(crate) fn encrypt(&self, place: &str, json: &[u8], stored: &mut Vec<u8>) {
        match self {
            Cipher::AesGcm(key) => {
                let nonce: [u8; NONCE_LEN] = random();
                stored.extend_from_slice(&nonce);
                let begin = stored.len();
                stored.extend_from_slice(json);
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(place), &mut stored[begin..])
                    .expect("no object has the 64 GiB that are too much for AES-GCM");
                stored.extend_from_slice(tag.as_ref());
            }
            Cipher::AesCbc(key) => {
                let iv: [u8; BLOCK] = random();
                stored.extend_from_slice(&iv);
                stored.extend(match key.len() {
                    16 => encrypt_cbc::<Aes128>(key, &iv, json),
                    24 => encrypt_cbc::<Aes192>(key, &iv, json),
                    _ => encrypt_cbc::<Aes256>(key, &iv, json),
                });
            }
            Cipher::Secretbox(key) => {
                let nonce: [u8; SECRETBOX_NONCE] = random();
                stored.extend_from_slice(&nonce);
                stored.extend(key.encrypt(&nonce.into(), json).expect("no object is too large for it"));
            }
        }
    }

    /// `None` where it is not what this key encrypted.
    pub(crate) fn decrypt(&self, place: &str, stored: &[u8]) -> Option<Vec<u8>> {
        match self {
            Cipher::AesGcm(key) => {
                let (nonce, sealed) = stored.split_at_checked(NONCE_LEN)?;
                let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
                let mut json = sealed.to_vec();
                let length = key.open_in_place(nonce, Aad::from(place), &mut json).ok()?.len();
                json.truncate(length);
                Some(json)
            }
            Cipher::AesCbc(key) => {
                let (iv, sealed) = stored.split_at_checked(BLOCK)?;
                let json = match key.len() {
                    16 => decrypt_cbc::<Aes128>(key, iv, sealed),
                    24 => decrypt_cbc::<Aes192>(key, iv, sealed),
                    _ => decrypt_cbc::<Aes256>(key, iv, sealed),
                };
                json.filter(|json| serde_json::from_slice::<IgnoredAny>(json).is_ok())
            }
            Cipher::Secretbox(key) => {
                let (nonce, sealed) = stored.split_at_checked(SECRETBOX_NONCE)?;
                key.decrypt(nonce.into(), sealed).ok()
            }
        }
    }
}

fn encrypt_cbc<C: BlockCipher + BlockEncryptMut + KeyInit>(key: &[u8], iv: &[u8], json: &[u8]) -> Vec<u8> {
    let cipher = cbc::Encryptor::<C>::new_from_slices(key, iv).expect("the lengths are those of the cipher");
    cipher.encrypt_padded_vec_mut::<Pkcs7>(json)
}

fn decrypt_cbc<C: BlockCipher + BlockDecryptMut + KeyInit>(
    key: &[u8],
    iv: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).expect("the lengths are those of the cipher");
    cipher.decrypt_padded_vec_mut::<Pkcs7>(sealed).ok()
}

fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).expect("the kernel has random bytes for everybody");
    bytes
}
