//! Texts read by a pattern: `to_date('05 Dec 2000', 'DD Mon YYYY')`, `to_timestamp(…)`, `to_number('12,454.8-', '99G999D9S')`.
//!
//! What a pattern does not name is as in the year 1, on the first of January, at midnight. Blanks in text and pattern stand for any number of them.
//!
//! Source: PostgreSQL documentation, "Data Type Formatting Functions".

use super::super::by_row::{ByRow, Gives, Made, Row, Takes};
use crate::encode::calendar::{MICROSECONDS_A_DAY, civil, days_of};
use crate::{SqlError, SqlState};

use Takes::Text;

/// invalid_datetime_format
const INVALID: SqlState = SqlState("22007");
/// datetime_field_overflow
const OVERFLOW: SqlState = SqlState("22008");

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

pub(super) const FUNCTIONS: [ByRow; 3] = [
    ByRow::new("_headwater_to_date", &[Text, Text], Gives::Date, |row| {
        Ok(Some(Made::At(read(row)?.day()?)))
    }),
    ByRow::new("_headwater_to_timestamp", &[Text, Text], Gives::Moment, |row| {
        Ok(Some(Made::At(read(row)?.moment()?)))
    }),
    ByRow::new("_headwater_to_number", &[Text, Text], Gives::Text, |row| {
        let (text, pattern) = (row.text(0).unwrap_or_default(), row.text(1).unwrap_or_default());
        Ok(number(text, pattern).map(Made::Text))
    }),
];

/// The fields that were read.
#[derive(Default)]
struct Read {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// Of twelve hours, whether it is one of the second half.
    afternoon: Option<bool>,
    is_half_day: bool,
    /// Seconds ahead of UTC.
    ahead: i64,
    is_before_christ: bool,
}

impl Read {
    fn day(&self) -> Result<i64, SqlError> {
        let year = self.year.unwrap_or(1);
        let year = if self.is_before_christ { 1 - year } else { year };
        if let Some(day) = self.day_of_year {
            let length = days_of(year + 1, 1, 1) - days_of(year, 1, 1);
            return match (1..=length).contains(&day) {
                true => Ok(days_of(year, 1, 1) + day - 1),
                false => Err(out_of_range()),
            };
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(out_of_range());
        }
        let days = days_of(year, month as u32, day as u32);
        match civil(days) == (year, month as u32, day as u32) {
            true => Ok(days),
            false => Err(out_of_range()),
        }
    }

    /// Microseconds.
    fn moment(&self) -> Result<i64, SqlError> {
        let mut hour = self.hour;
        if self.is_half_day {
            if !(1..=12).contains(&hour) {
                let message = format!("hour \"{hour}\" is invalid for the 12-hour clock");
                return Err(
                    SqlError::new(INVALID, message).hint("use the 24-hour clock (HH24), or an hour from 1 to 12")
                );
            }
            hour %= 12;
            hour += if self.afternoon == Some(true) { 12 } else { 0 };
        }
        if hour > 23 || self.minute > 59 || self.second > 59 {
            return Err(out_of_range());
        }
        let seconds = hour * 3_600 + self.minute * 60 + self.second - self.ahead;
        Ok(self.day()? * MICROSECONDS_A_DAY + seconds * 1_000_000 + self.micros)
    }
}

fn out_of_range() -> SqlError {
    SqlError::new(OVERFLOW, "date/time field value out of range")
}

/// The parts that a pattern may have, longest first, with the digits that each takes at most.
const PARTS: [(&str, usize); 27] = [
    ("HH24", 2),
    ("HH12", 2),
    ("MONTH", 0),
    ("YYYY", 9),
    ("DDD", 3),
    ("DAY", 0),
    ("MON", 0),
    ("SSSSS", 5),
    ("SSSS", 5),
    ("Y,YYY", 5),
    ("A.M.", 0),
    ("P.M.", 0),
    ("B.C.", 0),
    ("A.D.", 0),
    ("TZH", 0),
    ("YYY", 3),
    ("HH", 2),
    ("YY", 2),
    ("DD", 2),
    ("DY", 0),
    ("MI", 2),
    ("MM", 2),
    ("MS", 3),
    ("SS", 2),
    ("US", 6),
    ("AM", 0),
    ("PM", 0),
];

fn read(row: &Row<'_>) -> Result<Read, SqlError> {
    let (mut text, mut pattern) = (row.text(0).unwrap_or_default(), row.text(1).unwrap_or_default());
    let mut read = Read::default();
    text = text.trim_start();
    while !pattern.is_empty() {
        let is = |part: &str| {
            pattern
                .get(..part.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(part))
        };
        if is("FM") || is("FX") || is("TM") || is("TH") {
            pattern = &pattern[2..];
            continue;
        }
        if let Some((part, digits)) = PARTS.into_iter().find(|(part, _)| is(part)) {
            pattern = &pattern[part.len()..];
            // Digits that another part follows at once end where that begins.
            let is_joined = pattern.starts_with(|next: char| next.is_ascii_alphabetic());
            let digits = if is_joined && part == "YYYY" { 4 } else { digits };
            text = read.part(part, digits, text.trim_start())?;
            // `5th` of `DDth`.
            if pattern.get(..2).is_some_and(|ending| ending.eq_ignore_ascii_case("th")) {
                pattern = &pattern[2..];
                text = text.get(2..).unwrap_or_default();
            }
            continue;
        }
        if let Some(quoted) = pattern.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            let skipped = quoted[..end].chars().count();
            text = text.char_indices().nth(skipped).map_or("", |(at, _)| &text[at..]);
            pattern = quoted.get(end + 1..).unwrap_or_default();
            continue;
        }
        let mut rest = pattern.chars();
        let separator = rest.next();
        pattern = rest.as_str();
        // A separator of the pattern is one of the text, whichever, or none.
        if separator.is_some_and(|c| !c.is_alphanumeric()) {
            text = text.trim_start();
            text = text
                .strip_prefix(|c: char| !c.is_alphanumeric() && !matches!(c, '+' | '-'))
                .unwrap_or(text);
            if separator == Some('-') {
                text = text.strip_prefix('-').unwrap_or(text);
            }
        } else {
            let mut skipped = text.chars();
            skipped.next();
            text = skipped.as_str();
        }
    }
    Ok(read)
}

