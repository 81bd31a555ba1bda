//! Futures that one task polls side by side, each only when it was woken.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) struct Tasks<K, T> {
    running: BTreeMap<K, Task<T>>,
}

struct Task<T> {
    future: Boxed<T>,
    bell: Arc<Bell>,
}

/// Remembers that a task was woken, and wakes the one that polls it.
struct Bell {
    rung: AtomicBool,
    whole: Mutex<Waker>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let whole = {
            let whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
            whole.clone()
        };
        // Without the lock: a waker may run what it likes.
        whole.wake();
    }
}

impl<K: Ord + Copy, T> Tasks<K, T> {
    pub(super) fn new() -> Self {
        Self {
            running: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, key: K, future: Boxed<T>) {
        let bell = Arc::new(Bell {
            rung: AtomicBool::new(true),
            whole: Mutex::new(Waker::noop().clone()),
        });
        self.running.insert(key, Task { future, bell });
    }

    /// Drops a task wherever it stands.
    pub(super) fn remove(&mut self, key: K) {
        self.running.remove(&key);
    }

    /// What one of them came to, if one is done.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Option<(K, T)> {
        let mut done = None;
        for (key, task) in &mut self.running {
            // Before it is asked, so that a ring in between is not missed.
            let mut whole = task
                .bell
                .whole
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            whole.clone_from(cx.waker());
            drop(whole);
            if !task.bell.rung.swap(false, Ordering::Acquire) {
                continue;
            }
            let waker = Waker::from(Arc::clone(&task.bell));
            let polled = task.future.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(output) = polled {
                done = Some((*key, output));
                break;
            }
        }
        let (key, output) = done?;
        self.running.remove(&key);
        Some((key, output))
    }
}
