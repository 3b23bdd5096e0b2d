//! A stream that reports what is read from it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that passes every chunk it reads to a closure.
pub struct OnRead<S, F> {
    stream: S,
    on_read: F,
    is_vectored: bool,
}

impl<S, F: FnMut(&[u8])> OnRead<S, F> {
    /// Passes what is read from `stream` to `on_read`, which never gets an empty slice.
    pub fn new(stream: S, on_read: F) -> Self {
        Self { stream, on_read, is_vectored: true }
    }

    /// Without vectored writes: with them, h2 writes the head and a message of more than 256 bytes first, and
    /// the trailers in a second call of the kernel, which costs more than copying a kilobyte.
    #[must_use]
    pub fn for_small_messages(self) -> Self {
        Self { is_vectored: false, ..self }
    }
}

impl<S: AsyncRead + Unpin, F: FnMut(&[u8]) + Unpin> AsyncRead for OnRead<S, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            (self.on_read)(read);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin, F: Unpin> AsyncWrite for OnRead<S, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.is_vectored && self.stream.is_write_vectored()
    }
}
