//! Tests of the walker.
