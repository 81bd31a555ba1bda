//! Two connections joined in memory, in virtual time.
