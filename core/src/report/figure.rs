//! Figures: what is drawn, independent of how.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::json_number;

/// A line chart: series of points over a numeric axis, with optional bands around the lines and
/// reference lines from theory or from the paper.
///
/// ```
/// use septet_core::report::{Figure, Series};
///
/// let figure = Figure::new("noise", "Misses over the noise of the predictions", "noise", "ratio")
///     .log_x()
///     .series(Series::new("predictor").points([(0.1, 1.0), (1.0, 1.2), (10.0, 2.1)]))
///     .series(Series::new("combined").point_with_band(0.1, 1.0, (0.99, 1.02)))
///     .reference("LRU", 1.29);
/// assert_eq!(figure.series.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The name, which is also that of its files: letters, digits, `-` and `_`.
    pub id: String,
    /// What it shows, in one sentence.
    pub caption: String,
    /// What it shows, for those who cannot see it; the caption if empty.
    pub alt: String,
    /// The title of the horizontal axis, with its unit.
    pub x_label: String,
    /// The title of the vertical axis, with its unit.
    pub y_label: String,
    /// Whether the horizontal axis is logarithmic.
    pub log_x: bool,
    /// Whether the vertical axis is logarithmic.
    pub log_y: bool,
    /// The series.
    pub series: Vec<Series>,
    /// Horizontal lines to compare with.
    pub references: Vec<Reference>,
}

/// A series of a [`Figure`], drawn as a line through its points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// Where its points come from.
    pub kind: SeriesKind,
    /// The points, in ascending order of `x`.
    pub points: Vec<Point>,
}

/// Where the points of a [`Series`] come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeriesKind {
    /// Measurements: each point is marked.
    Measured,
    /// A formula, or the values of the paper: a dashed line without marks.
    Theory,
}

/// A point of a [`Series`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The horizontal coordinate.
    #[serde(with = "json_number")]
    pub x: f64,
    /// The vertical coordinate.
    #[serde(with = "json_number")]
    pub y: f64,
    /// The lower and the upper end of the band around the line.
    pub band: Option<(f64, f64)>,
}

/// A horizontal line of a [`Figure`] to compare with: a bound, or a value of the paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The name in the legend.
    pub name: String,
    /// Its place on the vertical axis.
    pub y: f64,
}

impl Figure {
    /// A figure without series, both axes linear.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        caption: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            caption: caption.into(),
            alt: String::new(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            log_x: false,
            log_y: false,
            series: Vec::new(),
            references: Vec::new(),
        }
    }

    /// The figure with a logarithmic horizontal axis. Points without a place on it are not drawn.
    #[must_use]
    pub fn log_x(mut self) -> Self {
        self.log_x = true;
        self
    }

    /// The figure with a logarithmic vertical axis. Points without a place on it are not drawn.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.log_y = true;
        self
    }

    /// The figure with one more series.
    #[must_use]
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// The figure with one more horizontal line to compare with. A line that is not at a finite
    /// place is left out.
    #[must_use]
    pub fn reference(mut self, name: impl Into<String>, y: f64) -> Self {
        if y.is_finite() {
            let name = name.into();
            self.references.push(Reference { name, y });
        }
        self
    }

    /// The figure with this description for those who cannot see it.
    #[must_use]
    pub fn alt(mut self, alt: impl Into<String>) -> Self {
        self.alt = alt.into();
        self
    }

    /// The description for those who cannot see it.
    pub(crate) fn description(&self) -> &str {
        if self.alt.is_empty() {
            &self.caption
        } else {
            &self.alt
        }
    }

    /// The numbers of the figure: a line for each point, `series,x,y,low,high`, and a line for
    /// each reference, with an empty `x`.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("series,x,y,low,high\n");
        // A number that is absent or not finite is an empty field.
        let mut line = |name: &str, fields: [Option<f64>; 4]| {
            csv.push_str(&quoted(name));
            for field in fields {
                csv.push(',');
                if let Some(number) = field.filter(|number| number.is_finite()) {
                    write!(csv, "{number}").expect("writing to a string does not fail");
                }
            }
            csv.push('\n');
        };
        for series in &self.series {
            for Point { x, y, band } in &series.points {
                let (low, high) = band.unzip();
                line(&series.name, [Some(*x), Some(*y), low, high]);
            }
        }
        for reference in &self.references {
            line(&reference.name, [None, Some(reference.y), None, None]);
        }
        csv
    }
}

impl Series {
    /// A series of measurements, without points yet.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: SeriesKind::Measured,
            points: Vec::new(),
        }
    }

    /// A series from a formula or from the paper, without points yet.
    #[must_use]
    pub fn theory(name: impl Into<String>) -> Self {
        Self {
            kind: SeriesKind::Theory,
            ..Self::new(name)
        }
    }

    /// The series with these points added.
    #[must_use]
    pub fn points(mut self, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter();
        self.points
            .extend(points.map(|(x, y)| Point { x, y, band: None }));
        self
    }

    /// The series with one more point, and the lower and upper end of the band there. A band whose
    /// ends are not finite is left out.
    #[must_use]
    pub fn point_with_band(mut self, x: f64, y: f64, band: impl Into<(f64, f64)>) -> Self {
        let (low, high) = band.into();
        let band = (low.is_finite() && high.is_finite()).then_some((low, high));
        self.points.push(Point { x, y, band });
        self
    }
}

/// A CSV field as RFC 4180 defines it.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
