//! Texts as JSON.

/// Writes a text in its quotes behind what is in `out`.
pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    // Writing a text into memory does not fail.
    if serde_json::to_writer(&mut *out, text).is_err() {
        out.extend_from_slice(b"null");
    }
}