impl Read {
    /// Reads one part; gives what is left of the text.
    fn part<'a>(&mut self, part: &str, digits: usize, text: &'a str) -> Result<&'a str, SqlError> {
        if digits == 0 {
            return self.word(part, text);
        }
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let is_comma = part == "Y,YYY";
        let end = unsigned
            .char_indices()
            .find(|(at, c)| *at >= digits || !(c.is_ascii_digit() || is_comma && *c == ','))
            .map_or(unsigned.len(), |(at, _)| at);
        let (written, rest) = unsigned.split_at(end);
        let Ok(mut value) = written.replace(',', "").parse::<i64>() else {
            let shown: String = text.chars().take(digits).collect();
            let message = format!("invalid value \"{shown}\" for \"{part}\"");
            return Err(SqlError::new(INVALID, message).hint("the value has to be a whole number"));
        };
        if negative {
            value = -value;
        }
        match part {
            "YYYY" | "Y,YYY" => self.year = Some(value),
            // The year of two or three digits that is closest to 2020.
            "YY" => self.year = Some(if value < 70 { value + 2000 } else { value + 1900 }),
            "YYY" => self.year = Some(if value < 520 { value + 2000 } else { value + 1000 }),
            "MM" => self.month = Some(value),
            "DD" => self.day = Some(value),
            "DDD" => self.day_of_year = Some(value),
            "HH24" => self.hour = value,
            "HH" | "HH12" => (self.hour, self.is_half_day) = (value, true),
            "MI" => self.minute = value,
            "SS" => self.second = value,
            "SSSS" | "SSSSS" => (self.hour, self.minute, self.second) = (value / 3_600, value / 60 % 60, value % 60),
            // Digits behind a point: `.5` is half a second.
            _ => self.micros += value * 10_i64.pow((6 - written.len().min(6)) as u32),
        }
        Ok(rest)
    }

    /// Reads a name.
    fn word<'a>(&mut self, part: &str, text: &'a str) -> Result<&'a str, SqlError> {
        let begins = |word: &str| {
            text.get(..word.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(word))
        };
        let unknown = || {
            let shown: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
            SqlError::new(INVALID, format!("invalid value \"{shown}\" for \"{part}\""))
        };
        let short = |names: &'static [&'static str], is_short: bool| {
            let name = |name: &&'static str| if is_short { &name[..3] } else { *name };
            let found = names.iter().map(name).enumerate().find(|(_, name)| begins(name));
            found.map(|(at, name)| (at, name.len()))
        };
        match part {
            "MONTH" | "MON" => {
                let (month, length) = short(&MONTHS, part == "MON").ok_or_else(unknown)?;
                self.month = Some(month as i64 + 1);
                Ok(&text[length..])
            }
            "DAY" | "DY" => {
                let (_, length) = short(&DAYS, part == "DY").ok_or_else(unknown)?;
                Ok(&text[length..])
            }
            "TZH" => {
                let sign = if text.starts_with('-') { -1 } else { 1 };
                let digits = text.trim_start_matches(['+', '-']);
                let end = digits
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(digits.len())
                    .min(2);
                let hours: i64 = digits[..end].parse().map_err(|_| unknown())?;
                self.ahead = sign * hours * 3_600;
                Ok(&digits[end..])
            }
            _ => {
                let half = ["AM", "PM", "A.M.", "P.M.", "BC", "B.C.", "AD", "A.D."];
                let found = half.into_iter().rev().find(|word| begins(word)).ok_or_else(unknown)?;
                match found.replace('.', "").as_str() {
                    "BC" => self.is_before_christ = true,
                    "AD" => {}
                    half => self.afternoon = Some(half == "PM"),
                }
                Ok(&text[found.len()..])
            }
        }
    }
}

/// The digits that a pattern of numbers takes out of a text; `None`: there are none.
fn number(text: &str, pattern: &str) -> Option<String> {
    let pattern = pattern.to_ascii_uppercase();
    let has_point = pattern.contains(['.', 'D']);
    let mut digits = String::new();
    let mut is_negative = text.contains('-');
    if pattern.contains("PR") && text.contains('<') {
        is_negative = true;
    }
    let places = pattern.chars().filter(|c| matches!(c, '9' | '0')).count();
    let mut taken = 0;
    for c in text.chars() {
        match c {
            '0'..='9' if taken < places => {
                digits.push(c);
                taken += 1;
            }
            '.' if has_point && !digits.contains('.') => digits.push('.'),
            _ => {}
        }
    }
    let digits = digits.trim_end_matches('.');
    if digits.is_empty() {
        return None;
    }
    Some(format!("{}{digits}", if is_negative { "-" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_read_by_their_pattern() {
        for (text, pattern, expected) in [
            ("12,454.8-", "99G999D9S", Some("-12454.8")),
            ("$1,234.50", "L9,999.99", Some("1234.50")),
            ("1234", "9999", Some("1234")),
            ("x", "9", None),
        ] {
            assert_eq!(number(text, pattern).as_deref(), expected, "{text} {pattern}");
        }
    }
}
