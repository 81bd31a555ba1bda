//! Wire bytes from `fixtures/`.
