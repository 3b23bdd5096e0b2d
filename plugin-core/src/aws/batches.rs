//! Calls that ask about many jobs together.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream::iter};
use server_core::Result;

/// How many run at once. All at once would be refused at a vendor that throttles, by the queue for it, before
/// the first is answered and raises the rate.
const AT_ONCE: usize = 5;

/// What `calls` return, in their order.
///
/// # Errors
/// That of the first call that fails, which ends the others.
pub async fn in_batches<T, F>(calls: Vec<F>) -> Result<Vec<T>>
where
    F: Future<Output = Result<Vec<T>>>,
{
    let calls = calls.into_iter().enumerate().map(async |(place, call)| Ok((place, call.await?)));
    let found = iter(calls).buffer_unordered(AT_ONCE).try_collect::<BTreeMap<_, _>>().await?;
    Ok(found.into_values().flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use server_core::Error;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// A call that takes `seconds` and finds `number`.
    async fn call(number: usize, seconds: u64) -> Result<Vec<usize>> {
        sleep(Duration::from_secs(seconds)).await;
        Ok(vec![number])
    }

    #[tokio::test(start_paused = true)]
    async fn others_do_not_wait_for_a_slow_call() {
        let started = Instant::now();
        let calls = (0..37).map(|number| call(number, if number == 0 { 9 } else { 1 }));
        let found = in_batches(calls.collect()).await.unwrap();
        assert_eq!(found, (0..37).collect::<Vec<_>>(), "in the order of the calls");
        assert_eq!(started.elapsed().as_secs(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_error_ends_all_calls() {
        let started = Instant::now();
        let calls = (0..20).map(async |number| match number {
            7 => Err(Error::unavailable("HTTP 500")),
            _ => call(number, 1).await,
        });
        assert!(in_batches(calls.collect()).await.is_err());
        assert!(started.elapsed() <= Duration::from_secs(2));
    }
}
