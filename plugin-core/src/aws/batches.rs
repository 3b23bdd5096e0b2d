//! Calls that ask about many jobs together.

use futures_util::future::try_join_all;
use server_core::Result;

/// How many run at once. All at once would be refused at a vendor that throttles, by the queue for it, before
/// the first is answered and raises the rate.
const AT_ONCE: usize = 5;

/// What `calls` return, in their order.
///
/// # Errors
/// That of the first call that fails.
pub async fn in_batches<T, F>(calls: Vec<F>) -> Result<Vec<T>>
where
    F: Future<Output = Result<Vec<T>>>,
{
    let (mut calls, mut found) = (calls.into_iter(), Vec::new());
    loop {
        let some = calls.by_ref().take(AT_ONCE).collect::<Vec<_>>();
        if some.is_empty() {
            return Ok(found);
        }
        found.extend(try_join_all(some).await?.into_iter().flatten());
    }
}
