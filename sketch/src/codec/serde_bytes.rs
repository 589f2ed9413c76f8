//! Serialization of sketches with serde, as the bytes of the [native format](crate::codec::native).
//!
//! ```
//! use septet_sketch::CountMin;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Day {
//!     date: String,
//!     #[serde(with = "septet_sketch::codec::serde_bytes")]
//!     words: CountMin<u32>,
//! }
//! ```

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::Error;
use serde::{Deserializer, Serializer};

use super::native::{Native, Options};

/// Serializes a sketch as bytes.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<T: Native, S: Serializer>(sketch: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let bytes = sketch
        .to_bytes(&Options::default())
        .map_err(S::Error::custom)?;
    serializer.serialize_bytes(&bytes)
}

/// Deserializes a sketch from bytes.
///
/// # Errors
///
/// Those of the deserializer and of [`Native::from_bytes`].
pub fn deserialize<'de, T: Native, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_byte_buf(Bytes(PhantomData))
}

struct Bytes<T>(PhantomData<T>);

impl<'de, T: Native> Visitor<'de> for Bytes<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a sketch")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        T::from_bytes(bytes).map_err(E::custom)
    }

    /// Text formats such as JSON have no bytes, only arrays of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<T, A::Error> {
        // The length hint is not trusted for an allocation.
        let mut bytes = Vec::new();
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use crate::{CountMin, FrequencySketch};

    #[derive(Serialize, Deserialize)]
    struct Day {
        #[serde(with = "super")]
        words: CountMin<u32>,
    }

    #[test]
    fn sketches_survive_serde() {
        let mut words = CountMin::builder().bytes(1024).build().expect("small");
        words.update("fox");
        let day = Day { words };
        let text = serde_json::to_string(&day).expect("an array of numbers");
        let again: Day = serde_json::from_str(&text).expect("what was written");
        assert_eq!(again.words, day.words);
        let error = serde_json::from_str::<Day>("{\"words\":[1,2]}").map(|_| ());
        let message = error.expect_err("no sketch").to_string();
        assert!(
            message.contains("byte 0: expected 4 bytes of magic number"),
            "{message}"
        );
    }
}
