//! Tests that need root and real clients; they stand in `tests/`.
