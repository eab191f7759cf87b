//! No text panics, recurses without bound or takes forever.
