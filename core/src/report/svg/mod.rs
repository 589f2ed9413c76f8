//! Figures as SVG, drawn with plotters.
//!
//! A picture stands alone on white. Within a page, the style sheet maps its colors to those of
//! the page; that is why colors have fixed names here.

mod axis;
mod legend;
mod strokes;

use std::ops::Range;

use maud::html;
use plotters::coord::ranged1d::Ranged as _;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ReportError;
use super::figure::{Figure, Point, SeriesKind};
use axis::Axis;
use legend::Legend;
use strokes::{Canvas, Drawn, Pixel};

/// The color of the ground.
pub(crate) const GROUND: RGBColor = RGBColor(0xff, 0xff, 0xff);
/// The color of text.
pub(crate) const INK: RGBColor = RGBColor(0x1f, 0x26, 0x2d);
/// The color of axes, their labels and reference lines.
pub(crate) const FAINT_INK: RGBColor = RGBColor(0x5f, 0x6b, 0x76);
/// The color of the mesh.
pub(crate) const MESH: RGBColor = RGBColor(0xe3, 0xe7, 0xeb);
/// The colors of series, at least 4.5 : 1 against white; each comes with its own marker.
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

    /// The maximum number of labels of the horizontal and the vertical axis.
    fn labels(self) -> (usize, usize) {
        match self {
            Self::Wide => (8, 6),
            Self::Narrow => (4, 5),
        }
    }
}

/// The height of text, in pixels.
const TEXT: u32 = 15;

/// Draws a figure as SVG.
///
/// # Errors
///
/// [`ReportError::Draw`].
pub fn render(figure: &Figure, size: Size) -> Result<String, ReportError> {
    let (width, height) = size.extent();
    // The entries decide the height of the legend, and with it that of the picture.
    let legend = Legend::lay_out(figure, width);
    let mut svg = String::new();
    let draw = |svg: &mut String| -> Drawn {
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
    // plotters gives the picture no description for screen readers; maud escapes it.
    let description = html! { (figure.description()) }.into_string();
    Ok(svg.replacen(
        "<svg ",
        &format!("<svg role=\"img\" aria-label=\"{description}\" "),
        1,
    ))
}

fn draw_chart(canvas: &Canvas<'_>, figure: &Figure, size: Size) -> Drawn {
    let (x, y) = axes(figure, size);
    let (width, height) = canvas.dim_in_pixel();
    let label_widths = y.labels().map(|label| text_width(&label));
    let widest = label_widths.max().unwrap_or(0);

    // The title of the vertical axis stands above it, where it can be read without turning.
    canvas.draw_text(&figure.y_label, &text(INK), (8, 8))?;
    let lower_right = text(INK).pos(Pos::new(HPos::Right, VPos::Bottom));
    let corner = (width as i32 - 14, height as i32 - 4);
    canvas.draw_text(&figure.x_label, &lower_right, corner)?;

    let mut chart = ChartBuilder::on(canvas)
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
        .bold_line_style(MESH)
        .axis_style(FAINT_INK)
        .label_style(text(FAINT_INK))
        .draw()?;

    // References are drawn first, below all data.
    let place = |x: f64, y: f64| chart.backend_coord(&(x, y));
    let Range { start, end } = x.range();
    for (index, reference) in figure.references.iter().enumerate() {
        if y.holds(reference.y) {
            let line = vec![place(start, reference.y), place(end, reference.y)];
            let style = FAINT_INK.stroke_width(1);
            strokes::dashed_line(canvas, line, strokes::reference(index), style)?;
        }
    }
    // Bands first: no band hides the line of another series.
    for (index, series) in figure.series.iter().enumerate() {
        let ends = |&Point { x: at, y: _, band }: &Point| {
            let (low, high) = band?;
            // On a logarithmic axis a band may reach down to zero.
            let low = if y.holds(low) { low } else { y.range().start };
            let is_drawn = x.holds(at) && y.holds(high);
            is_drawn.then(|| (place(at, low), place(at, high)))
        };
        for run in runs(series.points.iter().map(ends)) {
            draw_band(canvas, &run, color(index))?;
        }
    }
    // Lines and markers on top, interrupted where a point has no place.
    for (index, series) in figure.series.iter().enumerate() {
        let points = series.points.iter().map(|point| {
            let is_drawn = x.holds(point.x) && y.holds(point.y);
            is_drawn.then(|| place(point.x, point.y))
        });
        for run in runs(points) {
            draw_line(canvas, run, series.kind, index)?;
        }
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

/// Draws a band, given by its lower and upper ends.
fn draw_band(canvas: &Canvas<'_>, ends: &[(Pixel, Pixel)], color: RGBColor) -> Drawn {
    // A single point spans no area: its band is a vertical line.
    if let &[(low, high)] = ends {
        return strokes::line(canvas, vec![low, high], color.stroke_width(1));
    }
    // The outline runs along the lower ends and back along the upper ones.
    let lower = ends.iter().map(|&(low, _)| low);
    let upper = ends.iter().rev().map(|&(_, high)| high);
    let style = color.mix(0.16).filled();
    strokes::area(canvas, lower.chain(upper).collect(), style)
}

fn draw_line(canvas: &Canvas<'_>, places: Vec<Pixel>, kind: SeriesKind, index: usize) -> Drawn {
    let color = color(index);
    let style = color.stroke_width(2);
    match kind {
        SeriesKind::Theory => strokes::dashed_line(canvas, places, strokes::THEORY, style),
        SeriesKind::Measured => {
            strokes::line(canvas, places.clone(), style)?;
            let mut places = places.into_iter();
            places.try_for_each(|place| strokes::marker(canvas, place, index, color))
        }
    }
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

/// The color of the series with this index.
fn color(index: usize) -> RGBColor {
    SERIES[index % SERIES.len()]
}

fn text<'a>(color: RGBColor) -> TextStyle<'a> {
    ("sans-serif", TEXT).into_font().color(&color)
}

/// About how wide a text is, in pixels: there are no fonts to measure it with.
fn text_width(text: &str) -> u32 {
    (text.chars().count() as f64 * f64::from(TEXT) * 0.47).ceil() as u32
}
