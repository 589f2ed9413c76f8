//! Figures as SVG.

use plotters::prelude::*;

use super::ReportError;
use super::figure::Figure;

/// For which width a figure is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// For a page as wide as a sheet of paper.
    Wide,
    /// For a telephone.
    Narrow,
}

/// Draws a figure as SVG.
///
/// # Errors
///
/// [`ReportError::Draw`].
pub fn render(figure: &Figure, _size: Size) -> Result<String, ReportError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (720, 400)).into_drawing_area();
        root.fill(&WHITE).map_err(|error| ReportError::Draw {
            figure: figure.id.clone(),
            reason: error.to_string(),
        })?;
    }
    Ok(svg)
}
