//! Locking that survives a panic elsewhere: what these mutexes guard is never left half-changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, and takes over from a thread that panicked.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
