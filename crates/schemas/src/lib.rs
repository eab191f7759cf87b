//! Which schema is a value written with, and may the next one follow it?
