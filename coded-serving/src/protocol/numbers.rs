//! Nested JSON arrays of numbers, deserialized without an intermediate tree.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The maximum nesting depth of tensor data.
const MAX_DEPTH: usize = 16;

/// The maximum number of tensors of a message, and of dimensions of a tensor. Small elements such as `{}` take
/// far more memory than text, so that an unlimited list could exhaust it.
const MAX_LEN: usize = 32;

/// A list of at most [`MAX_LEN`] elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ShortList<T>(pub(super) Vec<T>);

impl<T> ShortList<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for ShortList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize> Serialize for ShortList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ShortList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = ShortList<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an array of at most {MAX_LEN}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<ShortList<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(next) = array.next_element()? {
                    if list.len() == MAX_LEN {
                        return Err(A::Error::invalid_length(MAX_LEN + 1, &self));
                    }
                    list.push(next);
                }
                Ok(ShortList(list))
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// The numbers of a nested array, flattened.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Numbers(pub(super) Vec<f32>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut numbers = Vec::new();
        deserializer.deserialize_seq(Nested {
            numbers: &mut numbers,
            depth: 0,
        })?;
        Ok(Self(numbers))
    }
}

/// Deserializes a number or a nested array into `numbers`.
struct Nested<'a> {
    numbers: &'a mut Vec<f32>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Nested<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or an array of numbers")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.numbers.push(value as f32);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.numbers.push(value as f32);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.numbers.push(value as f32);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        if self.depth == MAX_DEPTH {
            return Err(A::Error::custom(format!(
                "data nested deeper than {MAX_DEPTH}"
            )));
        }
        let Self { numbers, depth } = self;
        // One visitor per element: scalars append themselves, arrays recurse.
        loop {
            let next = Nested {
                numbers: &mut *numbers,
                depth: depth + 1,
            };
            if array.next_element_seed(next)?.is_none() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_and_flat_arrays_are_the_same_numbers() {
        for text in [
            "[1,2.5,-3,4e1]",
            "[[1,2.5],[-3,40]]",
            "[[[1],[2.5]],[[-3],[40.0]]]",
        ] {
            let numbers: Numbers = serde_json::from_str(text).unwrap();
            assert_eq!(numbers.0, [1.0, 2.5, -3.0, 40.0]);
        }
    }

    #[test]
    fn depth_bombs_and_other_values_are_errors() {
        let bomb = "[".repeat(100_000);
        let closed = format!("{}1{}", "[".repeat(50), "]".repeat(50));
        for text in [
            bomb.as_str(),
            &closed,
            "[null]",
            "[\"1\"]",
            "[true]",
            "{}",
            "1",
            "[NaN]",
            "[1e999]",
        ] {
            assert!(
                serde_json::from_str::<Numbers>(text).is_err(),
                "{}",
                &text[..text.len().min(20)]
            );
        }
    }
}
