//! Recordings of real clients from `transcripts/`.
