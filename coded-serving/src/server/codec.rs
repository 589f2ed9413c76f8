//! A codec for gRPC messages that bounds the memory of decoded messages.

use std::marker::PhantomData;

use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstDecoder, ProstEncoder};

use crate::protocol::ProtocolError;

/// The maximum number of top-level fields of a message; each tensor of a list is one. An empty tensor takes
/// two bytes on the wire and about a hundred in memory: without a limit, a message of 4 MiB would take
/// most of a gigabyte. With it, decoded messages take at most about ten times their size on the wire.
const MAX_FIELDS: usize = 4096;

/// The codec of prost, with the limit on fields.
#[derive(Debug)]
pub(crate) struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstDecoder::new(BufferSettings::default()))
    }
}

/// Counts the fields of a message before decoding it.
#[derive(Debug)]
pub(crate) struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        check_fields(prost::bytes::Buf::chunk(message))
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.0.decode(message)
    }
}

/// Checks the number of fields. A malformed message passes: prost reports what is wrong with it.
pub(super) fn check_fields(mut message: &[u8]) -> Result<(), ProtocolError> {
    for _ in 0..MAX_FIELDS {
        if message.is_empty() {
            return Ok(());
        }
        let skipped = decode_key(&mut message)
            .and_then(|(tag, kind)| skip_field(kind, tag, &mut message, DecodeContext::default()));
        if skipped.is_err() {
            return Ok(());
        }
    }
    if message.is_empty() {
        return Ok(());
    }
    Err(ProtocolError::Message {
        reason: format!("it has more than {MAX_FIELDS} fields"),
    })
}
