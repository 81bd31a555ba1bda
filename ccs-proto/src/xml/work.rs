//! Counts what the XML layer does with the bytes that it is given, so that the fuzz targets can hold it to a bound. Without
//! the feature `internals` nothing is counted.

#[cfg(feature = "internals")]
thread_local! {
    static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Notes one pass over so many bytes.
#[inline]
pub fn looked_at(bytes: usize) {
    #[cfg(feature = "internals")]
    LOOKED_AT.set(LOOKED_AT.get().wrapping_add(bytes));
    #[cfg(not(feature = "internals"))]
    let _ = bytes;
}

/// The bytes that this thread's framers and readers have looked at so far; one that was looked at twice counts twice.
#[cfg(feature = "internals")]
#[must_use]
pub fn bytes_looked_at() -> usize {
    LOOKED_AT.get()
}
