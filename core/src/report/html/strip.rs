//! A small drawing beside a claim: the measurement and what is expected.

use maud::{Markup, html};

use crate::report::{Estimate, Expected};

const WIDTH: f64 = 180.0;
const HEIGHT: f64 = 18.0;
const MIDDLE: f64 = HEIGHT / 2.0;

/// Draws the expected range, the interval and the value on one axis. Nothing for a number that is
/// exactly what it should be, or no number at all.
pub(super) fn draw(expected: Expected, measured: &Estimate) -> Markup {
    let value = measured.value;
    let (low, high) = measured.ends().unwrap_or((value, value));
    let bounds = expected.bounds();
    let is_met_exactly = bounds == (low, high);
    if !value.is_finite() || is_met_exactly {
        return html! {};
    }
    let ends = [low, high, value, bounds.0, bounds.1];
    // The axis spans all finite ends; an open bound reaches to the edge.
    let finite = || ends.iter().copied().filter(|end| end.is_finite());
    let (from, to) = (
        finite().fold(value, f64::min),
        finite().fold(value, f64::max),
    );
    // A quarter at each side shows that the ends are ends.
    let margin = if to > from { 0.25 * (to - from) } else { 1.0 };
    let place = |number: f64| {
        let share = (number - (from - margin)) / (to - from + 2.0 * margin);
        (share.clamp(0.0, 1.0) * WIDTH * 10.0).round() / 10.0
    };
    let (start, end) = (place(bounds.0), place(bounds.1));
    // A single expected number still has to be seen.
    let width = (end - start).max(2.0);
    html! {
        svg.strip aria-hidden="true" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
            line.axis x1="0" x2=(WIDTH) y1=(MIDDLE) y2=(MIDDLE) {}
            rect.expected x=(start) y="1" width=(width) height=(HEIGHT - 2.0) rx="2" {}
            line.interval x1=(place(low)) x2=(place(high)) y1=(MIDDLE) y2=(MIDDLE) {}
            @for end in [low, high].into_iter().filter(|_| low < high) {
                line.interval x1=(place(end)) x2=(place(end)) y1=(MIDDLE - 4.0) y2=(MIDDLE + 4.0) {}
            }
            circle.value cx=(place(value)) cy=(MIDDLE) r="3.5" {}
        }
    }
}
