//! gRPC's codec: tonic's for prost, with buffers of the size of a poll.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec as TonicCodec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// How much room a message has at first: a poll needs no more. tonic's 8 KiB for each request and each response are what
/// most of a call's memory would be; glibc keeps chunks of up to 1,032 bytes at hand.
const BUFFER: usize = 1 << 10;
/// Messages of a stream are written once they have as many bytes: tonic's default.
const YIELD: usize = 32 << 10;

/// Encodes messages `T` and decodes messages `U`.
pub(crate) struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> TonicCodec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(BUFFER, YIELD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(BUFFER, YIELD))
    }
}
