//! The outcome of a run as JUnit's XML, as servers of continuous integration read it.
//!
//! There is no standard; this is what Jenkins, GitLab, GitHub's and Azure's readers have in common: `testsuites > testsuite > testcase >
//! failure`, times in seconds, and the file and line of each case.

use std::time::Duration;

use super::report::Style;
use super::{Case, Suite};

/// The whole file.
pub fn document(suites: &[Suite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    xml.push_str(&format!("<testsuites name=\"headwater test\"{}>\n", counts(&all)));
    for suite in suites {
        let cases: Vec<&Case> = suite.cases.iter().collect();
        let file = escaped(&suite.file);
        xml.push_str(&format!("  <testsuite name=\"{file}\"{}>\n", counts(&cases)));
        for case in &suite.cases {
            let name = escaped(&case.name);
            let (line, time) = (case.line, seconds(case.took));
            xml.push_str(&format!(
                "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{line}\" time=\"{time}\""
            ));
            match &case.outcome {
                Ok(()) => xml.push_str("/>\n"),
                Err(miss) => {
                    let message = escaped(miss.text.lines().next().unwrap_or_default());
                    let text = escaped(&Style::plain().miss(&suite.file, miss));
                    xml.push_str(&format!(
                        ">\n      <failure message=\"{message}\">{text}</failure>\n    </testcase>\n"
                    ));
                }
            }
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn counts(cases: &[&Case]) -> String {
    let failures = cases.iter().filter(|case| case.outcome.is_err()).count();
    let time: Duration = cases.iter().map(|case| case.took).sum();
    let (tests, time) = (cases.len(), seconds(time));
    format!(" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{time}\"")
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// A text in an attribute or an element. What XML cannot hold at all becomes a question mark in a box.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::trial::Miss;
    use super::*;

    #[test]
    fn a_run_becomes_a_file() {
        let case = |name: &str, line: usize, outcome: Result<(), Miss>| Case {
            name: name.to_owned(),
            line,
            took: Duration::from_millis(1_500),
            outcome,
        };
        let suites = [Suite {
            file: "tests/a&b.test".to_owned(),
            cases: vec![
                case("it <holds>", 1, Ok(())),
                case("it \"fails\"", 5, Err(Miss::new(7, "no\u{1}\nnever"))),
            ],
        }];
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"headwater test\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"3.000\">
  <testsuite name=\"tests/a&amp;b.test\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"3.000\">
    <testcase classname=\"tests/a&amp;b.test\" name=\"it &lt;holds&gt;\" file=\"tests/a&amp;b.test\" line=\"1\" time=\"1.500\"/>
    <testcase classname=\"tests/a&amp;b.test\" name=\"it &quot;fails&quot;\" file=\"tests/a&amp;b.test\" line=\"5\" time=\"1.500\">
      <failure message=\"no\u{fffd}\">    tests/a&amp;b.test:7: no\\u{1}
      never</failure>
    </testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(document(&suites), expected);
    }
}
