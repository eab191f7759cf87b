//! The date of an answer, as RFC 9110 writes it; made once a second for each thread.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

thread_local! {
    static NOW: RefCell<Date> = RefCell::new(Date { second: 0, text: written(0) });
}

struct Date {
    /// Since 1970.
    second: u64,
    text: String,
}

/// Writes the date of now.
pub(super) fn put(out: &mut Vec<u8>) {
    let second = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    NOW.with_borrow_mut(|date| {
        if date.second != second {
            *date = Date {
                second,
                text: written(second),
            };
        }
        out.extend_from_slice(date.text.as_bytes());
    });
}

fn written(second: u64) -> String {
    let moment = i64::try_from(second)
        .ok()
        .and_then(|second| Timestamp::from_second(second).ok());
    let moment = moment.unwrap_or(Timestamp::UNIX_EPOCH);
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_writes_them() {
        for (second, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (u64::MAX, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(written(second), expected, "{second}");
        }
    }
}
