//! Figures as SVG, drawn with plotters.
//!
//! A picture stands alone on white. Within a page, the style sheet maps its colours to those of
//! the page; that is why colours have fixed names here.

mod axis;
mod marker;

use std::error::Error;
use std::ops::Range;

use maud::html;
use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged as _;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ReportError;
use super::figure::{Figure, Point, Series, SeriesKind};
use axis::Axis;

/// The colour of the ground.
pub(crate) const GROUND: RGBColor = RGBColor(0xff, 0xff, 0xff);
/// The colour of text.
pub(crate) const INK: RGBColor = RGBColor(0x1f, 0x26, 0x2d);
/// The colour of axes, their labels and reference lines.
pub(crate) const FAINT_INK: RGBColor = RGBColor(0x5f, 0x6b, 0x76);
/// The colour of the mesh.
pub(crate) const MESH: RGBColor = RGBColor(0xe3, 0xe7, 0xeb);
/// The colours of series, at least 4.5 : 1 against white; each comes with its own marker.
pub(crate) const SERIES: [RGBColor; 8] = [
    RGBColor(0x1c, 0x66, 0xa8),
    RGBColor(0xb8, 0x47, 0x06),
    RGBColor(0x0a, 0x79, 0x56),
    RGBColor(0x7d, 0x45, 0xb0),
    RGBColor(0xb5, 0x2f, 0x6c),
    RGBColor(0x86, 0x5d, 0x00),
    RGBColor(0x0f, 0x73, 0x7e),
    RGBColor(0x4a, 0x55, 0x60),
];

/// For which width a figure is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 760 pixels: a page on a screen, or on paper.
    Wide,
    /// 380 pixels: a telephone.
    Narrow,
}

impl Size {
    /// The width and the height of the chart without its legend, in pixels.
    fn extent(self) -> (u32, u32) {
        match self {
            Self::Wide => (760, 400),
            Self::Narrow => (380, 320),
        }
    }

    /// The most labels that an axis has room for.
    fn labels(self) -> (usize, usize) {
        match self {
            Self::Wide => (8, 6),
            Self::Narrow => (4, 5),
        }
    }
}

/// The height of text, in pixels.
const TEXT: u32 = 15;
/// The height of a row of the legend, in pixels.
const LEGEND_ROW: u32 = 22;
/// The width of a line's sample in the legend, in pixels.
const SAMPLE: i32 = 26;

