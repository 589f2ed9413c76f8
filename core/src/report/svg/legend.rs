//! The legend below a chart: what each line is.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::strokes::{self, Canvas, Drawn};
use super::{FAINT_INK, INK, color, text, text_width};
use crate::report::figure::{Figure, SeriesKind};

/// The height of a row.
const ROW: i32 = 22;
/// The width of a line's sample.
const SAMPLE: i32 = 26;
/// Between a sample and its name, and at the left and the right.
const SPACE: i32 = 6;
/// Between two entries.
const GAP: i32 = 22;

/// The entries, at their places.
pub(super) struct Legend<'a> {
    entries: Vec<Entry<'a>>,
    rows: i32,
}

struct Entry<'a> {
    name: &'a str,
    sample: Sample,
    x: i32,
    row: i32,
}

/// The line that an entry explains, with its index among its kind.
enum Sample {
    Measured(usize),
    Theory(usize),
    Reference(usize),
}

impl<'a> Legend<'a> {
    /// Puts the entries into rows of this width.
    pub(super) fn lay_out(figure: &'a Figure, width: u32) -> Self {
        let series = figure.series.iter().enumerate().map(|(index, series)| {
            let sample = match series.kind {
                SeriesKind::Measured => Sample::Measured(index),
                SeriesKind::Theory => Sample::Theory(index),
            };
            (series.name.as_str(), sample)
        });
        let references = figure.references.iter().enumerate();
        let references =
            references.map(|(index, line)| (line.name.as_str(), Sample::Reference(index)));
        // From left to right; an entry that does not fit begins the next row.
        let left = 2 * SPACE;
        let (mut x, mut row) = (left, 0);
        let mut entries = Vec::new();
        for (name, sample) in series.chain(references) {
            let needed = SAMPLE + SPACE + text_width(name) as i32;
            if x > left && x + needed > width as i32 - left {
                (x, row) = (left, row + 1);
            }
            entries.push(Entry {
                name,
                sample,
                x,
                row,
            });
            x += needed + GAP;
        }
        let rows = entries.last().map_or(0, |last| last.row + 1);
        Self { entries, rows }
    }

    /// Its height in pixels.
    pub(super) fn height(&self) -> u32 {
        (self.rows * ROW + 8) as u32
    }

    pub(super) fn draw(&self, canvas: &Canvas<'_>) -> Drawn {
        for entry in &self.entries {
            let middle = entry.row * ROW + ROW / 2;
            let line = vec![(entry.x, middle), (entry.x + SAMPLE, middle)];
            // The sample has the style of the line in the chart.
            match entry.sample {
                Sample::Measured(index) => {
                    let color = color(index);
                    strokes::line(canvas, line, color.stroke_width(2))?;
                    strokes::marker(canvas, (entry.x + SAMPLE / 2, middle), index, color)?;
                }
                Sample::Theory(index) => {
                    let style = color(index).stroke_width(2);
                    strokes::dashed_line(canvas, line, strokes::THEORY, style)?;
                }
                Sample::Reference(index) => {
                    let style = FAINT_INK.stroke_width(1);
                    strokes::dashed_line(canvas, line, strokes::reference(index), style)?;
                }
            }
            let style = text(INK).pos(Pos::new(HPos::Left, VPos::Center));
            canvas.draw_text(entry.name, &style, (entry.x + SAMPLE + SPACE, middle))?;
        }
        Ok(())
    }
}
