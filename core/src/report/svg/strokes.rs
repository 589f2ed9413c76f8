//! What a chart and its legend are drawn with, in pixels.

use std::error::Error;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

/// A part of a picture.
pub(super) type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A place on a [`Canvas`], from its upper left corner.
pub(super) type Pixel = (i32, i32);
/// Whether something could be drawn.
pub(super) type Drawn = Result<(), Box<dyn Error>>;

/// The dashes and the gaps of a line from theory.
pub(super) const THEORY: (u32, u32) = (8, 5);

/// The dashes and the gaps of the reference line with this index.
pub(super) fn reference(index: usize) -> (u32, u32) {
    match index % 3 {
        0 => (2, 4),
        1 => (7, 4),
        _ => (14, 4),
    }
}

/// A line through these places.
pub(super) fn line(canvas: &Canvas<'_>, places: Vec<Pixel>, style: ShapeStyle) -> Drawn {
    Ok(canvas.draw(&PathElement::new(places, style))?)
}

/// A dashed line through these places.
pub(super) fn dashed_line(
    canvas: &Canvas<'_>,
    places: Vec<Pixel>,
    (dash, gap): (u32, u32),
    style: ShapeStyle,
) -> Drawn {
    Ok(canvas.draw(&DashedPathElement::new(places, dash, gap, style))?)
}

/// The area within an outline.
pub(super) fn area(canvas: &Canvas<'_>, outline: Vec<Pixel>, style: ShapeStyle) -> Drawn {
    Ok(canvas.draw(&Polygon::new(outline, style))?)
}

/// The marker of the series with this index. Each series has its own shape, so that it can be
/// identified without colors.
pub(super) fn marker(canvas: &Canvas<'_>, (x, y): Pixel, index: usize, color: RGBColor) -> Drawn {
    let style = color.filled();
    let polygon = |corners: &[Pixel]| {
        let corners = corners.iter().map(|(right, down)| (x + right, y + down));
        area(canvas, corners.collect(), style)
    };
    match index % 6 {
        0 => Ok(canvas.draw(&Circle::new((x, y), 4, style))?),
        1 => polygon(&[(-4, -4), (4, -4), (4, 4), (-4, 4)]),
        2 => polygon(&[(0, -5), (5, 4), (-5, 4)]),
        3 => polygon(&[(0, -6), (6, 0), (0, 6), (-6, 0)]),
        4 => polygon(&[(0, 5), (5, -4), (-5, -4)]),
        _ => Ok(canvas.draw(&Cross::new((x, y), 4, style.stroke_width(2)))?),
    }
}