/// Draws a figure as SVG.
///
/// # Errors
///
/// [`ReportError::Draw`].
pub fn render(figure: &Figure, size: Size) -> Result<String, ReportError> {
    let (width, height) = size.extent();
    let legend = Legend::lay_out(figure, width);
    let mut svg = String::new();
    let draw = |svg: &mut String| -> Result<(), Box<dyn Error>> {
        let extent = (width, height + legend.height());
        let root = SVGBackend::with_string(svg, extent).into_drawing_area();
        root.fill(&GROUND)?;
        let (chart, below) = root.split_vertically(height);
        draw_chart(&chart, figure, size)?;
        legend.draw(&below)?;
        root.present()?;
        Ok(())
    };
    draw(&mut svg).map_err(|error| ReportError::Draw {
        figure: figure.id.clone(),
        reason: error.to_string(),
    })?;
    let description = html! { (figure.description()) }.into_string();
    Ok(svg.replacen(
        "<svg ",
        &format!("<svg role=\"img\" aria-label=\"{description}\" "),
        1,
    ))
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

fn draw_chart(area: &Canvas<'_>, figure: &Figure, size: Size) -> Result<(), Box<dyn Error>> {
    let (x, y) = axes(figure, size);
    let (width, height) = area.dim_in_pixel();
    let widest = y
        .labels()
        .map(|label| text_width(&label))
        .max()
        .unwrap_or(0);

    // The title of the vertical axis stands above it, where it can be read without turning.
    let style = text(INK);
    area.draw_text(&figure.y_label, &style, (8, 8))?;
    let title = text(INK).pos(Pos::new(HPos::Right, VPos::Bottom));
    area.draw_text(
        &figure.x_label,
        &title,
        (width as i32 - 14, height as i32 - 4),
    )?;

    let mut chart: Chart<'_, '_> = ChartBuilder::on(area)
        .margin_top(34)
        .margin_right(22)
        .margin_bottom(26)
        .margin_left(8)
        .x_label_area_size(26)
        .y_label_area_size(widest + 10)
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(MESH)
        .bold_line_style(MESH)
        .axis_style(FAINT_INK)
        .label_style(text(FAINT_INK))
        .draw()?;

    let Range { start, end } = x.range();
    for (index, reference) in figure.references.iter().enumerate() {
        if y.holds(reference.y) {
            let line = [(start, reference.y), (end, reference.y)];
            let style = FAINT_INK.stroke_width(1);
            let (dash, gap) = reference_dashes(index);
            chart.draw_series(DashedLineSeries::new(line, dash, gap, style))?;
        }
    }
    // Bands first: no band hides the line of another series.
    for (index, series) in figure.series.iter().enumerate() {
        draw_band(&mut chart, series, index, &x, &y)?;
    }
    for (index, series) in figure.series.iter().enumerate() {
        draw_line(&mut chart, series, index, &x, &y)?;
    }
    Ok(())
}

/// The axes that everything in the figure fits on.
fn axes(figure: &Figure, size: Size) -> (Axis, Axis) {
    let points = || figure.series.iter().flat_map(|series| &series.points);
    let bands = points().filter_map(|point| point.band);
    let heights = points()
        .map(|point| point.y)
        .chain(bands.flat_map(|(low, high)| [low, high]))
        .chain(figure.references.iter().map(|reference| reference.y));
    let (x_labels, y_labels) = size.labels();
    (
        Axis::new(points().map(|point| point.x), figure.log_x, x_labels),
        Axis::new(heights, figure.log_y, y_labels),
    )
}

fn draw_band(
    chart: &mut Chart<'_, '_>,
    series: &Series,
    index: usize,
    x: &Axis,
    y: &Axis,
) -> Result<(), Box<dyn Error>> {
    let ends = |point: &Point| {
        let (low, high) = point.band?;
        // On a logarithmic axis a band may reach down to zero.
        let low = if y.holds(low) { low } else { y.range().start };
        let is_drawn = x.holds(point.x) && y.holds(high);
        is_drawn.then_some((point.x, low, high))
    };
    let colour = SERIES[index % SERIES.len()];
    for run in runs(series.points.iter().map(ends)) {
        if let [(x, low, high)] = run[..] {
            let line = PathElement::new([(x, low), (x, high)], colour.stroke_width(1));
            chart.draw_series([line])?;
        } else {
            let lower = run.iter().map(|&(x, low, _)| (x, low));
            let upper = run.iter().rev().map(|&(x, _, high)| (x, high));
            let outline: Vec<(f64, f64)> = lower.chain(upper).collect();
            chart.draw_series([Polygon::new(outline, colour.mix(0.16).filled())])?;
        }
    }
    Ok(())
}

fn draw_line(
    chart: &mut Chart<'_, '_>,
    series: &Series,
    index: usize,
    x: &Axis,
    y: &Axis,
) -> Result<(), Box<dyn Error>> {
    let colour = SERIES[index % SERIES.len()];
    let place = |point: &Point| {
        let is_drawn = x.holds(point.x) && y.holds(point.y);
        is_drawn.then_some((point.x, point.y))
    };
    for run in runs(series.points.iter().map(place)) {
        match series.kind {
            SeriesKind::Measured => {
                chart.draw_series([PathElement::new(run.clone(), colour.stroke_width(2))])?;
                for place in run {
                    let area = chart.plotting_area();
                    area.draw(&marker::at(place, index, colour))?;
                }
            }
            SeriesKind::Theory => {
                chart.draw_series(DashedLineSeries::new(run, 8, 5, colour.stroke_width(2)))?;
            }
        }
    }
    Ok(())
}

/// The uninterrupted parts of a sequence.
fn runs<T>(sequence: impl Iterator<Item = Option<T>>) -> Vec<Vec<T>> {
    let mut runs = vec![Vec::new()];
    for element in sequence {
        match (element, runs.last_mut()) {
            (Some(element), Some(run)) => run.push(element),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// The legend below a chart: what each line is.
struct Legend<'a> {
    entries: Vec<Entry<'a>>,
    rows: u32,
}

/// An entry of the legend, at its place in pixels.
struct Entry<'a> {
    name: &'a str,
    sample: Sample,
    x: i32,
    row: i32,
}

/// What an entry of the legend explains.
enum Sample {
    Measured(usize),
    Theory(usize),
    Reference(usize),
}

impl<'a> Legend<'a> {
    /// Puts the entries into rows of this width.
    fn lay_out(figure: &'a Figure, width: u32) -> Self {
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
        let (left, gap) = (12, 22);
        let (mut x, mut row) = (left, 0);
        let mut entries = Vec::new();
        for (name, sample) in series.chain(references) {
            let needed = SAMPLE + 6 + text_width(name) as i32;
            if x > left && x + needed > width as i32 - left {
                (x, row) = (left, row + 1);
            }
            entries.push(Entry {
                name,
                sample,
                x,
                row,
            });
            x += needed + gap;
        }
        let rows = if entries.is_empty() {
            0
        } else {
            row as u32 + 1
        };
        Self { entries, rows }
    }

    /// Its height in pixels.
    fn height(&self) -> u32 {
        self.rows * LEGEND_ROW + 8
    }

    fn draw(&self, area: &Canvas<'_>) -> Result<(), Box<dyn Error>> {
        for entry in &self.entries {
            let middle = entry.row * LEGEND_ROW as i32 + LEGEND_ROW as i32 / 2;
            let line = [(entry.x, middle), (entry.x + SAMPLE, middle)];
            match entry.sample {
                Sample::Measured(index) => {
                    let colour = SERIES[index % SERIES.len()];
                    area.draw(&PathElement::new(line, colour.stroke_width(2)))?;
                    area.draw(&marker::at((entry.x + SAMPLE / 2, middle), index, colour))?;
                }
                Sample::Theory(index) => {
                    let style = SERIES[index % SERIES.len()].stroke_width(2);
                    dashes(area, line, (8, 5), style)?;
                }
                Sample::Reference(index) => {
                    dashes(
                        area,
                        line,
                        reference_dashes(index),
                        FAINT_INK.stroke_width(1),
                    )?;
                }
            }
            let style = text(INK).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw_text(entry.name, &style, (entry.x + SAMPLE + 6, middle))?;
        }
        Ok(())
    }
}

/// The dashes and gaps of the reference line with this index, in pixels.
fn reference_dashes(index: usize) -> (u32, u32) {
    match index % 3 {
        0 => (2, 4),
        1 => (7, 4),
        _ => (14, 4),
    }
}

/// A horizontal dashed line.
fn dashes(
    area: &Canvas<'_>,
    [(start, y), (end, _)]: [(i32, i32); 2],
    (dash, gap): (u32, u32),
    style: ShapeStyle,
) -> Result<(), Box<dyn Error>> {
    for from in (start..end).step_by((dash + gap) as usize) {
        let to = (from + dash as i32).min(end);
        area.draw(&PathElement::new([(from, y), (to, y)], style))?;
    }
    Ok(())
}

fn text<'a>(colour: RGBColor) -> TextStyle<'a> {
    ("sans-serif", TEXT).into_font().color(&colour)
}

/// About how wide a text is, in pixels: there are no fonts to measure it with.
fn text_width(text: &str) -> u32 {
    (text.chars().count() as f64 * f64::from(TEXT) * 0.47).ceil() as u32
}
