//! Tests of the group state machine.
