//! What a fuzzer watches besides the answers: panics of the server's code, and errors that are bugs by definition.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use featgres::error::SqlState;

use crate::support::TestGateway;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Panics anywhere but in the tests themselves, since the start of the process. One of the engine's is known, and caught where it happens: a text that
/// is too large to be repeated for all rows. Another test asks for it.
pub(super) fn panics() -> usize {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let of_a_test = panic.location().is_some_and(|place| place.file().starts_with("tests/"));
            let known = panic.payload_as_str() == Some("offset overflow");
            if !of_a_test && !known {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(panic);
        }));
    });
    PANICS.load(Ordering::SeqCst)
}

/// Errors that no client should ever see.
pub(super) fn bugs(gateway: &TestGateway) -> u64 {
    gateway.gateway.counters.snapshot().errors.get(&SqlState::INTERNAL_ERROR).copied().unwrap_or(0)
}
