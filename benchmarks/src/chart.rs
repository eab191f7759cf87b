//! Line charts over time, one below the other, as an SVG.

use std::fmt::Write;
use std::time::Duration;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 150.0;
const MARGIN: f64 = 50.0;

/// One quantity over time.
pub struct Series {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

impl Series {
    pub fn new(name: &'static str) -> Series {
        Series {
            name,
            points: Vec::new(),
        }
    }

    pub fn push(&mut self, at: Duration, value: f64) {
        self.points.push((at.as_secs_f64(), value));
    }

    fn largest(&self) -> f64 {
        self.points.iter().map(|point| point.1).fold(0.0, f64::max)
    }

    /// The medians of the first and of the last quarter, and the largest.
    pub fn summary(&self) -> String {
        let quarter = (self.points.len() / 4).max(1).min(self.points.len());
        let median = |points: &[(f64, f64)]| {
            let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        let (first, last) = (&self.points[..quarter], &self.points[self.points.len() - quarter..]);
        format!(
            "{}: median of the first quarter {:.2}, of the last {:.2}, largest {:.2}",
            self.name,
            median(first),
            median(last),
            self.largest()
        )
    }

    /// The line, its name and its largest value, in a field of its own that begins at `top`.
    fn draw(&self, into: &mut String, top: f64) -> std::fmt::Result {
        let (largest, end) = (
            self.largest().max(f64::MIN_POSITIVE),
            self.points.last().map_or(1.0, |last| last.0),
        );
        let (left, bottom, field) = (MARGIN, top + HEIGHT - 25.0, HEIGHT - 60.0);
        writeln!(into, r##"<text x="{left}" y="{:.0}">{}</text>"##, top + 20.0, self.name)?;
        writeln!(
            into,
            r##"<path d="M{left} {:.0}V{bottom}H{}" stroke="#999" fill="none"/>"##,
            bottom - field,
            WIDTH - 10.0
        )?;
        writeln!(
            into,
            r##"<text x="4" y="{:.0}">{largest:.1}</text><text x="4" y="{bottom}">0</text>"##,
            bottom - field + 4.0
        )?;
        let mut line = String::new();
        for (index, (at, value)) in self.points.iter().enumerate() {
            let (x, y) = (
                left + at / end * (WIDTH - 10.0 - left),
                bottom - value / largest * field,
            );
            write!(line, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' })?;
        }
        writeln!(
            into,
            r##"<path d="{line}" stroke="#1668b8" stroke-width="1.5" fill="none"/>"##
        )?;
        writeln!(
            into,
            r##"<text x="{:.0}" y="{:.0}" text-anchor="end">{end:.0} s</text>"##,
            WIDTH - 10.0,
            bottom + 15.0
        )
    }
}

/// All series, one below the other.
pub fn svg(all: &[Series]) -> String {
    let height = HEIGHT * all.len() as f64;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>"##
    );
    for (number, series) in all.iter().enumerate() {
        // Writing into a text does not fail.
        let _ = series.draw(&mut svg, HEIGHT * number as f64);
    }
    svg.push_str("</svg>\n");
    svg
}
