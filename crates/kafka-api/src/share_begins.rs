//! Where a share group begins that has read nothing yet, by Kafka's words: `earliest`, `latest`, `by_duration:PT1H30M`.

use std::fmt;
use std::str::FromStr;

/// What a duration is introduced by.
const BY_DURATION: &str = "by_duration:";

/// What may be given.
const WANTED: &str =
    "it is earliest, latest, or by_duration: and an ISO 8601 duration of days and less, as in by_duration:PT1H";

/// Where a share group begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareBegins {
    /// With the first event that is kept.
    Earliest,
    /// With the next one that comes.
    Latest,
    /// With the first one of the last so many milliseconds, by the writers' timestamps.
    Within(u64),
}

impl FromStr for ShareBegins {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<ShareBegins, &'static str> {
        match text {
            "earliest" => Ok(ShareBegins::Earliest),
            "latest" => Ok(ShareBegins::Latest),
            text => {
                let duration = text.strip_prefix(BY_DURATION).and_then(milliseconds);
                duration.map(ShareBegins::Within).ok_or(WANTED)
            }
        }
    }
}

impl fmt::Display for ShareBegins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShareBegins::Earliest => f.write_str("earliest"),
            ShareBegins::Latest => f.write_str("latest"),
            ShareBegins::Within(ms) => write!(f, "{BY_DURATION}PT{}.{:03}S", ms / 1_000, ms % 1_000),
        }
    }
}

/// The milliseconds of an ISO 8601 duration without years, months, weeks and signs: `P1DT2H3M4.5S`, each part at most once, in this order.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.to_ascii_uppercase();
    let text = text.strip_prefix('P')?;
    let (days, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (text, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let (mut total, mut rest) = (0_u64, days);
    for (unit, unit_ms, of_time) in [('D', 86_400_000, false), ('H', 3_600_000, true), ('M', 60_000, true)] {
        if of_time && unit == 'H' {
            if !rest.is_empty() {
                return None;
            }
            rest = time;
        }
        if let Some((number, behind)) = rest.split_once(unit) {
            total = total.checked_add(whole(number)?.checked_mul(unit_ms)?)?;
            rest = behind;
        }
    }
    if rest.is_empty() {
        return Some(total);
    }
    let seconds = rest.strip_suffix('S')?;
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let fraction_ms = match fraction.len() {
        1..=9 => whole(&format!("{fraction:0<3}")[..3]),
        _ => None,
    };
    whole(fraction)?;
    total
        .checked_add(whole(seconds)?.checked_mul(1_000)?)?
        .checked_add(fraction_ms?)
}

fn whole(digits: &str) -> Option<u64> {
    // A sign is no digit.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_durations() {
        let check = |text: &str, expected: Option<ShareBegins>| {
            assert_eq!(text.parse().ok(), expected, "{text}");
            if let Some(expected) = expected {
                assert_eq!(expected.to_string().parse(), Ok(expected), "{text}");
            }
        };
        let within = |ms: u64| Some(ShareBegins::Within(ms));
        check("earliest", Some(ShareBegins::Earliest));
        check("latest", Some(ShareBegins::Latest));
        check("by_duration:PT1H", within(3_600_000));
        check("by_duration:pt1h30m", within(5_400_000));
        check("by_duration:P2D", within(172_800_000));
        check("by_duration:P1DT2H3M4.5S", within(93_784_500));
        check("by_duration:PT0.0015S", within(1));
        check("by_duration:PT0S", within(0));
        check("by_duration:PT90M", within(5_400_000));
        for text in [
            "",
            "by_duration",
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:P1DT",
            "by_duration:1H",
            "by_duration:PT-1H",
            "by_duration:PT+1H",
            "by_duration:P1M",
            "by_duration:P1W",
            "by_duration:P1Y",
            "by_duration:PT1M1H",
            "by_duration:PT1H1H",
            "by_duration:PT1",
            "by_duration:PT.5S",
            "by_duration:PT1.S",
            "by_duration:PT1.0000000000S",
            "by_duration:P1H",
            "by_duration:PT1D",
            "by_duration:PT18446744073709551615H",
            "by_duration:PTé",
            "Earliest",
        ] {
            check(text, None);
        }
    }
}
