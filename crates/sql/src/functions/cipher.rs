//! `aes_encrypt` and `aes_decrypt`: AES in the modes ECB, CBC and GCM.
//!
//! What is encrypted starts with its initialization vector (but for ECB), as Spark writes it. The cipher of a block
//! and GCM are the library's; ECB and CBC only chain blocks.

use super::Set;
use crate::condition;
use crate::value::Value;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::aes::cipher::consts::{U12, U16};
use aes_gcm::aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser};
use aes_gcm::aes::{Aes128, Aes192, Aes256, Block};
use aes_gcm::{AesGcm, Nonce};
use datafusion::error::{DataFusionError, Result};
use trefoil_core::ErrorKind;

/// Bytes of a block.
const BLOCK: usize = 16;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Ecb,
    Cbc,
    Gcm,
}

impl Mode {
    /// Bytes of the initialization vector.
    fn iv(self) -> usize {
        match self {
            Self::Ecb => 0,
            Self::Cbc => BLOCK,
            Self::Gcm => 12,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ecb => "ECB",
            Self::Cbc => "CBC",
            Self::Gcm => "GCM",
        }
    }
}

fn unsupported(name: &str, message: String) -> DataFusionError {
    condition::error(ErrorKind::Unsupported, &format!("UNSUPPORTED_FEATURE.{name}"), "0A000", message)
}

fn invalid(function: &str, name: &str, message: &str) -> DataFusionError {
    condition::error(
        ErrorKind::InvalidArgument,
        &format!("INVALID_PARAMETER_VALUE.{name}"),
        "22023",
        format!("`{function}`: {message}."),
    )
}

/// One call.
struct Call<'a> {
    function: &'a str,
    key: &'a [u8],
    mode: Mode,
    iv: &'a [u8],
    more: &'a [u8],
}

impl<'a> Call<'a> {
    /// Arguments from the key on; `iv` and `more` stand at other places when decrypting.
    fn new(
        function: &'a str,
        row: &'a [Value],
        iv: Option<&'a Value>,
        more: Option<&'a Value>,
    ) -> Result<Self> {
        let text = |index: usize, default| row.get(index).map_or(default, |v: &Value| v.str());
        let (mode, padding) = (text(2, "GCM"), text(3, "DEFAULT"));
        let found =
            [Mode::Ecb, Mode::Cbc, Mode::Gcm].into_iter().find(|m| m.name().eq_ignore_ascii_case(mode));
        let fits = |mode: &Mode| {
            let own = if *mode == Mode::Gcm { "NONE" } else { "PKCS" };
            padding.eq_ignore_ascii_case("DEFAULT") || padding.eq_ignore_ascii_case(own)
        };
        let mode = found.filter(fits).ok_or_else(|| {
            let message = format!("AES-{mode} with the padding {padding} by the `{function}` function.");
            unsupported("AES_MODE", message)
        })?;
        let bytes = |value: Option<&'a Value>| value.map_or(&[][..], Value::bytes);
        let (iv, more) = (bytes(iv), bytes(more));
        if !iv.is_empty() && mode == Mode::Ecb {
            let message = format!("`{function}` with AES-ECB does not support initialization vectors (IVs).");
            return Err(unsupported("AES_MODE_IV", message));
        }
        if !iv.is_empty() && iv.len() != mode.iv() {
            let message = format!(
                "supports 16-byte CBC IVs and 12-byte GCM IVs, but got {} bytes for {}",
                iv.len(),
                mode.name()
            );
            return Err(invalid(function, "AES_IV_LENGTH", &message));
        }
        if !more.is_empty() && mode != Mode::Gcm {
            let message = format!(
                "`{function}` with AES-{} does not support additional authenticate data (AAD).",
                mode.name()
            );
            return Err(unsupported("AES_MODE_AAD", message));
        }
        Ok(Self { function, key: row[1].bytes(), mode, iv, more })
    }

    fn run(&self, encrypt: bool, input: &[u8]) -> Result<Vec<u8>> {
        let made = match self.key.len() {
            16 => self.with::<Aes128>(encrypt, input),
            24 => self.with::<Aes192>(encrypt, input),
            32 => self.with::<Aes256>(encrypt, input),
            length => {
                let message =
                    format!("expects a binary value with 16, 24 or 32 bytes, but got {length} bytes");
                return Err(invalid(self.function, "AES_KEY_LENGTH", &message));
            }
        };
        let message = "the key does not fit, or the input is not what was encrypted";
        made.ok_or_else(|| invalid(self.function, "AES_CRYPTO_ERROR", message))
    }

