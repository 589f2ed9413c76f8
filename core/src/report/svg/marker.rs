//! The markers of series: each series has its own shape, so that colour is not all that tells
//! them apart.

use plotters::element::{DynElement, IntoDynElement as _};
use plotters::prelude::*;

/// The marker of the series with this index, at a place.
pub(super) fn at<'a, C: Clone + 'a>(
    place: C,
    index: usize,
    colour: RGBColor,
) -> DynElement<'a, SVGBackend<'a>, C> {
    let style = colour.filled();
    let origin = EmptyElement::at(place);
    let polygon = |corners: &[(i32, i32)]| Polygon::new(corners.to_vec(), style);
    match index % 6 {
        0 => (origin + Circle::new((0, 0), 4, style)).into_dyn(),
        1 => (origin + polygon(&[(-4, -4), (4, -4), (4, 4), (-4, 4)])).into_dyn(),
        2 => (origin + polygon(&[(0, -5), (5, 4), (-5, 4)])).into_dyn(),
        3 => (origin + polygon(&[(0, -6), (6, 0), (0, 6), (-6, 0)])).into_dyn(),
        4 => (origin + polygon(&[(0, 5), (5, -4), (-5, -4)])).into_dyn(),
        _ => (origin + Cross::new((0, 0), 4, style.stroke_width(2))).into_dyn(),
    }
}
