//! Ctrl-C and SIGTERM.

use std::pin::pin;

use futures_util::future::{Either, select};
use postbound::CancellationToken;

/// What a call comes to that the first interrupt cancels by this token. Behind a cancellation only
/// the final reply is still waited for, within `linger`; the second interrupt ends that, too, and
/// then there is no result.
pub(crate) async fn interruptible<F: Future>(
    token: &CancellationToken,
    call: F,
) -> Option<F::Output> {
    let interrupts = async {
        interrupted().await;
        token.cancel();
        interrupted().await;
    };
    // The call is looked at first: a result that is there is told.
    match select(pin!(call), pin!(interrupts)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Ends when somebody wants the program to end: Ctrl-C, or SIGTERM where there is one.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        if let [Ok(mut interrupt), Ok(mut terminate)] = signals {
            tokio::select! {
                biased;
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without signals there is nothing that could interrupt it.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
