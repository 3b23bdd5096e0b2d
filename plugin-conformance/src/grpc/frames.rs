//! gRPC's framing of messages: a flag, four bytes of length, the message.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::{MAX_ANSWER, Messages, Silence};

const HEAD: usize = 5;
/// The size of the parts that a large message is sent in.
const PART: usize = 64 << 10;

/// The bytes of `messages`, in parts.
pub(super) fn framed(messages: &Messages) -> Box<dyn Iterator<Item = Bytes> + Send> {
    match messages {
        Messages::All(messages) => {
            let framed = messages.iter().map(|message| {
                let mut bytes = BytesMut::from(&head(message.len())[..]);
                bytes.extend_from_slice(message);
                bytes.freeze()
            });
            Box::new(framed.collect::<Vec<_>>().into_iter())
        }
        Messages::Zeros(size) => {
            let part = Bytes::from_static(&[0; PART]);
            let zeros = std::iter::repeat_n(part, size.div_ceil(PART));
            Box::new(std::iter::once(head(zeros.len() * PART)).chain(zeros))
        }
    }
}

fn head(length: usize) -> Bytes {
    let mut head = BytesMut::with_capacity(HEAD);
    head.put_u8(0);
    head.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    head.freeze()
}

/// The messages of an answer, as its bytes come.
#[derive(Default)]
pub(super) struct Frames {
    bytes: BytesMut,
}

impl Frames {
    /// Adds bytes.
    pub(super) fn add(&mut self, data: &[u8]) -> Result<(), Silence> {
        if self.bytes.len() + data.len() > MAX_ANSWER {
            return Err(Silence::Broken(format!("the answer has more than {MAX_ANSWER} bytes")));
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// The messages.
    pub(super) fn take(self) -> Result<Vec<Bytes>, Silence> {
        let mut bytes = self.bytes.freeze();
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            if bytes.len() < HEAD {
                return Err(Silence::Broken("the answer ends within a message".to_owned()));
            }
            let (flag, length) = (bytes.get_u8(), bytes.get_u32() as usize);
            if flag != 0 || length > bytes.len() {
                return Err(Silence::Broken("the answer is not framed as gRPC".to_owned()));
            }
            messages.push(bytes.split_to(length));
        }
        Ok(messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8]) -> Result<Vec<Bytes>, Silence> {
        let mut frames = Frames::default();
        frames.add(data)?;
        frames.take()
    }

    #[test]
    fn messages_survive_their_framing() {
        let messages = vec![Bytes::from_static(b"ab"), Bytes::new()];
        let sent = framed(&Messages::All(messages.clone())).collect::<Vec<_>>().concat();
        assert_eq!(read(&sent), Ok(messages));
        let zeros = framed(&Messages::Zeros(PART + 1)).collect::<Vec<_>>().concat();
        assert_eq!(read(&zeros).unwrap()[0].len(), 2 * PART);
    }

    #[test]
    fn what_is_no_framing_is_refused() {
        for wrong in [&[0][..], &[0, 0, 0, 0, 1], &[1, 0, 0, 0, 0], &[0, 255, 255, 255, 255, 1]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        assert!(read(&vec![0; MAX_ANSWER + 1]).is_err());
    }
}
