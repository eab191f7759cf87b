//! A machine simulated from a seed.