    /// None if the input cannot have been made with this key.
    fn with<C>(&self, encrypt: bool, input: &[u8]) -> Option<Vec<u8>>
    where
        C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
    {
        if self.mode != Mode::Gcm {
            let cipher = C::new_from_slice(self.key).ok()?;
            return if encrypt { self.encrypted(&cipher, input) } else { self.decrypted(&cipher, input) };
        }
        let cipher = AesGcm::<C, U12>::new_from_slice(self.key).ok()?;
        let nonce = |bytes: &[u8]| Nonce::<U12>::try_from(bytes).ok();
        if !encrypt {
            let (iv, msg) = input.split_at_checked(self.mode.iv())?;
            return cipher.decrypt(&nonce(iv)?, Payload { msg, aad: self.more }).ok();
        }
        let iv = nonce(&self.start()?)?;
        let mut out = iv.to_vec();
        out.extend(cipher.encrypt(&iv, Payload { msg: input, aad: self.more }).ok()?);
        Some(out)
    }

    /// The initialization vector, drawn anew where none is given.
    fn start(&self) -> Option<Vec<u8>> {
        if !self.iv.is_empty() {
            return Some(self.iv.to_vec());
        }
        let mut iv = vec![0; self.mode.iv()];
        getrandom::fill(&mut iv).ok()?;
        Some(iv)
    }

    /// Blocks one after the other; in CBC each is mixed with the one before it.
    fn encrypted<C>(&self, cipher: &C, input: &[u8]) -> Option<Vec<u8>>
    where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
    {
        let chained = self.mode == Mode::Cbc;
        let mut before = Block::default();
        let mut out = Vec::with_capacity(input.len() + 2 * BLOCK);
        if chained {
            before = Block::try_from(self.start()?.as_slice()).ok()?;
            out.extend_from_slice(&before);
        }
        // PKCS #7: as many bytes as are missing, each of which is their number.
        let missing = BLOCK - input.len() % BLOCK;
        let mut padded = input.to_vec();
        padded.resize(input.len() + missing, missing as u8);
        for part in padded.chunks_exact(BLOCK) {
            let mut block = Block::try_from(part).ok()?;
            if chained {
                block.iter_mut().zip(&before).for_each(|(byte, other)| *byte ^= other);
            }
            cipher.encrypt_block(&mut block);
            out.extend_from_slice(&block);
            before = block;
        }
        Some(out)
    }

    fn decrypted<C>(&self, cipher: &C, input: &[u8]) -> Option<Vec<u8>>
    where
        C: BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
    {
        let chained = self.mode == Mode::Cbc;
        let (iv, rest) = input.split_at_checked(self.mode.iv())?;
        let mut before = if chained { Block::try_from(iv).ok()? } else { Block::default() };
        let mut out = Vec::with_capacity(rest.len());
        if rest.is_empty() || rest.len() % BLOCK != 0 {
            return None;
        }
        for part in rest.chunks_exact(BLOCK) {
            let given = Block::try_from(part).ok()?;
            let mut block = given;
            cipher.decrypt_block(&mut block);
            if chained {
                block.iter_mut().zip(&before).for_each(|(byte, other)| *byte ^= other);
                before = given;
            }
            out.extend_from_slice(&block);
        }
        let padding = usize::from(*out.last()?);
        let kept = out.len().checked_sub(padding)?;
        let whole = (1..=BLOCK).contains(&padding) && out[kept..].iter().all(|b| usize::from(*b) == padding);
        out.truncate(kept);
        whole.then_some(out)
    }
}

pub(super) fn add(set: &mut Set) {
    set.add("aes_encrypt", "bin bin str? str? bin? bin? -> bin", |row, _| {
        let call = Call::new("aes_encrypt", row, row.get(4), row.get(5))?;
        Ok(Value::Bin(call.run(true, row[0].bytes())?))
    });
    set.add("aes_decrypt", "bin bin str? str? bin? -> bin", |row, _| {
        let call = Call::new("aes_decrypt", row, None, row.get(4))?;
        Ok(Value::Bin(call.run(false, row[0].bytes())?))
    });
    set.also_try("aes_decrypt");
}
